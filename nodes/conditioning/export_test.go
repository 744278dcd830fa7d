package conditioning

// For tests: where the camera is.
var (
	Viewpoint = viewpoint
	Orbit     = orbit
)
