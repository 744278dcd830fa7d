package codec

import "fmt"

// Limits bounds what a file may announce before it is decoded.
type Limits struct {
	// Pixels bounds width times height of a frame.
	Pixels int64
	// Frames bounds the frames of an animation.
	Frames int
	// Passes bounds the scans of a JPEG or the passes of any other format.
	Passes int
	// Pieces bounds strips, tiles and partial frames.
	Pieces int
	// Work bounds the pixels that are gone over in all frames and passes.
	Work int64
}

// DefaultLimits are those of the server: far above what programs write, and low enough that a file costs seconds.
var DefaultLimits = Limits{
	Pixels: 1 << 28, // 16384x16384, the largest image that nodes make
	Frames: 10_000,  // of an animation
	Passes: 100,     // programs write up to 20 scans
	Pieces: 1 << 20, // one strip a row of the tallest image fits many times
	Work:   1 << 32, // 16 scans of the largest image, 4,000 frames of a megapixel
}

// LimitError is the error of a file that announces more than is decoded.
type LimitError struct {
	// What names the counted items, such as "scans or passes".
	What string
	// Have is the announced value, Most the allowed one.
	Have, Most int64
}

// Error names what there is too much of.
func (e *LimitError) Error() string {
	return fmt.Sprintf("the file announces %d %s, more than %d are not decoded", e.Have, e.What, e.Most)
}

func (l Limits) check(i Info) error {
	if i.Width < 1 || i.Height < 1 {
		return fmt.Errorf("its size is %dx%d", i.Width, i.Height)
	}
	const side = 1 << 30
	if i.Width > side || i.Height > side {
		return &LimitError{"pixels a side", int64(max(i.Width, i.Height)), side}
	}
	pixels := int64(i.Width) * int64(i.Height)
	for _, c := range []struct {
		what       string
		have, most int64
	}{
		{"pixels", pixels, l.Pixels},
		{"frames", int64(i.Frames), int64(l.Frames)},
		{"scans or passes", int64(i.Passes), int64(l.Passes)},
		{"strips, tiles or partial frames", int64(i.Pieces), int64(l.Pieces)},
		{"pixels in all frames and passes", pixels * int64(max(i.Frames, 1)) * int64(max(i.Passes, 1)), l.Work},
	} {
		if c.have > c.most {
			return &LimitError{c.what, c.have, c.most}
		}
	}
	return nil
}
