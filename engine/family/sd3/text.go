// Package sd3 is the family of Stable Diffusion 3 and 3.5: the diffusion models and their text encoding, CLIP-L and CLIP-G
// side by side, then T5-XXL.
package sd3

import (
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/clip"
	"comfygo/engine/family/t5"
	"comfygo/engine/tensor"
)

// Scheme is the type of the family's text encoders in the CLIP loaders.
const Scheme = "sd3"

// The widths of the encoders and of their joined encoding.
const (
	widthL = 768
	widthG = 1280
	width  = 4096
	// tokens is the length of the encoding without any encoder.
	tokens = 77
)

func init() { family.Register(scheme{}) }

// scheme joins the encoders. Each of them may be missing: its part is zero then.
type scheme struct{}

// Name implements family.Family.
func (scheme) Name() string { return "Stable Diffusion 3" }

// Rank implements family.Family.
func (scheme) Rank() int { return 40 }

// Type implements family.Scheme.
func (scheme) Type() string { return Scheme }

// Encoders implements family.Scheme.
func (scheme) Encoders() []family.SchemeEncoder {
	return []family.SchemeEncoder{
		{Key: clip.KeyL, Optional: true, Options: family.EncodeOptions{Layer: -2, RawHidden: true}},
		{Key: clip.KeyG, Optional: true, Options: family.EncodeOptions{Layer: -2, RawHidden: true, Projected: true}},
		{Key: t5.KeyXXL, Optional: true, Layout: family.MinLength(tokens)},
	}
}

// Join implements family.Scheme. Upstream: text_encoders/sd3_clip.py SD3ClipModel.
func (scheme) Join(parts map[string]family.Encoding) (family.Encoding, error) {
	l, g, xxl := parts[clip.KeyL], parts[clip.KeyG], parts[t5.KeyXXL]
	out := family.Encoding{Pooled: tensor.New(1, widthL+widthG), Mask: xxl.Mask}
	if err := place(out.Pooled, l.Pooled, 1, 0, widthL); err != nil {
		return out, fmt.Errorf("joining the pooled encoding of %s: %w", clip.KeyL, err)
	}
	if err := place(out.Pooled, g.Pooled, 1, widthL, widthG); err != nil {
		return out, fmt.Errorf("joining the pooled encoding of %s: %w", clip.KeyG, err)
	}
	n := length(l.Hidden, g.Hidden)
	if n == 0 && xxl.Hidden == nil {
		n = tokens
	}
	total := n
	if xxl.Hidden != nil {
		total += xxl.Hidden.Dim(1)
	}
	out.Hidden = tensor.New(1, total, width)
	if err := place(out.Hidden, l.Hidden, n, 0, widthL); err != nil {
		return out, fmt.Errorf("joining the encoding of %s: %w", clip.KeyL, err)
	}
	if err := place(out.Hidden, g.Hidden, n, widthL, widthG); err != nil {
		return out, fmt.Errorf("joining the encoding of %s: %w", clip.KeyG, err)
	}
	if xxl.Hidden == nil {
		return out, nil
	}
	behind := &tensor.Tensor{Shape: []int{1, total - n, width}, Data: out.Hidden.Data[n*width:]}
	if err := place(behind, xxl.Hidden, total-n, 0, width); err != nil {
		return out, fmt.Errorf("joining the encoding of %s: %w", t5.KeyXXL, err)
	}
	return out, nil
}

// length is the number of tokens of the joined CLIP encodings: the smaller number, or 0 without encodings.
func length(l, g *tensor.Tensor) int {
	switch {
	case l == nil && g == nil:
		return 0
	case l == nil:
		return g.Dim(1)
	case g == nil:
		return l.Dim(1)
	}
	return min(l.Dim(1), g.Dim(1))
}

// place copies the first n rows of from, of the given width, to the columns of to from column on. from may be nil.
func place(to, from *tensor.Tensor, n, column, w int) error {
	if from == nil {
		return nil
	}
	if got := from.Dim(len(from.Shape) - 1); got != w {
		return fmt.Errorf("it is %d wide, wanted %d: the file is of another text encoder", got, w)
	}
	all := to.Dim(len(to.Shape) - 1)
	for i := range n {
		copy(to.Data[i*all+column:][:w], from.Data[i*w:])
	}
	return nil
}
