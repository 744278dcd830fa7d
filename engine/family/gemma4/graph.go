package gemma4

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
	inEmbeds   = "embeds"
	inHidden   = "hidden"
	inOutside  = "outside"
	inPerLayer = "perlayer"
	outLogits  = "logits"
)

func inCos(kind int) string { return fmt.Sprintf("cos%d", kind) }
func inSin(kind int) string { return fmt.Sprintf("sin%d", kind) }
func inPast(i int) string   { return fmt.Sprintf("past%d", i) }
func outKept(i int) string  { return fmt.Sprintf("kept%d", i) }
func outLayer(l int) string { return fmt.Sprintf("layer%d", l) }

// variant distinguishes the graphs of one network.
type variant struct {
	// slides reports that there are more tokens than the window of sliding layers.
	slides bool
	// generates has past keys and values as inputs and logits as an output; layers are those whose inputs are outputs otherwise.
	generates bool
	layers    []int
}

func (e *Encoder) graph(v variant) family.Graph {
	part := "clip " + Key
	if v.generates {
		part += " decoder"
	}
	return family.Graph{Part: part, Variant: family.Digest(e.Config, v.slides, v.generates, v.layers), Steps: v.generates, Streamed: true, Wide: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("gemma 4", e.src, func(b *nn.Builder, s *weights.Scope) { (&writer{Builder: b, cfg: e.Config, v: v}).write(s.At("model")) })
	}}
}

// writer writes the network: inputs "embeds" [1,T,width], "hidden" and "outside" [1,1,T,P+T], the number of reasons that hide a key from a
// query, cosines and sines [1,T,D/2] by kind of layer, "perlayer" [1,T,layers*width] and "past…" [1,P,·]; outputs "logits" [vocabulary]
// and "kept…" [T,·], or the inputs of layers [1,T,width] (upstream: gemma4.py Gemma4Transformer).
type writer struct {
	*nn.Builder
	cfg  Config
	v    variant
	rope [kinds]*nn.Rotary
	bias [kinds]*onnx.Value
	// keys and values are those of the last layer of each kind with keys of its own.
	keys, values [kinds]*onnx.Value
}

func (w *writer) write(s *weights.Scope) {
	c, one, t, p := w.cfg, onnx.D(1), onnx.Sym("T"), onnx.D(0)
	all := t
	if w.v.generates {
		p = onnx.Sym("P")
		all = p.Plus(t)
	}
	h := w.in(inEmbeds, one, t, onnx.D(c.Width))
	w.masks(t, all)
	for k := range kinds {
		half := onnx.D(c.HeadDim[k] / 2)
		w.rope[k] = &nn.Rotary{Cos: w.in(inCos(k), one, t, half), Sin: w.in(inSin(k), one, t, half)}
	}
	layers := w.perLayer(s, h)
	for i := range c.Layers {
		if slices.Contains(w.v.layers, i) {
			w.Output(outLayer(i), w.Cast(h, dtype.F32))
		}
		var extra *onnx.Value
		if layers != nil {
			extra = layers[i]
		}
		h = w.block(s.At("layers").Index(i), h, i, extra, p)
	}
	if w.v.generates {
		h = w.SliceDims(h, 1, t.Minus(one), t)
	}
	h = w.RMSNorm(s.At("norm"), h, epsilon)
	if slices.Contains(w.v.layers, c.Layers) {
		w.Output(outLayer(c.Layers), w.Cast(h, dtype.F32))
	}
	if !w.v.generates {
		return
	}
	logits := w.Cast(w.Reshape(w.Linear(s.At("embed_tokens"), h, c.Vocab), onnx.D(c.Vocab)), dtype.F32)
	limit := w.Scalar(dtype.F32, softcap)
	w.Output(outLogits, w.Mul(w.Tanh(w.Div(logits, limit)), limit))
}

func (w *writer) in(name string, dims ...onnx.Dim) *onnx.Value {
	return w.Cast(w.Input(name, dtype.F32, dims...), w.Target.Compute)
}

// masks makes the biases of both kinds of layers, with a row for each head of queries that shares a head of keys.
func (w *writer) masks(t, all onnx.Dim) {
	one := onnx.D(1)
	far := w.Scalar(dtype.F32, w.far())
	hidden := w.Mul(w.Input(inHidden, dtype.F32, one, one, t, all), far)
	biases := [kinds]*onnx.Value{hidden, hidden}
	if w.v.slides {
		biases[sliding] = w.Add(hidden, w.Mul(w.Input(inOutside, dtype.F32, one, one, t, all), far))
	}
	for k, b := range biases {
		b = w.Cast(b, w.Target.Compute)
		if group := onnx.D(w.cfg.Heads / w.cfg.KVHeads[k]); group.N > 1 {
			b = w.Reshape(w.Expand(w.Unsqueeze(b, 3), one, one, t, group, all), one, one, t.Times(group), all)
		}
		w.bias[k] = b
	}
}

// far is what hides a key once: a quarter of the range of the compute type, so that hiding three times stays within it.
func (w *writer) far() float32 {
	if w.Target.Compute == dtype.F16 {
		return -65504 / 4
	}
	return -math.MaxFloat32 / 4
}

