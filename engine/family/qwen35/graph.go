package qwen35

import (
	"fmt"
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// The inputs and outputs of the graph.
const (
	inEmbeds  = "embeds"
	inReal    = "real"
	inHidden  = "hidden"
	inLast    = "last"
	outStates = "states"
	outLogits = "logits"
)

func inPast(i int) string   { return fmt.Sprintf("past%d", i) }
func inState(i int) string  { return fmt.Sprintf("state%d", i) }
func inMixed(i int) string  { return fmt.Sprintf("mixed%d", i) }
func outKept(i int) string  { return fmt.Sprintf("kept%d", i) }
func outState(i int) string { return fmt.Sprintf("newstate%d", i) }
func outMixed(i int) string { return fmt.Sprintf("newmixed%d", i) }

// variant distinguishes the graphs of one network.
type variant struct {
	// size is the number of tokens, layer the one after which states are an output, -1 for the last, with the last norm if norm is set; logits
	// selects logits as the output instead.
	size, layer  int
	norm, logits bool
}

func (e *Encoder) graph(v variant) family.Graph {
	part := "clip " + e.Config.Key
	if v.logits {
		part += " decoder"
	}
	return family.Graph{Part: part, Variant: family.Digest(e.Config, v.size, v.layer, v.norm, v.logits), Steps: v.logits, Streamed: true, Wide: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("qwen 3.5", e.src, func(b *nn.Builder, s *weights.Scope) {
			(&writer{Builder: b, cfg: e.Config, v: v}).write(s, e.head())
		})
	}}
}

// turned is the number of pairs of a head that turn: an eighth of its values.
func (c Config) turned() int { return c.HeadDim / 8 }

// axisOf is the axis (time, row, column) by which a value of the pairs turns, where images are among the tokens: the halves of a pair may turn by different
// ones, as in upstream.
func (c Config) axisOf(value, axes int) int {
	switch s := c.Sections; {
	case axes == 1 || value < 2*s[0]:
		return 0
	case value < 2*(s[0]+s[1]):
		return 1
	}
	return 2
}

// angles are the inputs of cosines and sines [1,size,pairs] of both halves of pairs, in float32 step by step, as upstream computes them.
func (c Config) angles(places [][]int, from, to, size int) []family.Value {
	pairs := c.turned()
	var out []family.Value
	for half := range 2 {
		cos, sin := tensor.New(1, size, pairs), tensor.New(1, size, pairs)
		for t := from; t < to; t++ {
			for i := range pairs {
				axis := c.axisOf(half*pairs+i, len(places))
				angle := float64(1 / float32(math.Pow(theta, float64(float32(2*i)/float32(2*pairs)))) * float32(places[axis][t]))
				cos.Data[(t-from)*pairs+i], sin.Data[(t-from)*pairs+i] = float32(math.Cos(angle)), float32(math.Sin(angle))
			}
		}
		out = append(out, family.Floats(fmt.Sprintf("cos%d", half), cos), family.Floats(fmt.Sprintf("sin%d", half), sin))
	}
	return out
}

// writer writes the network: inputs "embeds" [1,S,width], "real" [1,S,1], 1 for tokens other than padding, "hidden" [1,1,S,P+S], the number of
// reasons that hide a key from a query, "last" [1], the position of the last token other than padding, cosines and sines [1,S,pairs] of both halves,
// "past…" [1,P,·] of full layers, "state…" [heads,keys,values] and "mixed…" [1,K-1,·] of linear ones; outputs "kept…", "newstate…", "newmixed…" and
// "states" [S,width] or "logits" [vocabulary] (upstream: qwen35.py Qwen35Transformer).
type writer struct {
	*nn.Builder
	cfg        Config
	v          variant
	size, past onnx.Dim
	bias, real *onnx.Value
	cos, sin   [2]*onnx.Value
	// full and linear count the layers that were written.
	full, linear int
	masks        []*onnx.Value
	lower        *onnx.Value
}

func (w *writer) in(name string, dims ...onnx.Dim) *onnx.Value {
	return w.Cast(w.Input(name, dtype.F32, dims...), w.Target.Compute)
}

func (w *writer) write(s *weights.Scope, head string) {
	c, one := w.cfg, onnx.D(1)
	w.size, w.past = onnx.D(w.v.size), onnx.Sym("P")
	h := w.in(inEmbeds, one, w.size, onnx.D(c.Width))
	w.real = w.Input(inReal, dtype.F32, one, w.size, one)
	last := w.Input(inLast, dtype.I64, one)
	w.mask(w.past.Plus(w.size))
	for half := range 2 {
		w.cos[half], w.sin[half] = w.in(fmt.Sprintf("cos%d", half), one, w.size, onnx.D(c.turned())), w.in(fmt.Sprintf("sin%d", half), one, w.size, onnx.D(c.turned()))
	}
	m := s.At("model")
	var states *onnx.Value
	for i := range c.Layers {
		l := m.At("layers").Index(i)
		n := w.RMSNormPlusOne(l.At("input_layernorm"), h, epsilon)
		if c.full(i) {
			n = w.attend(l.At("self_attn"), n)
		} else {
			n = w.delta(l.At("linear_attn"), n)
		}
		h = w.Add(h, n)
		p := l.At("mlp")
		n = w.RMSNormPlusOne(l.At("post_attention_layernorm"), h, epsilon)
		n = w.SwiGLU(w.Linear(p.At("up_proj"), n, c.MLP), w.Linear(p.At("gate_proj"), n, c.MLP))
		h = w.Add(h, w.Linear(p.At("down_proj"), n, c.Width))
		if i == w.v.layer {
			states = h
		}
	}
	norm := func(x *onnx.Value) *onnx.Value { return w.RMSNormPlusOne(m.At("norm"), x, epsilon) }
	if w.v.logits {
		h = norm(w.GatherAxis(h, last, 1))
		logits := w.Linear(s.At(head), h, c.Vocab)
		w.Output(outLogits, w.Cast(w.Reshape(logits, onnx.D(c.Vocab)), dtype.F32))
		return
	}
	if states == nil {
		states = norm(h)
	} else if w.v.norm {
		states = norm(states)
	}
	w.Output(outStates, w.Cast(w.Reshape(states, w.size, onnx.D(c.Width)), dtype.F32))
}

