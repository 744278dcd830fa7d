package nn

import (
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// Chunks cuts a modulation vector [B,n*C] into n parts [B,1,C], which broadcast to tokens [B,S,C]. A vector a token,
// [B,S,n*C], gives parts [B,S,C].
func (b *Builder) Chunks(v *onnx.Value, n int) []*onnx.Value {
	if v.Rank() == 2 {
		v = b.Unsqueeze(v, 1)
	}
	sizes := make([]int, n)
	for i := range sizes {
		sizes[i] = v.Dim(-1).N / n
	}
	return b.Split(v, -1, sizes...)
}

// Modulate is the layer norm without learned values of x [B,S,C], times 1+scale, plus shift, [B,1,C] or [B,S,C] each
// (adaLN). For [B,1,C] it is one operator.
func (b *Builder) Modulate(x, shift, scale *onnx.Value, eps float32) *onnx.Value {
	return b.Graph.LayerNorm(x, b.Add(scale, b.Const(1)), shift, eps)
}

// ModulateRMS is the RMSNorm of x [B,S,C] with the weight of scope s, times 1+scale, plus shift (nil for none), [B,1,C] or
// [B,S,C] each.
func (b *Builder) ModulateRMS(s *weights.Scope, x, shift, scale *onnx.Value, eps float32) *onnx.Value {
	y := b.Mul(b.RMSNorm(s, x, eps), b.Add(scale, b.Const(1)))
	if shift == nil {
		return y
	}
	return b.Add(y, shift)
}

// Gated is x + gate·y, where gate is [B,1,C] or [B,S,C] for x and y [B,S,C].
func (b *Builder) Gated(x, y, gate *onnx.Value) *onnx.Value { return b.Add(x, b.Mul(gate, y)) }

// GEGLU is value·GELU(gate), with the tanh form of GELU when tanh is set.
func (b *Builder) GEGLU(value, gate *onnx.Value, tanh bool) *onnx.Value {
	return b.Mul(value, b.Gelu(gate, tanh))
}

// SwiGLU is value·SiLU(gate).
func (b *Builder) SwiGLU(value, gate *onnx.Value) *onnx.Value { return b.Mul(b.SiLU(gate), value) }

// Halves cuts the last axis of x in two.
func (b *Builder) Halves(x *onnx.Value) (first, second *onnx.Value) {
	n := x.Dim(-1).N
	parts := b.Split(x, -1, n/2, n-n/2)
	return parts[0], parts[1]
}
