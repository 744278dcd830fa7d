package rtdetr

// What tests compare with upstream's values.
var (
	Anchors   = anchors
	Distances = distances
)
