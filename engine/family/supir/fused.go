package supir

import (
	"comfygo/engine/family/unet"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// fused are the adapters in a graph that is being written.
type fused struct {
	*unet.Writer
	adapters *weights.Scope
	// next is one more than the number of the next adapter.
	next int
	// features are those of the copy that are left, last is the one that was taken last. strength is [1].
	features       []*onnx.Value
	last, strength *onnx.Value
}

var _ unet.Fused = (*fused)(nil)

const groups, epsilon = 32, 1e-5

// adapter takes the next adapter.
func (f *fused) adapter() *weights.Scope {
	f.next--
	return f.adapters.Index(f.next)
}

// take takes the next features of the copy.
func (f *fused) take() *onnx.Value {
	end := len(f.features) - 1
	f.last = f.features[end]
	f.features = f.features[:end]
	return f.last
}

// Middle implements unet.Fused.
func (f *fused) Middle(h *onnx.Value) *onnx.Value { return f.joint(nil, h) }

// Join implements unet.Fused.
func (f *fused) Join(h, skip *onnx.Value) *onnx.Value { return f.joint(h, skip) }

// joint adds the copy's features to x, joins it with before, if that is not nil, and scales and shifts the norm of both by what convolutions make
// of the features. Upstream: ZeroSFT.
func (f *fused) joint(before, x *onnx.Value) *onnx.Value {
	s, c := f.adapter(), f.take()
	plain, h := x, f.Add(x, f.Conv2d(s.At("zero_conv"), c, x.Dim(1).N, 1, onnx.Window{Stride: 1}))
	if before != nil {
		plain, h = f.Concat(1, before, x), f.Concat(1, before, h)
	}
	width := h.Dim(1).N
	shared := c.Dim(1).N
	if sh := s.Shape("mlp_shared.0.weight"); len(sh) == 4 {
		shared = sh[0]
	}
	active := f.SiLU(f.Conv2d(s.At("mlp_shared", "0"), c, shared, 3, onnx.Pad1()))
	scale := f.Conv2d(s.At("zero_mul"), active, width, 3, onnx.Pad1())
	shift := f.Conv2d(s.At("zero_add"), active, width, 3, onnx.Pad1())
	n := f.GroupNorm(s.At("param_free_norm"), h, groups, epsilon)
	return f.towards(plain, f.Add(f.Add(n, shift), f.Mul(n, scale)))
}

// towards goes from a towards b, by the strength.
func (f *fused) towards(a, b *onnx.Value) *onnx.Value {
	return f.Add(a, f.Mul(f.Sub(b, a), f.strength))
}

// Upsampled implements unet.Fused: x attends to the features that were joined last. Upstream: ZeroCrossAttn.
func (f *fused) Upsampled(x *onnx.Value) *onnx.Value {
	s, c := f.adapter(), f.last
	a, width := s.At("attn"), x.Dim(1).N
	from := f.GroupNorm(s.At("norm2"), c, groups, epsilon)
	q := f.LinearOfImage(a.At("to_q"), f.GroupNorm(s.At("norm1"), x, groups, epsilon), width)
	k, v := f.LinearOfImage(a.At("to_k"), from, width), f.LinearOfImage(a.At("to_v"), from, width)
	y := f.LinearToImage(a.At("to_out", "0"), f.Attention(q, k, v, nil, max(width/headWidth, 1)), x, width)
	return f.Add(x, f.Mul(y, f.strength))
}
