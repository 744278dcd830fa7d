package png

import (
	"encoding/binary"
	"errors"
	"fmt"
	"image"

	"comfygo/internal/imaging/codec"
)

// How a frame of an animation leaves the canvas (PNG, third edition, 11.3.6.2).
const (
	disposeBackground = 1
	disposePrevious   = 2
)

// animationFrame is one frame of an animation: an image to be laid on the canvas.
type animationFrame struct {
	at      image.Rectangle
	dispose byte
	over    bool     // blended with what is there
	parts   [][]byte // the compressed pixels
}

// file is a PNG file taken apart.
type file struct {
	*header
	orientation int
	parts       [][]byte // the compressed pixels of the still image
	frames      []animationFrame
}

// maxFrames bounds the frames that are taken note of; the limits refuse files with more.
const maxFrames = 1 << 20

var errNoHeader = errors.New("its header ends early")

// read takes a file apart. An image before the first frame control is for programs that know no animations.
func read(data []byte) (*file, error) {
	f := &file{orientation: 1}
	var err error
	animated := false
	chunks(data, func(kind string, b []byte) bool {
		if kind == "IHDR" {
			if f.header == nil {
				f.header, err = parseHeader(b)
			}
			return err == nil
		}
		if f.header == nil {
			return true
		}
		switch kind {
		case "PLTE", "tRNS":
			if len(f.parts) == 0 {
				f.add(kind, b)
			}
		case "eXIf":
			f.orientation = codec.Orientation(b)
		case "acTL":
			animated = len(f.parts) == 0
		case "fcTL":
			if animated && len(f.frames) < maxFrames {
				frame, bad := control(b)
				if bad != nil {
					err = bad
					return len(f.frames) > 0
				}
				f.frames = append(f.frames, frame)
			}
		case "IDAT":
			f.parts = append(f.parts, b)
			if n := len(f.frames); n > 0 {
				f.frames[n-1].parts = append(f.frames[n-1].parts, b)
			}
		case "fdAT":
			const sequence = 4
			if n := len(f.frames); n > 0 && len(b) >= sequence {
				f.frames[n-1].parts = append(f.frames[n-1].parts, b[sequence:])
			}
		}
		return true
	})
	switch {
	case f.header == nil && err == nil:
		return nil, errNoHeader
	case err != nil && len(f.frames) == 0 && len(f.parts) == 0:
		return nil, err
	case len(f.parts) == 0:
		return nil, errors.New("there are no pixels in it")
	}
	return f, nil
}

func control(b []byte) (animationFrame, error) {
	const size = 26
	if len(b) != size {
		return animationFrame{}, fmt.Errorf("a frame control of %d bytes", len(b))
	}
	var n [4]int // width, height, left, top
	for i := range n {
		v := binary.BigEndian.Uint32(b[4+4*i:])
		if v > 1<<30 {
			return animationFrame{}, fmt.Errorf("a frame's position or size is %d", v)
		}
		n[i] = int(v)
	}
	return animationFrame{at: image.Rect(n[2], n[3], n[2]+n[0], n[3]+n[1]), dispose: b[24], over: b[25] == 1}, nil
}