// mask makes the bias of full layers, with a row for each head of queries that shares a head of keys.
func (w *writer) mask(all onnx.Dim) {
	far := float32(-math.MaxFloat32 / 4)
	if w.Target.Compute == dtype.F16 {
		far = -65504 / 4
	}
	one, group := onnx.D(1), onnx.D(w.cfg.Heads/w.cfg.KVHeads)
	b := w.Cast(w.Mul(w.Input(inHidden, dtype.F32, one, one, w.size, all), w.Scalar(dtype.F32, far)), w.Target.Compute)
	if group.N > 1 {
		b = w.Reshape(w.Expand(w.Unsqueeze(b, 3), one, one, w.size, group, all), one, one, w.size.Times(group), all)
	}
	w.bias = b
}

// turn rotates the first pairs of each head; the two halves of a pair have separate angles.
func (w *writer) turn(x *onnx.Value, heads int) *onnx.Value {
	c, p := w.cfg, w.cfg.turned()
	y := w.Reshape(x, onnx.D(1), w.size, onnx.D(heads), onnx.D(c.HeadDim))
	parts := w.Split(y, 3, p, p, c.HeadDim-2*p)
	at := func(v *onnx.Value) *onnx.Value { return w.Unsqueeze(v, 2) }
	first := w.Sub(w.Mul(parts[0], at(w.cos[0])), w.Mul(parts[1], at(w.sin[1])))
	second := w.Add(w.Mul(parts[1], at(w.cos[1])), w.Mul(parts[0], at(w.sin[0])))
	return w.Reshape(w.Concat(3, first, second, parts[2]), x.Shape...)
}

// headNorm is the norm of each head; its weights are stored minus one.
func (w *writer) headNorm(s *weights.Scope, x *onnx.Value, heads int) *onnx.Value {
	y := w.RMSNormPlusOne(s, w.Reshape(x, onnx.D(1), w.size, onnx.D(heads), onnx.D(w.cfg.HeadDim)), epsilon)
	return w.Reshape(y, onnx.D(1), w.size, onnx.D(heads*w.cfg.HeadDim))
}

// attend is full attention with a gate.
func (w *writer) attend(s *weights.Scope, x *onnx.Value) *onnx.Value {
	c, one := w.cfg, onnx.D(1)
	heads, kv, group, d := onnx.D(c.Heads), onnx.D(c.KVHeads), onnx.D(c.Heads/c.KVHeads), onnx.D(c.HeadDim)
	both := w.Split(w.Reshape(w.Linear(s.At("q_proj"), x, 2*c.Heads*c.HeadDim), one, w.size, heads, onnx.D(2*c.HeadDim)), 3, c.HeadDim, c.HeadDim)
	flat := func(v *onnx.Value) *onnx.Value { return w.Reshape(v, one, w.size, heads.Times(d)) }
	q, gate := w.turn(w.headNorm(s.At("q_norm"), flat(both[0]), c.Heads), c.Heads), flat(both[1])
	k := w.turn(w.headNorm(s.At("k_norm"), w.Linear(s.At("k_proj"), x, c.kvWidth()), c.KVHeads), c.KVHeads)
	k, v := w.keep(k), w.keep(w.Linear(s.At("v_proj"), x, c.kvWidth()))
	if group.N > 1 {
		q = w.Reshape(w.Transpose(w.Reshape(q, one, w.size, kv, group, d), 0, 1, 3, 2, 4), one, w.size.Times(group), kv.Times(d))
	}
	y := w.Attend(q, k, v, onnx.Attention{Heads: c.KVHeads, Scale: float32(1 / math.Sqrt(float64(c.HeadDim))), Bias: w.bias})
	if group.N > 1 {
		y = w.Transpose(w.Reshape(y, one, w.size, group, kv, d), 0, 1, 3, 2, 4)
	}
	return w.Linear(s.At("o_proj"), w.Mul(flat(y), w.Sigmoid(gate)), c.Width)
}

// keep puts the rows of new tokens after past ones, and gives them out.
func (w *writer) keep(x *onnx.Value) *onnx.Value {
	i := w.full
	w.full++
	w.Output(outKept(i), w.Cast(w.Reshape(x, w.size, x.Dim(2)), dtype.F32))
	return w.Concat(1, w.in(inPast(i), onnx.D(1), w.past, x.Dim(2)), x)
}
