package unet

import (
	"context"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/patch"
	"comfygo/engine/tensor"
	"comfygo/engine/warning"
	"comfygo/engine/weights"
)

// sizes are the heights and widths inside the network for a latent.
type sizes struct {
	// attention are those at which the transformer blocks work, in order.
	attention []patch.Grid
	// input are what the input blocks give, before patches; skips what they pass to the output blocks, after them.
	input, skips []patch.Grid
	middle       patch.Grid
	// channels are those of the input blocks; the middle has as many as the last of them.
	channels []int
}

// Skips are the channels that the input blocks leave to the output blocks, in the order of the input blocks.
func (m *Model) Skips() []int {
	s := weights.NewScope(m.Source).At("input_blocks")
	out := make([]int, s.Count(""))
	width := m.ModelChannels
	for i := range out {
		for _, name := range []string{"0.out_layers.3.weight", "0.op.weight"} {
			if sh := s.Index(i).Shape(name); len(sh) == 4 {
				width = sh[0]
				break
			}
		}
		out[i] = width
	}
	return out
}

// sizesOf returns the sizes for a latent [N,C,height,width] with patches.
func (m *Model) sizesOf(x *tensor.Tensor, patches patch.GraphPatches) sizes {
	out := sizes{channels: m.Skips()}
	s := weights.NewScope(m.Source)
	at := patch.Grid{Height: x.Dim(2), Width: x.Dim(3)}
	blocks := func(b *weights.Scope) {
		for range b.Count("1.transformer_blocks") {
			out.attention = append(out.attention, at)
		}
	}
	for i := range s.Count("input_blocks") {
		b := s.At("input_blocks").Index(i)
		if b.Has("0.op.weight") {
			at = patch.Grid{Height: (at.Height + 1) / 2, Width: (at.Width + 1) / 2}
		}
		blocks(b)
		out.input = append(out.input, at)
		at = patches.Resized(patch.InputBlock, i, at)
		out.skips = append(out.skips, at)
		at = patches.Resized(patch.InputSkip, i, at)
	}
	out.middle = at
	blocks(s.At("middle_block"))
	for i := range s.Count("output_blocks") {
		at = out.skips[max(len(out.skips)-1-i, 0)]
		blocks(s.At("output_blocks").Index(i))
	}
	return out
}

// fitting returns the residuals that have the shapes of the network's values, and how many have not.
func (s sizes) fitting(r *family.Residuals) (fit *family.Residuals, left int) {
	one := func(t *tensor.Tensor, at patch.Grid, channels int) *tensor.Tensor {
		if t != nil && (t.Dim(1) != channels || t.Dim(2) != at.Height || t.Dim(3) != at.Width) {
			left++
			return nil
		}
		return t
	}
	list := func(ts []*tensor.Tensor, at []patch.Grid) []*tensor.Tensor {
		out := make([]*tensor.Tensor, len(ts))
		for i, t := range ts {
			if i < len(at) {
				out[i] = one(t, at[i], s.channels[i])
			} else if t != nil {
				left++
			}
		}
		return out
	}
	width := 0
	if n := len(s.channels); n > 0 {
		width = s.channels[n-1]
	}
	fit = &family.Residuals{Input: list(r.Input, s.input), Output: list(r.Output, s.skips), Middle: one(r.Middle, s.middle, width)}
	return fit, left
}

// Fitting returns the residuals that have the shapes of the network's values for a latent x [N,C,height,width] without patches,
// and how many have not: upstream adds each one that fits.
func (m *Model) Fitting(x *tensor.Tensor, r *family.Residuals) (fit *family.Residuals, left int) {
	return m.sizesOf(x, nil).fitting(r)
}

// AtSkips returns the outputs of a ControlNet by the skip connections that they are added to: the output half takes them from the
// innermost one on, so that of networks with more input blocks the first outputs are not used. Upstream: apply_control in openaimodel.py.
func (m *Model) AtSkips(outputs []*tensor.Tensor) []*tensor.Tensor {
	at := make([]*tensor.Tensor, weights.NewScope(m.Source).Count("input_blocks"))
	for i := range min(len(at), len(outputs)) {
		at[len(at)-1-i] = outputs[len(outputs)-1-i]
	}
	return at
}

// resizing returns the residuals that fit beside patches that scale the latent inside of the network. Others are left out, as in
// upstream, and told to the client.
func (m *Model) resizing(ctx context.Context, x *tensor.Tensor, patches patch.GraphPatches, r *family.Residuals) *family.Residuals {
	r, left := m.sizesOf(x, patches).fitting(r)
	if left > 0 {
		warning.Add(ctx, fmt.Sprintf("the ControlNet does not act on %d layers in some steps: PatchModelAddDownscale scales the latent there", left))
	}
	return r
}
