package nn

import (
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/onnx"
)

// ToTokens turns a picture [B,C,H,W] into tokens [B,H·W,C].
func (b *Builder) ToTokens(x *onnx.Value) *onnx.Value {
	return b.Transpose(b.Reshape(x, x.Dim(0), x.Dim(1), onnx.Infer), 0, 2, 1)
}

// FromTokens turns tokens [B,H·W,C] back into a picture of the shape of like [B,C,H,W].
func (b *Builder) FromTokens(x, like *onnx.Value) *onnx.Value {
	return b.ReshapeLike(b.Transpose(x, 0, 2, 1), like)
}

// Attention is softmax(q·kᵀ/√d)·v over heads of equal width d; see onnx.Graph.MultiHeadAttention for shapes.
func (b *Builder) Attention(q, k, v, mask *onnx.Value, heads int) *onnx.Value {
	d := q.Dim(-1).N / heads
	return b.MultiHeadAttention(q, k, v, mask, heads, float32(1/math.Sqrt(float64(d))), false)
}

// CausalAttention is Attention in which each token sees only itself and the tokens before it.
func (b *Builder) CausalAttention(q, k, v *onnx.Value, heads int) *onnx.Value {
	d := q.Dim(-1).N / heads
	return b.MultiHeadAttention(q, k, v, nil, heads, float32(1/math.Sqrt(float64(d))), true)
}

// TimestepEmbedding maps timesteps t [B] (float32) to [B,dim] in the compute type: cosines, then sines, of t at dim/2
// frequencies from 1 down to 1/10000 (upstream: ldm/modules/diffusionmodules/util.py timestep_embedding).
func (b *Builder) TimestepEmbedding(t *onnx.Value, dim int) *onnx.Value {
	half := dim / 2
	freqs := make([]float32, half)
	k := float32(-math.Log(10000))
	for i := range freqs {
		freqs[i] = float32(math.Exp(float64(k * float32(i) / float32(half))))
	}
	args := b.Mul(b.Unsqueeze(t, 1), b.Floats(freqs, 1, half))
	e := b.Concat(1, b.Cos(args), b.Sin(args))
	if dim%2 == 1 {
		e = b.Concat(1, e, b.Mul(b.Unsqueeze(t, 1), b.Scalar(dtype.F32, 0)))
	}
	return b.Cast(e, b.Target.Compute)
}
