package hidreamo1

// Smooth is the function of this name.
var Smooth = smooth
