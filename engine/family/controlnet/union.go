package controlnet

import (
	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/unet"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// kindWidth is the width of the embedding of whether a hint is of one kind.
const kindWidth = 256

// typeValues are the inputs of a union network that knows n kinds of hints: the embedding of each kind's one or zero, and
// the kind. Upstream: ControlAddEmbedding.forward.
func typeValues(n int, types []int) []family.Value {
	var flags []float32
	for i := range n {
		is := 0.0
		for _, t := range types {
			if t == i {
				is = 1
			}
		}
		flags = unet.TimestepEmbedding(flags, is, kindWidth)
	}
	in := []family.Value{family.Floats("kinds", &tensor.Tensor{Shape: []int{1, len(flags)}, Data: flags})}
	if len(types) > 0 {
		in = append(in, family.Ints("kind", []int64{int64(types[0])}, 1))
	}
	return in
}

// kinds is the contribution of the hint types to the time embedding [1,4·ModelChannels].
func (w *writer) kinds(s *weights.Scope, cfg Config) *onnx.Value {
	dim := 4 * cfg.UNet.ModelChannels
	x := w.Cast(w.Input("kinds", dtype.F32, onnx.D(1), onnx.D(kindWidth*cfg.Types)), w.Target.Compute)
	s = s.At("control_add_embedding")
	return w.Linear(s.At("linear_2"), w.SiLU(w.Linear(s.At("linear_1"), x, dim)), dim)
}

// union adds a transformer's result for their mean and the embedding of the hint's type to the hint's features [B,C,h,w].
// Upstream: union_controlnet_merge, with one type at a time.
func (w *writer) union(s *weights.Scope, cfg Config, features *onnx.Value) *onnx.Value {
	const heads = 8
	dim := features.Dim(1).N
	if sh := s.Shape("task_embedding"); len(sh) == 2 {
		dim = sh[1]
	}
	kind := w.Input("kind", dtype.I64, onnx.D(1))
	task := w.Gather(w.Table(s.Weight("task_embedding", cfg.Types, dim)), kind) // [1,dim]
	x := w.Unsqueeze(w.Add(w.ReduceMean(features, false, 2, 3), w.Cast(task, w.Target.Compute)), 1)
	for i := range s.Count("transformer_layes") { // as the files spell it
		l := s.At("transformer_layes").Index(i)
		y := w.LayerNorm(l.At("ln_1"), x, 1e-5)
		rows := func(i int) *onnx.Value { return w.LinearRows(l.At("attn", "in_proj"), y, 3*dim, i*dim, dim) }
		attended := w.Attention(rows(0), rows(1), rows(2), nil, heads)
		x = w.Add(x, w.Linear(l.At("attn", "out_proj"), attended, dim))
		y = w.LayerNorm(l.At("ln_2"), x, 1e-5)
		x = w.Add(x, w.Linear(l.At("mlp", "c_proj"), w.QuickGelu(w.Linear(l.At("mlp", "c_fc"), y, 4*dim), 1.702), dim))
	}
	alpha := w.Linear(s.At("spatial_ch_projs"), w.Squeeze(x, 1), dim)
	return w.Add(features, w.Unsqueeze(alpha, 2, 3))
}
