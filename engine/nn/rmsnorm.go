package nn

import (
	"math"

	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// RMSNorm divides x by the root of the mean square over its last axis and multiplies by the weight [C] of scope s.
func (b *Builder) RMSNorm(s *weights.Scope, x *onnx.Value, eps float32) *onnx.Value {
	b.At(s.Prefix())
	return b.Graph.RMSNorm(x, b.small(s.Weight("weight", x.Dim(-1).N)), eps)
}

// HeadRMSNorm is RMSNorm over each head of x [B,S,heads*D], with the weight [D] of scope s.
func (b *Builder) HeadRMSNorm(s *weights.Scope, x *onnx.Value, heads int, eps float32) *onnx.Value {
	return b.byHead(s, x, heads, func(y *onnx.Value) *onnx.Value { return b.RMSNorm(s, y, eps) })
}

// HeadLayerNorm is LayerNorm over each head of x [B,S,heads*D], with the weight and optional bias [D] of scope s.
func (b *Builder) HeadLayerNorm(s *weights.Scope, x *onnx.Value, heads int, eps float32) *onnx.Value {
	return b.byHead(s, x, heads, func(y *onnx.Value) *onnx.Value { return b.LayerNorm(s, y, eps) })
}

// byHead shows x [B,S,heads*D] to f as [B,S,heads,D].
func (b *Builder) byHead(s *weights.Scope, x *onnx.Value, heads int, f func(*onnx.Value) *onnx.Value) *onnx.Value {
	b.At(s.Prefix())
	y := b.Reshape(x, x.Dim(0), x.Dim(1), onnx.D(heads), onnx.Infer)
	return b.Reshape(f(y), x.Shape...)
}

// ChannelRMSNorm scales each vector of channels of x [B,C,…] to the length √C and multiplies by weight [C,1,…], which is
// called name in scope s (upstream: the VAEs of Wan and Qwen Image, F.normalize(x, dim=1)·√C·gamma).
func (b *Builder) ChannelRMSNorm(s *weights.Scope, x *onnx.Value, name string) *onnx.Value {
	b.At(s.Prefix())
	c := x.Dim(1).N
	stored := []int{c}
	for range x.Rank() - 2 {
		stored = append(stored, 1)
	}
	gamma := b.small(s.Weight(name, s.Shape(name)...), stored...)
	const shortest = 1e-12 // torch's bound for the length
	length := b.Max(b.ReduceL2(x, true, 1), b.Const(shortest))
	// The root goes with the length: a product with gamma alone would be folded before there are weights.
	return b.Mul(b.Div(x, b.Mul(length, b.Const(float32(1/math.Sqrt(float64(c)))))), gamma)
}

// RMSNormPlusOne is RMSNorm for a weight that is stored less one.
func (b *Builder) RMSNormPlusOne(s *weights.Scope, x *onnx.Value, eps float32) *onnx.Value {
	b.At(s.Prefix())
	r := s.Weight("weight", x.Dim(-1).N)
	if !r.Missing() {
		r = &weights.Ref{Name: r.Name, Entry: plusOne(r.Entry)}
	}
	return b.Graph.RMSNorm(x, b.small(r), eps)
}

func plusOne(e weights.Entry) weights.Entry {
	return weights.Compute(e.Name, e.Shape, weights.Computation{Op: "plus one", Parts: []weights.Entry{e}, Read: func(dst []float32, from int) error {
		if err := weights.Range(dst, e, from); err != nil {
			return err
		}
		for i := range dst {
			dst[i]++
		}
		return nil
	}})
}
