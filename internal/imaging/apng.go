package imaging

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/png"
)

// How a frame of an animated PNG file leaves the canvas (PNG, third edition, 11.3.6.2).
const (
	apngDisposeBackground = 1
	apngDisposePrevious   = 2
)

// apngFrame is one frame of an animated PNG file: a picture to be laid on the canvas.
type apngFrame struct {
	at      image.Rectangle
	dispose byte
	over    bool   // blended with what is there
	data    []byte // the compressed pixels
}

// pngChunk is one that all frames need.
type pngChunk struct {
	kind string
	data []byte
}

// apngFile is an animated PNG file taken apart.
type apngFile struct {
	head   []byte // IHDR
	shared []pngChunk
	frames []apngFrame
}

// animatedPNG tells whether a PNG file announces an animation. Only what comes before its pixels is looked at.
func animatedPNG(data []byte) bool {
	found := false
	none := func(string) bool { return false }
	err := eachChunk(bytes.NewReader(data), none, func(kind string, _ []byte) (bool, error) {
		found = kind == "acTL"
		return !found && kind != "IDAT", nil
	})
	return err == nil && found
}

// countPNG counts the frames of an animation; a still picture has one.
func countPNG(data []byte) (int, error) {
	if !animatedPNG(data) {
		return 1, nil
	}
	n := 0
	none := func(string) bool { return false }
	err := eachChunk(bytes.NewReader(data), none, func(kind string, _ []byte) (bool, error) {
		if kind == "fcTL" {
			n++
		}
		return true, nil
	})
	return max(n, 1), err
}

// decodePNG returns one picture, or the composed frames of an animation.
func decodePNG(data []byte) ([]image.Image, error) {
	if animatedPNG(data) {
		f, err := readAPNG(data)
		if err != nil {
			return nil, err
		}
		if len(f.frames) > 0 {
			return f.compose()
		}
	}
	return single(png.Decode)(data)
}

// readAPNG takes an animated file apart. A picture before the first frame control is for programs that know no animations.
func readAPNG(data []byte) (*apngFile, error) {
	f := &apngFile{}
	var last *apngFrame
	all := func(string) bool { return true }
	err := eachChunk(bytes.NewReader(data), all, func(kind string, data []byte) (bool, error) {
		switch kind {
		case "IHDR":
			f.head = data
		case "PLTE", "tRNS":
			f.shared = append(f.shared, pngChunk{kind, data})
		case "fcTL":
			frame, err := parseControl(data)
			if err != nil {
				return false, err
			}
			f.frames = append(f.frames, frame)
			last = &f.frames[len(f.frames)-1]
		case "IDAT":
			if last != nil {
				last.data = append(last.data, data...)
			}
		case "fdAT":
			const sequence = 4
			if last == nil || len(data) < sequence {
				return false, errors.New("the data of a frame stands alone")
			}
			last.data = append(last.data, data[sequence:]...)
		}
		return true, nil
	})
	const headSize = 13
	if err == nil && len(f.head) != headSize {
		err = errors.New("its header ends early")
	}
	return f, err
}

func parseControl(data []byte) (apngFrame, error) {
	const size = 26
	if len(data) != size {
		return apngFrame{}, fmt.Errorf("a frame control of %d bytes", len(data))
	}
	var n [4]int // width, height, left, top
	for i := range n {
		v := binary.BigEndian.Uint32(data[4+4*i:])
		if v > 1<<30 {
			return apngFrame{}, fmt.Errorf("a frame's position or size is %d", v)
		}
		n[i] = int(v)
	}
	return apngFrame{at: image.Rect(n[2], n[3], n[2]+n[0], n[3]+n[1]), dispose: data[24], over: data[25] == 1}, nil
}

// still makes a PNG file of a frame.
func (f *apngFile) still(frame apngFrame) ([]byte, error) {
	var b bytes.Buffer
	b.Write(pngSignature)
	w := chunkWriter{&b}
	head := binary.BigEndian.AppendUint32(nil, uint32(frame.at.Dx()))
	head = binary.BigEndian.AppendUint32(head, uint32(frame.at.Dy()))
	if err := w.write("IHDR", append(head, f.head[8:]...)); err != nil {
		return nil, err
	}
	for _, c := range f.shared {
		if err := w.write(c.kind, c.data); err != nil {
			return nil, err
		}
	}
	if err := w.write("IDAT", frame.data); err != nil {
		return nil, err
	}
	err := w.write("IEND", nil)
	return b.Bytes(), err
}

// compose lays the frames on each other, beginning with an empty canvas.
func (f *apngFile) compose() ([]image.Image, error) {
	size := image.Rect(0, 0, int(binary.BigEndian.Uint32(f.head)), int(binary.BigEndian.Uint32(f.head[4:])))
	canvas := image.NewNRGBA(size)
	frames := make([]image.Image, 0, len(f.frames))
	alpha := false
	for i, frame := range f.frames {
		if frame.at.Empty() || !frame.at.In(size) {
			return nil, fmt.Errorf("frame %d at %v does not lie on the canvas of %v", i, frame.at, size.Size())
		}
		data, err := f.still(frame)
		if err != nil {
			return nil, err
		}
		img, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			return nil, fmt.Errorf("frame %d: %w", i, err)
		}
		alpha = alpha || hasAlpha(img)
		before := canvas
		if frame.dispose == apngDisposePrevious && i > 0 {
			before = cloneNRGBA(canvas)
		}
		frame.over = frame.over && i > 0 // there is nothing to be blended with
		compose(canvas, toNRGBA(img), frame.at, frame.over, blendPNG)
		frames = append(frames, cloneNRGBA(canvas))
		switch {
		case frame.dispose == apngDisposePrevious && i > 0:
			canvas = before
		case frame.dispose == apngDisposePrevious || frame.dispose == apngDisposeBackground:
			fillRows(canvas, frame.at, func(to []byte, _ int) { clear(to) })
		}
	}
	if !alpha {
		opaqueFrames(frames)
	}
	return frames, nil
}

// opaqueFrames makes the frames of a file without transparency what hasAlpha takes for opaque.
func opaqueFrames(frames []image.Image) {
	for i, f := range frames {
		img := f.(*image.NRGBA)
		for k := 3; k < len(img.Pix); k += 4 {
			img.Pix[k] = 255
		}
		frames[i] = &image.RGBA{Pix: img.Pix, Stride: img.Stride, Rect: img.Rect}
	}
}

// blendPNG blends a pixel without premultiplication (PNG, third edition, 13.16), rounded as FFmpeg rounds.
func blendPNG(to, from []byte) {
	front, back := int(from[3]), int(to[3])
	switch {
	case front == 255 || back == 0:
		copy(to, from)
		return
	case front == 0:
		return
	}
	share := func(v int) int { return (v + 128) * 257 >> 16 } // a 255th, rounded
	a := front + share((255-front)*back)
	for c := range 3 {
		if back == 255 {
			to[c] = byte(share(front*int(from[c]) + (255-front)*int(to[c])))
		} else {
			to[c] = byte((255*front*int(from[c]) + (255-front)*back*int(to[c])) / (255 * a))
		}
	}
	to[3] = byte(a)
}
