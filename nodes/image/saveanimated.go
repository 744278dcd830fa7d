package image

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/internal/imaging/webpwrite"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&SaveAnimatedWEBP{})
	nodes.Register(&SaveAnimatedPNG{})
}

// SaveAnimatedWEBP writes a batch of images as one animated WebP file.
type SaveAnimatedWEBP struct {
	Images         *tensor.Tensor `in:"images" type:"IMAGE"`
	FilenamePrefix string         `in:"filename_prefix" default:"ComfyUI"`
	FPS            float64        `in:"fps" default:"6.0" min:"0.01" max:"1000.0" step:"0.01"`
	Lossless       bool           `in:"lossless" default:"true"`
	Quality        int            `in:"quality" default:"80" min:"0" max:"100"`
	Method         string         `in:"method" options:"default|fastest|slowest"`
}

// Spec implements nodes.Node.
func (*SaveAnimatedWEBP) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SaveAnimatedWEBP", DisplayName: "Save Animated WEBP", Category: "image",
		Module: moduleImages, V3: true,
		Outputs:     []nodes.Output{{Type: "IMAGE", Name: "images"}},
		OutputNode:  true,
		Description: "Saves a batch of images as an animated WebP file in the output folder.",
		Uses:        nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*SaveAnimatedWEBP) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node.
func (n *SaveAnimatedWEBP) Run(ctx *nodes.Context) (nodes.Result, error) {
	s, err := newAnimation(n.Images, n.FPS)
	if err != nil {
		return nodes.Result{}, err
	}
	o := webpwrite.Options{
		Lossless: n.Lossless, Quality: n.Quality, EXIF: nil,
		Method: map[string]int{"default": 4, "fastest": 0, "slowest": 6}[n.Method],
	}
	if o.EXIF, err = webpEXIF(ctx, s.count > 1); err != nil {
		return nodes.Result{}, err
	}
	return s.save(ctx, n.Images, n.FilenamePrefix, ".webp", func(w io.Writer) error {
		return webpwrite.WriteAnimation(ctx, w, s.count, s.duration, o, func(i int) (webpwrite.Image, error) {
			pix, err := s.frame(ctx, i)
			return webpwrite.Image{Pix: pix, Width: s.width, Height: s.height, Channels: s.channels}.Colored(), err
		})
	})
}

// SaveAnimatedPNG writes a batch of images as one animated PNG file.
type SaveAnimatedPNG struct {
	Images         *tensor.Tensor `in:"images" type:"IMAGE"`
	FilenamePrefix string         `in:"filename_prefix" default:"ComfyUI"`
	FPS            float64        `in:"fps" default:"6.0" min:"0.01" max:"1000.0" step:"0.01"`
	CompressLevel  int            `in:"compress_level" advanced:"true" default:"4" min:"0" max:"9"`
}

// Spec implements nodes.Node.
func (*SaveAnimatedPNG) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SaveAnimatedPNG", DisplayName: "Save Animated PNG", Category: "image",
		Module: moduleImages, V3: true,
		Outputs:     []nodes.Output{{Type: "IMAGE", Name: "images"}},
		OutputNode:  true,
		Description: "Saves a batch of images as an animated PNG file in the output folder.",
		Uses:        nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*SaveAnimatedPNG) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node.
func (n *SaveAnimatedPNG) Run(ctx *nodes.Context) (nodes.Result, error) {
	s, err := newAnimation(n.Images, n.FPS)
	if err != nil {
		return nodes.Result{}, err
	}
	text, err := pngText(ctx)
	if err != nil {
		return nodes.Result{}, err
	}
	var after []imaging.PrivateChunk
	for _, t := range text {
		data, err := t.Latin1()
		if err != nil {
			return nodes.Result{}, nodes.Errorf("UnicodeEncodeError", "%w", err)
		}
		after = append(after, imaging.PrivateChunk{Kind: "comf", Data: data})
	}
	return s.save(ctx, n.Images, n.FilenamePrefix, ".png", func(w io.Writer) error {
		return imaging.WriteAPNG(w, s.width, s.height, s.channels, s.count, s.duration, n.CompressLevel, after, func(i int) ([]byte, error) { return s.frame(ctx, i) })
	})
}

// animation is a batch that becomes one file.
type animation struct {
	images                         *tensor.Tensor
	count, height, width, channels int
	duration                       int // of a frame, in milliseconds
}