// perLayer are the token inputs of each layer, [1,T,PerLayer] each; nil for models without them.
func (w *writer) perLayer(s *weights.Scope, h *onnx.Value) []*onnx.Value {
	c := w.cfg
	if c.PerLayer == 0 {
		return nil
	}
	one, t, n, width := onnx.D(1), h.Dim(1), onnx.D(c.Layers), onnx.D(c.PerLayer)
	x := w.Mul(w.Linear(s.At("per_layer_model_projection"), h, c.Layers*c.PerLayer), w.Const(float32(1/math.Sqrt(float64(c.Width)))))
	x = w.RMSNorm(s.At("per_layer_projection_norm"), w.Reshape(x, one, t, n, width), epsilon)
	x = w.Reshape(x, one, t, n.Times(width))
	if w.v.generates {
		x = w.Mul(w.Add(x, w.in(inPerLayer, one, t, n.Times(width))), w.Const(float32(math.Sqrt(0.5))))
	}
	sizes := make([]int, c.Layers)
	for i := range sizes {
		sizes[i] = c.PerLayer
	}
	return w.Split(x, 2, sizes...)
}

func (w *writer) block(s *weights.Scope, x *onnx.Value, layer int, extra *onnx.Value, past onnx.Dim) *onnx.Value {
	norm := func(name string, x *onnx.Value) *onnx.Value { return w.RMSNorm(s.At(name), x, epsilon) }
	y := w.attend(s.At("self_attn"), norm("input_layernorm", x), layer, past)
	x = w.Add(x, norm("post_attention_layernorm", y))
	m, n, size := s.At("mlp"), norm("pre_feedforward_layernorm", x), w.cfg.mlp(layer)
	y = w.Mul(w.Gelu(w.Linear(m.At("gate_proj"), n, size), true), w.Linear(m.At("up_proj"), n, size))
	x = w.Add(x, norm("post_feedforward_layernorm", w.Linear(m.At("down_proj"), y, w.cfg.Width)))
	if extra != nil {
		y = w.Mul(w.Gelu(w.Linear(s.At("per_layer_input_gate"), x, w.cfg.PerLayer), true), extra)
		x = w.Add(x, norm("post_per_layer_input_norm", w.Linear(s.At("per_layer_projection"), y, w.cfg.Width)))
	}
	w.At(s.Prefix())
	return w.Mul(x, w.Table(s.Weight("layer_scalar", 1)))
}

// attend is attention to the layer's own keys and values, with past ones before them, or to those of an earlier layer.
func (w *writer) attend(s *weights.Scope, x *onnx.Value, layer int, past onnx.Dim) *onnx.Value {
	c, k := w.cfg, w.cfg.kindOf(layer)
	q := w.HeadRMSNorm(s.At("q_norm"), w.Linear(s.At("q_proj"), x, c.Heads*c.HeadDim[k]), c.Heads, epsilon)
	q = w.Rotate(q, w.rope[k], c.Heads)
	if layer < c.own() {
		w.keep(s, x, layer, past)
	}
	t, one := x.Dim(1), onnx.D(1)
	heads, group, d := onnx.D(c.KVHeads[k]), onnx.D(c.Heads/c.KVHeads[k]), onnx.D(c.HeadDim[k])
	if group.N > 1 {
		q = w.Reshape(w.Transpose(w.Reshape(q, one, t, heads, group, d), 0, 1, 3, 2, 4), one, t.Times(group), heads.Times(d))
	}
	y := w.Attend(q, w.keys[k], w.values[k], onnx.Attention{Heads: c.KVHeads[k], Scale: 1, Bias: w.bias[k]})
	if group.N > 1 {
		y = w.Reshape(w.Transpose(w.Reshape(y, one, t, group, heads, d), 0, 1, 3, 2, 4), one, t, onnx.D(c.Heads).Times(d))
	}
	return w.Linear(s.At("o_proj"), y, c.Width)
}

// keep computes the keys and values of a layer's tokens.
func (w *writer) keep(s *weights.Scope, x *onnx.Value, layer int, past onnx.Dim) {
	c, k := w.cfg, w.cfg.kindOf(layer)
	width := c.kvWidth(layer)
	key := w.Linear(s.At("k_proj"), x, width)
	value := key
	if k != global || !c.SameValues {
		value = w.Linear(s.At("v_proj"), x, width)
	}
	key = w.Rotate(w.HeadRMSNorm(s.At("k_norm"), key, c.KVHeads[k], epsilon), w.rope[k], c.KVHeads[k])
	heads := w.Reshape(value, value.Dim(0), value.Dim(1), onnx.D(c.KVHeads[k]), onnx.D(c.HeadDim[k]))
	value = w.Reshape(w.Graph.RMSNorm(heads, nil, epsilon), value.Shape...)
	w.keys[k], w.values[k] = w.behind(key, layer, past), w.behind(value, c.own()+layer, past)
}

// behind puts the rows of new tokens after past ones, as the i-th list of the cache, and gives them out.
func (w *writer) behind(x *onnx.Value, i int, past onnx.Dim) *onnx.Value {
	if !w.v.generates {
		return x
	}
	w.Output(outKept(i), w.Cast(w.Reshape(x, x.Dim(1), x.Dim(2)), dtype.F32))
	return w.Concat(1, w.in(inPast(i), onnx.D(1), past, x.Dim(2)), x)
}
