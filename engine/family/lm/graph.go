package lm

import (
	"fmt"
	"math"
	"slices"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// The inputs and outputs of the graph.
const (
	inEmbeds = "embeds"
	inHidden = "hidden"
	inSlide  = "outside"
	outLast  = "last"
	outInner = "inner"
)

func inCos(kind int) string { return fmt.Sprintf("cos%d", kind) }
func inSin(kind int) string { return fmt.Sprintf("sin%d", kind) }

// outLayer is the output of a layer's input.
func outLayer(i int) string { return fmt.Sprintf("layer%d", i) }

// variant distinguishes the graphs of one network.
type variant struct {
	// inner is the layer whose output is "inner", -1 for none; norm applies the final norm to it.
	inner int
	norm  bool
	// layers are those whose inputs are outputs; see family.EncodeOptions.
	layers []int
	// slides reports that there are more tokens than the window of sliding layers.
	slides bool
	// deep reports that images add to the states after the first layers.
	deep bool
}

func (e *Encoder) graph(v variant) family.Graph {
	return family.Graph{
		Part: "clip " + e.Config.Key, Variant: family.Digest(v.inner, v.norm, v.layers, v.slides, v.deep), Streamed: true, Wide: true,
		Build: func(s family.Spec) (*onnx.Graph, error) {
			return s.Build("language model", e.src, func(b *nn.Builder, s *weights.Scope) { (&writer{Builder: b, cfg: e.Config}).write(s.At("model"), v) })
		},
	}
}

type writer struct {
	*nn.Builder
	cfg Config
	// rope and bias are those of global and of sliding layers.
	rope [2]*nn.Rotary
	bias [2]*onnx.Value
}

// write writes the network: inputs "embeds" [B,T,width] and "hidden" [B,1,T,T], how many times a key is hidden from a
// query (0 for not at all), with cosines and sines [1,T,D/2] of each kind of layer, float32 all; outputs "last", "inner" and those
// of layers, [B,T,width] each (upstream: llama.py Llama2_).
func (w *writer) write(s *weights.Scope, v variant) {
	b, t := onnx.Sym("B"), onnx.Sym("T")
	h := w.Cast(w.Input(inEmbeds, dtype.F32, b, t, onnx.D(w.cfg.Width)), w.Target.Compute)
	w.inputsFor(b, t, t, v)
	norm := func(x *onnx.Value) *onnx.Value {
		if !s.Has("norm.weight") {
			return x
		}
		return w.norm(s.At("norm"), x)
	}
	var inner *onnx.Value
	for i := range w.cfg.Layers {
		if slices.Contains(v.layers, i) {
			w.Output(outLayer(i), w.Cast(h, dtype.F32))
		}
		h = w.block(s.At("layers").Index(i), h, w.cfg.sliding(i))
		h = w.addDeep(h, i, v.deep)
		if i == v.inner {
			inner = h
		}
	}
	h = norm(h)
	last := w.Cast(h, dtype.F32)
	w.Output(outLast, last)
	if slices.Contains(v.layers, w.cfg.Layers) {
		w.Output(outLayer(w.cfg.Layers), w.Cast(h, dtype.F32))
	}
	if inner == nil {
		return
	}
	if v.norm {
		inner = norm(inner)
	}
	w.Output(outInner, w.Cast(inner, dtype.F32))
}

// addDeep adds what images give to the states after a layer.
func (w *writer) addDeep(h *onnx.Value, layer int, deep bool) *onnx.Value {
	if !deep || layer >= deepLayers {
		return h
	}
	return w.Add(h, w.Cast(w.Input(outDeep(layer), dtype.F32, h.Shape...), w.Target.Compute))
}

// sliding is 1 for a layer that attends to a window of tokens, 0 for one that attends to all.
func (c Config) sliding(layer int) int {
	if c.window > 0 && layer%globalEvery != globalEvery-1 {
		return 1
	}
	return 0
}

// inputsFor declares the inputs of angles and masks for t new tokens among all.
func (w *writer) inputsFor(b, t, all onnx.Dim, v variant) {
	one := onnx.D(1)
	for kind := range w.cfg.theta {
		angles := func(name string) *onnx.Value {
			return w.Cast(w.Input(name, dtype.F32, one, t, onnx.D(w.cfg.HeadDim/2)), w.Target.Compute)
		}
		w.rope[kind] = &nn.Rotary{Cos: angles(inCos(kind)), Sin: angles(inSin(kind))}
	}
	far := w.Scalar(dtype.F32, w.far())
	w.bias[0] = w.Cast(w.Mul(w.Input(inHidden, dtype.F32, b, one, t, all), far), w.Target.Compute)
	w.bias[1] = w.bias[0]
	if v.slides {
		outside := w.Mul(w.Input(inSlide, dtype.F32, one, one, t, all), far)
		w.bias[1] = w.Add(w.bias[0], w.Cast(outside, w.Target.Compute))
	}
}

// far is what hides a key once: a quarter of the range of the compute type, so that hiding twice stays within it.
func (w *writer) far() float32 {
	if w.Target.Compute == dtype.F16 {
		return -65504 / 4
	}
	return -math.MaxFloat32 / 4
}

// norm is RMSNorm; Gemma stores its weights minus one.
func (w *writer) norm(s *weights.Scope, x *onnx.Value) *onnx.Value {
	if !w.cfg.gemma {
		return w.RMSNorm(s, x, w.cfg.epsilon)
	}
	return w.RMSNormPlusOne(s, x, w.cfg.epsilon)
}

// headNorm is norm for each head.
func (w *writer) headNorm(s *weights.Scope, x *onnx.Value, heads int) *onnx.Value {
	if !w.cfg.gemma {
		return w.HeadRMSNorm(s, x, heads, w.cfg.epsilon)
	}
	y := w.Reshape(x, x.Dim(0), x.Dim(1), onnx.D(heads), onnx.D(w.cfg.HeadDim))
	return w.Reshape(w.norm(s, y), x.Shape...)
}

// block is one layer; Gemma normalises what each part gives, too.
func (w *writer) block(s *weights.Scope, x *onnx.Value, kind int) *onnx.Value {
	return w.around(s, x, func(s *weights.Scope, x *onnx.Value) *onnx.Value { return w.attend(s, x, kind) })
}

// around is block with the given attention.
func (w *writer) around(s *weights.Scope, x *onnx.Value, attend func(s *weights.Scope, x *onnx.Value) *onnx.Value) *onnx.Value {
	y := attend(s.At("self_attn"), w.norm(s.At("input_layernorm"), x))
	if !w.cfg.gemma {
		x = w.Add(x, y)
		return w.Add(x, w.mlp(s.At("mlp"), w.norm(s.At("post_attention_layernorm"), x)))
	}
	x = w.Add(x, w.norm(s.At("post_attention_layernorm"), y))
	y = w.mlp(s.At("mlp"), w.norm(s.At("pre_feedforward_layernorm"), x))
	return w.Add(x, w.norm(s.At("post_feedforward_layernorm"), y))
}

// project gives the queries, keys and values of one layer, rotated.
func (w *writer) project(s *weights.Scope, x *onnx.Value, kind int) (q, k, v *onnx.Value) {
	c := w.cfg
	q, k, v = w.Linear(s.At("q_proj"), x, c.Heads*c.HeadDim), w.Linear(s.At("k_proj"), x, c.kvWidth()), w.Linear(s.At("v_proj"), x, c.kvWidth())
	if c.headNorm {
		q, k = w.headNorm(s.At("q_norm"), q, c.Heads), w.headNorm(s.At("k_norm"), k, c.KVHeads)
	}
	rope := w.rope[min(kind, len(c.theta)-1)]
	return w.Rotate(q, rope, c.Heads), w.Rotate(k, rope, c.KVHeads), v
}

func (w *writer) attend(s *weights.Scope, x *onnx.Value, kind int) *onnx.Value {
	c := w.cfg
	q, k, v := w.project(s, x, kind)
	y := w.Attend(q, k, v, onnx.Attention{
		Heads: c.Heads, KVHeads: c.KVHeads, Scale: float32(1 / math.Sqrt(float64(c.HeadDim))), Bias: w.bias[kind],
	})
	return w.Linear(s.At("o_proj"), y, c.Width)
}

func (w *writer) mlp(s *weights.Scope, x *onnx.Value) *onnx.Value {
	gate, up := w.Linear(s.At("gate_proj"), x, w.cfg.MLP), w.Linear(s.At("up_proj"), x, w.cfg.MLP)
	if w.cfg.gemma {
		gate = w.Gelu(gate, true)
	} else {
		gate = w.SiLU(gate)
	}
	return w.Linear(s.At("down_proj"), w.Mul(gate, up), w.cfg.Width)
}
