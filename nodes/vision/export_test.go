package vision

// Fill is what gives images without faces those of images around them.
var Fill = fill
