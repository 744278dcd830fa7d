// Package codec decodes image files. Each format is a package below this one that registers itself; package all lists them.
//
// Work is bounded before it begins: Probe reads what a file announces (pixels, frames, scans, strips) without decoding,
// Limits refuses excessive values, the estimate is charged to a memory budget, and decoding ends with its context. A
// damaged file yields its readable part; only a file without any is an error.
//
// The package deals with pixels and files. It must not depend on nodes, folders or HTTP.
package codec

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Format is one image file format.
type Format struct {
	// Name is a short word such as "png".
	Name string
	// Extensions are the file name endings in use, without a dot, lower case.
	Extensions []string
	// Sniff reports whether data begins like a file of the format.
	Sniff func(data []byte) bool
	// Weak formats have no signature of their own and are tried after all others.
	Weak bool
	// Probe reads what a file announces without decoding pixels. Its time is linear in the file's size, and it makes no
	// allocation of a size that the file announces.
	Probe func(data []byte) (Info, error)
	// Decode calls emit for every frame in the order in which they are shown. A frame is valid until emit returns. Decoding
	// checks ctx at least every few million pixels or scans' rows, and ends with its cause. If emit fails, decoding ends with
	// that error.
	Decode func(ctx context.Context, data []byte, info Info, emit func(*Frame) error) error
}

// Info holds what a file announces.
type Info struct {
	// Format is the name of the format.
	Format string
	// Width and Height are those of every frame as it is stored, in pixels.
	Width, Height int
	// Frames is the number of frames, at least 1.
	Frames int
	// Passes is the number of times that decoding processes the pixels or parts of them: scans of a JPEG, passes of a PNG. Zero
	// means once.
	Passes int
	// Pieces is the number of strips, tiles or partial frames that are decoded one by one. Zero means one.
	Pieces int
	// Layout is the layout of the frames' pixels.
	Layout Layout
	// Orientation is EXIF's, 1 to 8; zero means 1.
	Orientation int
	// Working is the number of bytes that are held beyond the file while a frame is emitted, the frame included.
	Working int64
	// Transient is the number of bytes that decoding a frame holds at its peak, where that is more than Working.
	Transient int64
	// Animated is true when the format's animation is used, even with one frame.
	Animated bool
}

// ErrUnknown is returned for data of no registered format.
var ErrUnknown = errors.New("the file is not an image of a known format")

// ErrStop is returned by emit to end decoding early without an error.
var ErrStop = errors.New("enough frames")

var formats []Format

// Register adds a format. It is called from init functions.
func Register(f Format) { formats = append(formats, f) }

// Names lists the registered formats in alphabetical order.
func Names() []string {
	out := make([]string, 0, len(formats))
	for _, f := range formats {
		out = append(out, f.Name)
	}
	slices.Sort(out)
	return out
}

// Extensions returns the file name endings, without a dot, of all registered formats in alphabetical order.
func Extensions() []string {
	var out []string
	for _, f := range formats {
		out = append(out, f.Extensions...)
	}
	slices.Sort(out)
	return out
}

// find returns the format that data begins like.
func find(data []byte) (Format, error) {
	for _, weak := range []bool{false, true} {
		for _, f := range formats {
			if f.Weak == weak && f.Sniff(data) {
				return f, nil
			}
		}
	}
	return Format{}, ErrUnknown
}

// unknown explains why nothing decodes the data.
func unknown(data []byte) error {
	if name := Foreign(data); name != "" {
		return fmt.Errorf("%w: it is a %s image, which is not supported; save it as one of %s", ErrUnknown, name, strings.Join(Names(), ", "))
	}
	return fmt.Errorf("%w (%s)", ErrUnknown, strings.Join(Names(), ", "))
}

// File is an image file whose announcements are within the limits.
type File struct {
	Info
	format   Format
	data     []byte
	tracker  tracker
	detached bool
}

// Open detects the format of data and reads what the file announces. It fails with ErrUnknown, with a *LimitError, or if
// not even that can be read.
func Open(data []byte, limits Limits) (*File, error) {
	f, err := find(data)
	if err != nil {
		return nil, unknown(data)
	}
	info, err := f.Probe(data)
	if err != nil {
		return nil, fmt.Errorf("reading a %s image: %w", f.Name, err)
	}
	info.Format, info.Frames = f.Name, max(info.Frames, 1)
	if err := limits.check(info); err != nil {
		return nil, fmt.Errorf("reading a %s image: %w", f.Name, err)
	}
	return &File{Info: info, format: f, data: data}, nil
}

// Decode calls emit for every frame; see Format.Decode. A file that ends early gives the frames that are there; none is an
// error.
func (f *File) Decode(ctx context.Context, emit func(*Frame) error) error {
	n := 0
	defer func() { f.detached = ctx.Err() != nil }()
	err := f.format.Decode(context.WithValue(ctx, trackerKey{}, &f.tracker), f.data, f.Info, func(frame *Frame) error {
		if n++; n > f.Frames {
			return ErrStop // more than was announced and paid for
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := emit(frame); err != nil && !errors.Is(err, ErrStop) {
			return &emitError{err}
		} else if err != nil {
			return ErrStop
		}
		return nil
	})
	var foreign *emitError
	switch {
	case errors.Is(err, ErrStop):
		return nil
	case errors.As(err, &foreign):
		return foreign.err
	case ctx.Err() != nil:
		return fmt.Errorf("decoding a %s image: %w", f.format.Name, context.Cause(ctx))
	case err != nil && n > 0:
		return nil // damaged behind the frames that are there
	case err != nil:
		return fmt.Errorf("decoding a %s image: %w", f.format.Name, err)
	case n == 0:
		return fmt.Errorf("decoding a %s image: there is no frame in it", f.format.Name)
	}
	return nil
}

// emitError marks an error of the receiver of frames, which is not an error of the file.
type emitError struct{ err error }

func (e *emitError) Error() string { return e.err.Error() }

func (e *emitError) Unwrap() error { return e.err }

// FrameSize is the number of bytes of a frame in its layout, the most for subsampled ones.
func (i Info) FrameSize() int64 { return int64(i.Width) * int64(i.Height) * int64(i.Layout.Bytes()) }
