// Package heif decodes AVIF files: the primary image, or the first frame of a sequence. Transparency is ignored, as in
// ComfyUI.
//
// The decoder is libavif with libaom, compiled to WebAssembly, from the module github.com/gen2brain/avif. It runs in a
// sandbox with memory bounded by what the file announces, and ends with its context.
package heif

import (
	"context"
	"errors"
	"fmt"
	"slices"
	_ "unsafe" // go:linkname

	_ "github.com/gen2brain/avif" // has the decoder

	"comfygo/internal/imaging/codec"
	"comfygo/internal/wasm"
)

// decodeWasm is the module's decoder. The functions of the module know neither contexts nor bounds of memory, and use a
// library of the system where there is one; what they embed is used directly, therefore. A version of the module without
// this variable does not link.
//
//go:linkname decodeWasm github.com/gen2brain/avif.decodeWasm
var decodeWasm []byte

var avif = &wasm.Library{Packed: &decodeWasm}

// maxPixels bounds AVIF images further: the decoder handles about two million pixels a second, and its memory has 32-bit
// addresses.
const maxPixels = 64 << 20

func init() {
	codec.Register(codec.Format{
		Name: "avif", Extensions: []string{"avif"},
		Sniff: func(data []byte) bool {
			b := brands(data)
			return slices.Contains(b, "avif") || slices.Contains(b, "avis")
		},
		Probe:  probe,
		Decode: decode,
	})
}

func probe(data []byte) (codec.Info, error) {
	img, err := read(data)
	if err != nil {
		return codec.Info{}, err
	}
	if pixels := int64(img.width) * int64(img.height); pixels > maxPixels {
		return codec.Info{}, &codec.LimitError{What: "pixels of an avif image", Have: pixels, Most: maxPixels}
	}
	info := codec.Info{Width: img.width, Height: img.height, Frames: 1, Layout: codec.Decoded8, Orientation: img.orientation}
	if img.deep {
		info.Layout = codec.Decoded16
	}
	info.Working = info.FrameSize()
	info.Transient = img.sandbox(len(data)) + info.FrameSize()
	return info, nil
}

// sandbox is the memory that the decoder takes: measured by tools/imagememory.
func (img *image) sandbox(file int) int64 {
	const fixed = 8 << 20
	perPixel := int64(20)
	if img.deep {
		perPixel = 30
	}
	return fixed + int64(file) + perPixel*int64(img.width)*int64(img.height)
}

func decode(ctx context.Context, data []byte, info codec.Info, emit func(*codec.Frame) error) error {
	img, err := read(data)
	if err != nil {
		return err
	}
	const slack = 2
	limit := min(uint64(slack*img.sandbox(len(data))), 1<<32-1<<16) //nolint:gosec // not negative
	i, err := avif.Start(ctx, limit)
	if err != nil {
		return err
	}
	frame, err := run(i, data, img, info)
	i.Close()
	if errors.Is(err, wasm.ErrMemory) {
		err = errMemory
	}
	if err != nil {
		return err
	}
	return emit(frame)
}

// errMemory replaces the message of a sandbox that has run out of memory.
var errMemory = errors.New("the file needs more memory than an image of the size that it announces")

// run decodes the file by libavif.
func run(i *wasm.Instance, data []byte, img *image, info codec.Info) (*codec.Frame, error) {
	file, err := i.Put(data)
	if err != nil {
		return nil, err
	}
	for _, at := range img.aux { // nothing refers to alpha any more
		i.WriteString(file+uint32(at), "skip") //nolint:gosec // within the file
	}
	const words = 4
	answer, err := i.Alloc(4*words + 8)
	if err != nil {
		return nil, err
	}
	call := func(configOnly, out uint64) error {
		a := uint64(answer)
		ok, err := i.Call("decode", uint64(file), uint64(len(data)), configOnly, 0, a, a+4, a+8, a+12, a+16, out)
		if err == nil && ok == 0 {
			err = errors.New("libavif cannot decode it")
		}
		return err
	}
	if err := call(1, 0); err != nil {
		return nil, err
	}
	w, h, deep := i.Word(answer), i.Word(answer+4), i.Word(answer+8) > 8
	if w != info.Width || h != info.Height {
		return nil, fmt.Errorf("its image is %dx%d, announced as %dx%d", w, h, info.Width, info.Height)
	}
	bytes := 1
	if deep {
		bytes = 2
	}
	out, err := i.Alloc(4 * bytes * w * h)
	if err != nil {
		return nil, err
	}
	if err := call(0, uint64(out)); err != nil {
		return nil, err
	}
	pixels, err := i.Read(out, 4*bytes*w*h)
	if err != nil {
		return nil, err
	}
	return frameOf(pixels, w, h, bytes), nil
}

// frameOf copies RGBA of little-endian samples without its alpha.
func frameOf(pixels []byte, w, h, bytes int) *codec.Frame {
	if bytes == 1 {
		f := codec.NewFrame(w, h, codec.Decoded8)
		for i := range w * h {
			copy(f.Pix[3*i:3*i+3], pixels[4*i:])
		}
		return f
	}
	f := codec.NewFrame(w, h, codec.Decoded16)
	for i := range w * h {
		for c := range 3 {
			f.Pix[6*i+2*c], f.Pix[6*i+2*c+1] = pixels[8*i+2*c+1], pixels[8*i+2*c]
		}
	}
	return f
}
