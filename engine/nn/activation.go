package nn

import (
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// PRelu applies a rectifier whose negative slope is learned for each channel, weight [C] of scope s, to x [B,C,H,W].
func (b *Builder) PRelu(s *weights.Scope, x *onnx.Value) *onnx.Value {
	b.At(s.Prefix())
	c := x.Dim(1).N
	return b.Graph.PRelu(x, b.small(s.Weight("weight", c), c, 1, 1))
}
