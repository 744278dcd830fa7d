package imaging

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging/codec"
	_ "comfygo/internal/imaging/codec/all" // the formats
	"comfygo/internal/memory"
)

// Loaded is the result of LoadImage for a file.
type Loaded struct {
	// Format is the name of the file's format, such as png.
	Format string
	// Images is [B,H,W,3] in 0…1, Alpha [B,H,W]; Alpha is nil if the file's pixel format has no transparency.
	Images, Alpha *tensor.Tensor
}

// Budget promises memory to work that is about to take it, as *memory.Budget does.
type Budget interface {
	// Reserve sets bytes aside until release is called, which may wait for others. what describes them for errors.
	Reserve(ctx context.Context, what string, bytes int64) (release func(), err error)
}

// budgetOr returns the budget, or the process's if it is nil.
func budgetOr(b Budget) Budget {
	if b == nil {
		return memory.Process
	}
	return b
}

// Loadable reports whether the ending of a file's name is one of a format that is decoded.
func Loadable(name string) bool {
	ext := strings.TrimPrefix(strings.ToLower(filepath.Ext(name)), ".")
	return slices.Contains(codec.Extensions(), ext)
}

// Load decodes all frames of an image file with the values of ComfyUI's LoadImage, rotated by the EXIF orientation. Before it decodes it checks
// the file's announcements against the limits and charges the memory to the budget, which may wait for others; nil means the process's budget.
// It fails with codec.ErrUnknown, *codec.LimitError or *SizeError, with the cause of ctx's end, or if nothing of the file can be decoded.
func Load(ctx context.Context, data []byte, limits codec.Limits, budget Budget) (*Loaded, error) {
	f, err := codec.Open(data, limits)
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("a %s image of %dx%d with %d frames", f.Format, f.Width, f.Height, f.Frames)
	release, err := budgetOr(budget).Reserve(ctx, what, f.LoadBytes())
	if err != nil {
		return nil, err
	}
	defer f.Settle(release)
	l := &Loaded{Format: f.Format}
	n := 0
	err = f.Decode(ctx, func(frame *codec.Frame) error {
		if n == 0 {
			l.allocate(f, frame.Layout.Alpha())
		}
		l.put(frame, n, f.Orientation)
		n++
		return nil
	})
	if err != nil {
		return nil, err
	}
	l.cut(n)
	codec.Reclaim(f.Working)
	return l, nil
}

func (l *Loaded) allocate(f *codec.File, alpha bool) {
	w, h := codec.Turned(f.Orientation, f.Width, f.Height)
	l.Images = tensor.New(f.Frames, h, w, 3)
	if alpha {
		l.Alpha = tensor.New(f.Frames, h, w)
	}
}

// cut keeps the frames that were there.
func (l *Loaded) cut(frames int) {
	if frames == l.Images.Shape[0] {
		return
	}
	l.Images = l.Images.Slice(0, frames)
	if l.Alpha != nil {
		l.Alpha = l.Alpha.Slice(0, frames)
	}
}

// put writes frame number n.
func (l *Loaded) put(f *codec.Frame, n, orientation int) {
	images := l.Images.Index(n).Data
	var alphas []float32
	if l.Alpha != nil {
		alphas = l.Alpha.Index(n).Data
	}
	wide, _ := codec.Turned(orientation, f.Width, f.Height)
	codec.Parallel(f.Height, f.Width*16, func(from, to int) {
		scratch := &codec.Scratch{}
		var rgb, alpha []float32
		if orientation > 1 {
			rgb = make([]float32, 3*f.Width)
			if alphas != nil {
				alpha = make([]float32, f.Width)
			}
		}
		for y := from; y < to; y++ {
			if orientation <= 1 {
				if alphas != nil {
					alpha = alphas[y*f.Width:][:f.Width]
				}
				f.Floats(y, images[3*y*f.Width:][:3*f.Width], alpha, scratch)
				continue
			}
			f.Floats(y, rgb, alpha, scratch)
			for x := range f.Width {
				sx, sy := codec.Shown(orientation, x, y, f.Width, f.Height)
				at := sy*wide + sx
				copy(images[3*at:3*at+3], rgb[3*x:])
				if alphas != nil {
					alphas[at] = alpha[x]
				}
			}
		}
	})
}

// Announced is the size of an image file as it is shown, turned as EXIF says, and the number of its frames, read without
// decoding; ok is false for what is not an image within the limits.
func Announced(data []byte) (width, height, frames int, ok bool) {
	f, err := codec.Open(data, codec.DefaultLimits)
	if err != nil {
		return 0, 0, 0, false
	}
	width, height = codec.Turned(f.Orientation, f.Width, f.Height)
	return width, height, f.Frames, true
}
