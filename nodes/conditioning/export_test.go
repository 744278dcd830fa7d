package conditioning

// For tests: where the camera is, and the sizes of JoyImage.
var (
	Viewpoint = viewpoint
	Orbit     = orbit
	JoySize   = joySize
)