func newAnimation(images *tensor.Tensor, fps float64) (*animation, error) {
	t := grayToo(images)
	if t == nil || len(t.Shape) != 4 || t.Shape[0] == 0 {
		return nil, nodes.Errorf("ValueError", "saving an animation: images is an empty batch")
	}
	s := &animation{images: t, count: t.Shape[0], height: t.Shape[1], width: t.Shape[2], channels: t.Shape[3]}
	if s.width < 1 || s.height < 1 || s.channels < 1 || s.channels > 4 {
		return nil, nodes.Errorf("ValueError", "saving an animation: images are %dx%d with %d channels; 1 to 4 channels can be saved", s.width, s.height, s.channels)
	}
	const slowest = 1 << 24 // a frame of WebP cannot stay longer
	d := 1000 / fps
	if !(d >= 0 && d < slowest) {
		return nil, nodes.Errorf("ValueError", "saving an animation: fps is %v; it has to be at least 0.01", fps)
	}
	s.duration = int(d)
	return s, nil
}

func (s *animation) frame(ctx context.Context, i int) ([]byte, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return imaging.ToBytes(s.images.Index(i).Data), nil
}

// save writes the file and notifies the client.
func (s *animation) save(ctx *nodes.Context, images *tensor.Tensor, prefix, ext string, write func(io.Writer) error) (nodes.Result, error) {
	to, err := savePath(ctx, prefix, "output", s.width, s.height)
	if err != nil {
		return nodes.Result{}, err
	}
	name, err := to.Write(0, ext, write)
	if cause := context.Cause(ctx); cause != nil {
		return nodes.Result{}, cause
	}
	if err != nil {
		return nodes.Result{}, nodes.Errorf("OSError", "saving an animation: %w", err)
	}
	r := nodes.Out(images).AddUI("images", []any{fileEntry(name, to, "output")})
	if s.count > 1 {
		r = r.AddUI("animated", []any{true})
	}
	return r, nil
}

// webpEXIF returns the metadata as ComfyUI writes it to WebP files: the prompt as the camera's model, what the client sent
// as its make and the tags below. Animations have EXIF's signature before it.
func webpEXIF(ctx *nodes.Context, animated bool) ([]byte, error) {
	texts, err := pngText(ctx)
	if err != nil || len(texts) == 0 {
		return nil, err
	}
	const makeTag, modelTag, lowest = 0x010F, 0x0110, 0x0100
	type entry struct {
		tag  int
		text string
	}
	var entries []entry
	next := makeTag
	for _, t := range texts {
		e := entry{next, t.Key + ":" + t.Value}
		if t.Key == "prompt" && len(entries) == 0 && ctx.Prompt() != nil {
			e.tag = modelTag
		} else if next--; e.tag < lowest {
			ctx.Log.Warn("leaving out image metadata: there are more entries than a webp file holds", "name", t.Key)
			continue
		}
		if e.tag == modelTag {
			entries = append(entries, e)
		} else { // directories are sorted by tag
			entries = append([]entry{e}, entries...)
		}
	}
	const headSize, entrySize = 8, 12
	at := headSize + 2 + entrySize*len(entries) + 4
	var out, data []byte
	if animated {
		out = append(out, "Exif\x00\x00"...)
	}
	out = append(out, "MM\x00*\x00\x00\x00\x08"...)
	out = binary.BigEndian.AppendUint16(out, uint16(len(entries))) //nolint:gosec // at most 17
	for _, e := range entries {
		const ascii, inline = 2, 4
		text := append(asciiOnly(e.text), 0)
		if at+len(data)+len(text) > 1<<31 {
			return nil, fmt.Errorf("writing metadata: it is larger than 2 GiB")
		}
		out = binary.BigEndian.AppendUint16(out, uint16(e.tag)) //nolint:gosec // a tag
		out = binary.BigEndian.AppendUint16(out, ascii)
		out = binary.BigEndian.AppendUint32(out, uint32(len(text))) //nolint:gosec // checked above
		if len(text) <= inline {
			out = append(out, append(text, make([]byte, inline-len(text))...)...)
			continue
		}
		out = binary.BigEndian.AppendUint32(out, uint32(at+len(data))) //nolint:gosec // checked above
		if data = append(data, text...); len(text)%2 != 0 {
			data = append(data, 0)
		}
	}
	return append(append(out, 0, 0, 0, 0), data...), nil
}

// asciiOnly writes "?" for other characters, as Python's "replace" does.
func asciiOnly(s string) []byte {
	out := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 127 {
			r = '?'
		}
		out = append(out, byte(r))
	}
	return out
}
