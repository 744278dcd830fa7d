package dit

import (
	"strconv"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// AttachedName is the place of the weights of the model patch number k among those of the model.
func AttachedName(k int) string { return "model_patch." + strconv.Itoa(k) }

// WithAttached shows a model's weights with those of model patches at their places.
func WithAttached(src weights.Source, list []family.Attached) weights.Source {
	for k, a := range list {
		own, from := a.Net.Weights(), map[string]string{}
		for _, name := range own.Names() {
			from[AttachedName(k)+"."+name] = name
		}
		src = Overlay(src, own, from)
	}
	return src
}

// AttachedValues are the inputs of a model patch: its values and its strength.
func AttachedValues(k int, a family.Attached) []family.Value {
	return []family.Value{family.Floats(AttachedName(k), a.Input), family.Floats(AttachedName(k)+".strength", &tensor.Tensor{Shape: []int{1}, Data: []float32{a.Strength}})}
}

// AttachedInputs declares the inputs of a model patch: its values, of the given shape, and its strength [1].
func AttachedInputs(b *nn.Builder, k int, shape ...onnx.Dim) (input, strength *onnx.Value) {
	return Input(b, AttachedName(k), shape...), b.Cast(b.Input(AttachedName(k)+".strength", dtype.F32, onnx.D(1)), b.Target.Compute)
}

// OnFirst has f change tokens [from, to) of x [B,S,C].
func OnFirst(b *nn.Builder, x *onnx.Value, from, to onnx.Dim, f func(x *onnx.Value) *onnx.Value) *onnx.Value {
	if from.Is(0) && to == x.Dim(1) {
		return f(x)
	}
	parts := []*onnx.Value{f(b.SliceDims(x, 1, from, to))}
	if !from.Is(0) {
		parts = append([]*onnx.Value{b.SliceDims(x, 1, onnx.D(0), from)}, parts...)
	}
	if to != x.Dim(1) {
		parts = append(parts, b.SliceDims(x, 1, to, x.Dim(1)))
	}
	return b.Concat(1, parts...)
}
