package nn

import (
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// ToTokens turns an image [B,C,H,W] into tokens [B,H·W,C].
func (b *Builder) ToTokens(x *onnx.Value) *onnx.Value { return b.ImageToTokens(x) }

// FromTokens turns tokens [B,H·W,C] back into an image of the shape of like [B,C,H,W].
func (b *Builder) FromTokens(x, like *onnx.Value) *onnx.Value { return b.TokensToImage(x, like) }

// LinearOfImage is Linear of the tokens of an image [B,C,H,W], [B,H·W,out].
func (b *Builder) LinearOfImage(s *weights.Scope, x *onnx.Value, out int) *onnx.Value {
	if y, ok := b.pointwise(s, x, out); ok {
		return b.ToTokens(y)
	}
	return b.Linear(s, b.ToTokens(x), out)
}

// LinearToImage is Linear of tokens [B,H·W,C] as an image [B,out,H,W] with the height and width of like.
func (b *Builder) LinearToImage(s *weights.Scope, x, like *onnx.Value, out int) *onnx.Value {
	if b.lasts(like) && b.IsChannelsLast(like) && x.Dim(-1) == like.Dim(1) {
		if y, ok := b.pointwise(s, b.FromTokens(x, like), out); ok {
			return y
		}
	}
	return b.FromTokens(b.Linear(s, x, out), like)
}

// pointwise applies the linear weight of scope s to the channels of an image as a convolution, whose kernel adds the bias, where
// that is the form for the target.
func (b *Builder) pointwise(s *weights.Scope, x *onnx.Value, out int) (*onnx.Value, bool) {
	if !b.lasts(x) || !b.IsChannelsLast(x) || b.adapted(s) {
		return nil, false
	}
	b.At(s.Prefix())
	in := x.Dim(1).N
	r := b.linearWeight(s, out, in)
	w := b.lastWeight(r, []int{out, in, 1, 1})
	return b.ConvLast(x, w, b.optional(s.Optional("bias", out)), onnx.Window{Stride: 1}), true
}

// Attention is softmax(q·kᵀ/√d)·v over heads of equal width d; see onnx.Graph.MultiHeadAttention for shapes.
func (b *Builder) Attention(q, k, v, mask *onnx.Value, heads int) *onnx.Value {
	d := q.Dim(-1).N / heads
	return b.MultiHeadAttention(q, k, v, mask, heads, float32(1/math.Sqrt(float64(d))), false)
}

// CausalAttention is Attention in which each token attends only to itself and the tokens before it.
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
