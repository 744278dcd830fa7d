package nn

import "comfygo/engine/onnx"

// GroupNormForms normalises x [B,C,…] in groups without learned values, in every form that GroupNorm is written in.
func (b *Builder) GroupNormForms(x *onnx.Value, groups int, eps float32) map[string]*onnx.Value {
	g := b.inGroups(x, groups)
	return map[string]*onnx.Value{
		"instance norm": b.ReshapeLike(b.groupsByInstanceNorm(g, eps), x),
		"layer norm":    b.ReshapeLike(b.groupsByLayerNorm(g, eps), x),
	}
}
