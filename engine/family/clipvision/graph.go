package clipvision

import (
	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// The inputs and outputs of the graph.
const (
	// inPixels is [B,3,H,W], or [B,patches,3·patch²] of a network with linear patches.
	inPixels = "pixels"
	// inPositions is [patches,width], for a network with linear patches.
	inPositions    = "positions"
	outLast        = "last"
	outPenultimate = "penultimate"
	outEmbeds      = "embeds"
	outAll         = "all"
	outProjected   = "projected"
)

// normEps is the epsilon of all layer norms.
const normEps = 1e-5

// graph is the network's, with the output of the last states alone or with all.
func (e *Encoder) graph(last bool) family.Graph {
	// An image is few tokens against the weights that it passes through: widening them on the way costs little, and
	// keeping them wide would cost more memory than the work.
	return family.Graph{Part: "clip_vision", Variant: family.Digest(last, e.Projection), Streamed: true, Build: func(spec family.Spec) (*onnx.Graph, error) {
		return spec.Build("clip vision", e.src, func(b *nn.Builder, s *weights.Scope) {
			w := writer{Builder: b, Config: e.Config}
			w.write(s, last)
		})
	}}
}

// writer writes the graph (upstream: clip_model.py CLIPVisionModelProjection).
type writer struct {
	*nn.Builder
	Config
}

func (w *writer) write(s *weights.Scope, last bool) {
	model := s.At("vision_model")
	x := w.embed(model.At("embeddings"))
	if !w.SigLIP {
		x = w.LayerNorm(model.At("pre_layrnorm"), x, normEps)
	}
	var states []*onnx.Value
	for i := range w.Layers {
		x = w.layer(model.At("encoder", "layers").Index(i), x)
		states = append(states, x)
	}
	var pooled *onnx.Value
	if w.SigLIP {
		x = w.LayerNorm(model.At("post_layernorm"), x, normEps)
		pooled = x
	}
	if last {
		w.output(outLast, x)
		return
	}
	if !w.SigLIP {
		class := w.Reshape(w.Slice(x, 1, 0, 1), x.Dim(0), onnx.D(w.Width))
		pooled = w.LayerNorm(model.At("post_layernorm"), class, normEps)
	}
	if w.Projection > 0 {
		pooled = w.Linear(s.At("visual_projection"), pooled, w.Projection)
	}
	penultimate := states[max(len(states)-2, 0)]
	w.output(outLast, x)
	w.output(outPenultimate, penultimate)
	w.output(outEmbeds, pooled)
	if w.allLayers() {
		for i, h := range states {
			states[i] = w.Unsqueeze(h, 1)
		}
		w.output(outAll, w.Concat(1, states...))
	}
	if w.Projector > 0 {
		w.project(s.At("multi_modal_projector"), penultimate)
	}
}

func (w *writer) output(name string, v *onnx.Value) { w.Output(name, w.Cast(v, dtype.F32)) }

// embed returns the patches as tokens with their positions: [B,tokens,width].
func (w *writer) embed(s *weights.Scope) *onnx.Value {
	if w.LinearPatches {
		patches := w.Input(inPixels, dtype.F32, onnx.Sym("B"), onnx.Sym("T"), onnx.D(3*w.Patch*w.Patch))
		positions := w.Input(inPositions, dtype.F32, onnx.Sym("T"), onnx.D(w.Width))
		x := w.Linear(s.At("patch_embedding"), w.Cast(patches, w.Target.Compute), w.Width)
		return w.Add(x, w.Cast(positions, w.Target.Compute))
	}
	side := w.Image / w.Patch
	tokens := side * side
	pixels := w.Input(inPixels, dtype.F32, onnx.Sym("B"), onnx.D(3), onnx.D(w.Image), onnx.D(w.Image))
	x := w.Conv2d(s.At("patch_embedding"), w.Cast(pixels, w.Target.Compute), w.Width, w.Patch, onnx.Window{Stride: w.Patch})
	x = w.ToTokens(x)
	if !w.SigLIP {
		x = w.Concat(1, w.Expand(w.class(s), pixels.Dim(0), onnx.D(1), onnx.D(w.Width)), x)
		tokens++
	}
	return w.Add(x, w.Table(s.Weight("position_embedding.weight", tokens, w.Width)))
}

// class is the class token [1,1,width]. It gets its shape as a weight: ONNX Runtime would compute a Reshape of a weight
// beforehand and find no bytes, because weights of this size lie outside the model.
func (w *writer) class(s *weights.Scope) *onnx.Value {
	r := s.Weight("class_embedding", w.Width)
	if e, err := r.Entry.Reshape(1, 1, w.Width); err == nil {
		r.Entry = e
	}
	return w.Table(r)
}

func (w *writer) layer(s *weights.Scope, x *onnx.Value) *onnx.Value {
	n := w.LayerNorm(s.At("layer_norm1"), x, normEps)
	a := s.At("self_attn")
	q, k, v := w.Linear(a.At("q_proj"), n, w.Width), w.Linear(a.At("k_proj"), n, w.Width), w.Linear(a.At("v_proj"), n, w.Width)
	x = w.Add(x, w.Linear(a.At("out_proj"), w.Attention(q, k, v, nil, w.Heads), w.Width))
	n = w.LayerNorm(s.At("layer_norm2"), x, normEps)
	m := w.activate(w.Linear(s.At("mlp", "fc1"), n, w.MLP))
	return w.Add(x, w.Linear(s.At("mlp", "fc2"), m, w.Width))
}

func (w *writer) activate(x *onnx.Value) *onnx.Value {
	switch w.Activation {
	case GELU:
		return w.Gelu(x, false)
	case TanhGELU:
		return w.Gelu(x, true)
	}
	return w.QuickGelu(x, 1.702)
}

// project is LLaVA's projector of the patches' states, without the class token.
func (w *writer) project(s *weights.Scope, states *onnx.Value) {
	tokens := states.Dim(1).N
	x := w.Slice(states, 1, 1, tokens)
	x = w.Gelu(w.Linear(s.At("linear_1"), x, w.Projector), false)
	w.output(outProjected, w.Linear(s.At("linear_2"), x, w.Projector))
}
