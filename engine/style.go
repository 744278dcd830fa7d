package engine

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// Style is the value of STYLE_MODEL links: a network that converts encoded images to text tokens.
type Style struct {
	rt   *Runtime
	file *file
	net  family.StyleNetwork
}

// LoadStyle opens the style model in the file at path.
func (rt *Runtime) LoadStyle(path string) (*Style, error) {
	f, err := rt.files.Get(path)
	if err != nil {
		return nil, err
	}
	net, err := f.Parts.Style()
	if err != nil {
		return nil, fmt.Errorf("loading the style model: %w", err)
	}
	return &Style{rt, f, net}, nil
}

// Apply returns the conditioning with the tokens of all images after those of the text. strength multiplies the tokens, or,
// with bias, the attention of everything else to them: then entries carry an attention mask [rows,T,T] of the text, the
// tokens and one place that represents the image, to which the logarithm is added (upstream: nodes.py StyleModelApply).
func (s *Style) Apply(ctx context.Context, to Conditioning, image family.ImageEncoding, strength float64, bias bool) (Conditioning, error) {
	tokens, err := s.net.Tokens(ctx, s.rt.runner(family.RoleVision, false, s.file), image.Last)
	if err != nil {
		return nil, err
	}
	n, width := tokens.Dim(0)*tokens.Dim(1), tokens.Dim(2)
	if !bias {
		for i := range tokens.Data {
			tokens.Data[i] *= float32(strength)
		}
	}
	out := make(Conditioning, len(to))
	for i, entry := range to {
		if entry.Tokens == nil || len(entry.Tokens.Shape) != 3 || entry.Tokens.Dim(2) != width || entry.Tokens.Dim(0) != 1 {
			var shape []int
			if entry.Tokens != nil {
				shape = entry.Tokens.Shape
			}
			return nil, fmt.Errorf("applying a style model: the text encoding has shape %v, the model's tokens have width %d: they are for different families; use a style model for the family of the text encoding", shape, width)
		}
		text := entry.Tokens.Dim(1)
		joined := tensor.New(1, text+n, width)
		copy(joined.Data[copy(joined.Data, entry.Tokens.Data):], tokens.Data)
		entry.Tokens = joined
		mask, _ := entry.Values[sampling.KeyAttentionMask].(*tensor.Tensor)
		if _, own := entry.Values[sampling.KeyMaskImage]; bias && strength != 1 || mask != nil && own {
			factor := 1.0
			if bias {
				factor = strength
			}
			if mask, err = s.mask(mask, text, n, halved(math.Log(factor))); err != nil {
				return nil, err
			}
			entry = entry.With(map[string]any{sampling.KeyAttentionMask: mask, sampling.KeyMaskImage: []int{1, 1}})
		}
		out[i] = entry
	}
	return out, nil
}

// halved rounds to float16, in which upstream keeps these masks.
func halved(v float64) float32 {
	e := weights.Entry{DType: dtype.F16, Shape: []int{1}, Data: make([]byte, 2)}
	_ = weights.FromFloat32(e.Data, []float32{float32(v)}, dtype.F16) // the lengths fit
	out := make([]float32, 1)
	_ = weights.ToFloat32(out, e)
	return out[0]
}

// mask makes room for n tokens after the text in an attention mask [1,T,T] whose last place is the image's; without one
// nothing was biased so far.
func (s *Style) mask(before *tensor.Tensor, text, n int, bias float32) (*tensor.Tensor, error) {
	if before == nil {
		before = tensor.New(1, text+1, text+1)
	}
	if len(before.Shape) != 3 || before.Dim(1) != text+1 || before.Dim(2) != text+1 {
		return nil, fmt.Errorf("applying a style model: the attention mask has shape %v for %d tokens of text", before.Shape, text)
	}
	size := text + n + 1
	if err := s.rt.checkHost("the attention mask of a style model", family.Product(size, size, 4)); err != nil {
		return nil, err
	}
	out := tensor.New(1, size, size)
	place := func(i int) int {
		if i < text {
			return i
		}
		return i + n
	}
	for i := range text + 1 {
		row := out.Data[place(i)*size : (place(i)+1)*size]
		for j := range text + 1 {
			row[place(j)] = before.Data[i*(text+1)+j]
		}
		for j := text; j < text+n; j++ {
			row[j] = bias
		}
	}
	return out, nil
}
