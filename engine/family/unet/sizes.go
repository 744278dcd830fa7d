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
}

// sizesOf returns the sizes for a latent [N,C,height,width] with patches.
func (m *Model) sizesOf(x *tensor.Tensor, patches patch.GraphPatches) sizes {
	var out sizes
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

// fitting returns the residuals that have the sizes of the network's values. Others are left out, as in upstream, and told to the
// client: a patch has scaled what they would be added to.
func (s sizes) fitting(ctx context.Context, r *family.Residuals) *family.Residuals {
	left := 0
	fit := func(t *tensor.Tensor, at patch.Grid) *tensor.Tensor {
		if t != nil && (t.Dim(2) != at.Height || t.Dim(3) != at.Width) {
			left++
			return nil
		}
		return t
	}
	list := func(ts []*tensor.Tensor, at []patch.Grid) []*tensor.Tensor {
		out := make([]*tensor.Tensor, len(ts))
		for i, t := range ts {
			out[i] = fit(t, at[i]) // Steered.CheckResiduals has compared the numbers
		}
		return out
	}
	out := &family.Residuals{Input: list(r.Input, s.input), Output: list(r.Output, s.skips), Middle: fit(r.Middle, s.middle)}
	if left > 0 {
		warning.Add(ctx, fmt.Sprintf("the ControlNet does not act on %d layers in some steps: PatchModelAddDownscale scales the latent there", left))
	}
	return out
}
