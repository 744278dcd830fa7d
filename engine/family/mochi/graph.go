package mochi

import (
	"math"
	"slices"

	"comfygo/engine/dtype"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// epsilon is the epsilon of the norms of tokens, headEpsilon that of queries and keys.
const (
	epsilon     = 1e-6
	headEpsilon = 1e-5
)

// writer writes one graph.
type writer struct {
	*nn.Builder
	config
	// skip are the blocks that are left out.
	skip []int
	// cond is the condition of all layers after SiLU [B,C]; cos and sin are the rotations of all heads [1,S,C/2].
	cond, cos, sin *onnx.Value
}

// write writes the network. Inputs: x [B,C,F,h·2,w·2], timesteps [B], context [B,N,C'] of the tokens that images attend to, pool [B,T,C']
// of the mean and all tokens with mask [B,T], places [F·h·w,3]. Output: out [B,F·h·w,C·4]. Upstream:
// genmo/joint_model/asymm_models_joint.py AsymmDiTJoint.
func (w *writer) write(s *weights.Scope) {
	rows, f, two := onnx.Sym("B"), onnx.Sym("F"), onnx.D(side)
	x := dit.Input(w.Builder, "x", rows, onnx.D(w.channels), f, onnx.Sym("h").Times(two), onnx.Sym("w").Times(two))
	images := w.Reshape(w.Transpose(x, 0, 2, 1, 3, 4), rows.Times(f), x.Dim(1), x.Dim(3), x.Dim(4))
	img := dit.PatchEmbed(w.Builder, s.At("x_embedder.proj"), images, w.hidden, side)
	img = w.Reshape(img, rows, f.Times(img.Dim(1)), img.Dim(2))

	const steps = 1000
	time := dit.TimeMLP(w.Builder, s.At("t_embedder"), w.Input("timesteps", dtype.F32, rows), steps, w.hidden, "mlp.0", "mlp.2")
	w.cond = w.SiLU(w.Add(time, w.pool(s.At("t5_y_embedder"))))
	w.rotations(s, img.Dim(1))
	txt := w.Linear(s.At("t5_yproj"), dit.Input(w.Builder, "context", rows, onnx.Sym("N"), onnx.D(w.text)), w.narrow)
	for i := range w.blocks {
		if !slices.Contains(w.skip, i) {
			img, txt = w.block(s.At("blocks").Index(i), img, txt, i == w.blocks-1)
		}
	}
	last := s.At("final_layer")
	m := w.Chunks(w.Linear(last.At("mod"), w.cond, 2*w.hidden), 2)
	y := w.Linear(last.At("linear"), w.Modulate(img, m[0], m[1], epsilon), w.channels*side*side)
	dit.Output(w.Builder, "out", w.Neg(y))
}

// pool converts the text to one vector [B,C]: its mean attends to all tokens. Upstream: AttentionPool.
func (w *writer) pool(s *weights.Scope) *onnx.Value {
	rows, all := onnx.Sym("B"), onnx.Sym("T")
	x := dit.Input(w.Builder, "pool", rows, all, onnx.D(w.text))
	mask := w.Cast(w.Input("mask", dtype.F32, rows, all), dtype.I32)
	half := func(from int) *onnx.Value { return w.LinearRows(s.At("to_kv"), x, 2*w.text, from, w.text) }
	q := w.Linear(s.At("to_q"), w.Slice(x, 1, 0, 1), w.text)
	a := onnx.Attention{Heads: poolHeads, Scale: float32(1 / math.Sqrt(float64(w.text)/poolHeads)), KeyMask: mask}
	return w.Squeeze(w.Linear(s.At("to_out"), w.Attend(q, half(0), half(w.text), a), w.hidden), 1)
}

// rotations computes cosines and sines of the places of tokens, by frequencies that are learned for each pair of each head.
func (w *writer) rotations(s *weights.Scope, tokens onnx.Dim) {
	heads := w.hidden / w.head
	r := s.Weight("pos_frequencies", 3, heads, w.head/2)
	frequencies := w.Weight(r.Name+".flat", dtype.F32, []int{3, w.hidden / 2}, nn.Layout{Entry: r.Entry, DType: dtype.F32, Via: w.Target.Weights})
	angles := w.Unsqueeze(w.MatMul(w.Input("places", dtype.F32, tokens, onnx.D(3)), frequencies), 0)
	w.cos, w.sin = w.Cast(w.Cos(angles), w.Target.Compute), w.Cast(w.Sin(angles), w.Target.Compute)
}

// rotate turns the neighbouring elements of x [B,S,C].
func (w *writer) rotate(x *onnx.Value) *onnx.Value {
	pairs := w.Split(w.Reshape(x, x.Dim(0), x.Dim(1), onnx.D(w.hidden/2), onnx.D(2)), 3, 1, 1)
	even, odd := w.Squeeze(pairs[0], 3), w.Squeeze(pairs[1], 3)
	first := w.Sub(w.Mul(even, w.cos), w.Mul(odd, w.sin))
	second := w.Add(w.Mul(even, w.sin), w.Mul(odd, w.cos))
	return w.Reshape(w.Concat(3, w.Unsqueeze(first, 3), w.Unsqueeze(second, 3)), x.Shape...)
}

// scaled is the norm of x times 1+scale.
func (w *writer) scaled(x, scale *onnx.Value) *onnx.Value {
	return w.Mul(w.rms(x), w.Add(scale, w.Const(1)))
}

// rms is the norm of tokens, which has no weights.
func (w *writer) rms(x *onnx.Value) *onnx.Value { return w.Graph.RMSNorm(x, nil, epsilon) }

// gated is x + tanh(gate)·norm(y).
func (w *writer) gated(x, y, gate *onnx.Value) *onnx.Value {
	return w.Add(x, w.Mul(w.rms(y), w.Tanh(gate)))
}

// stream makes queries, keys and values of x by the layers whose names end in suffix.
func (w *writer) stream(s *weights.Scope, suffix string, x *onnx.Value) nn.Stream {
	heads := w.hidden / w.head
	part := func(i int) *onnx.Value {
		return w.LinearRows(s.At("qkv"+suffix), x, 3*w.hidden, i*w.hidden, w.hidden)
	}
	return nn.Stream{
		Q: w.HeadRMSNorm(s.At("q_norm"+suffix), part(0), heads, headEpsilon), K: w.HeadRMSNorm(s.At("k_norm"+suffix), part(1), heads, headEpsilon), V: part(2),
	}
}

// block lets image and text tokens attend to each other; the last one has only the text layers that images attend to.
// Upstream: AsymmetricJointBlock.
func (w *writer) block(s *weights.Scope, img, txt *onnx.Value, last bool) (newImg, newTxt *onnx.Value) {
	m := w.Chunks(w.Linear(s.At("mod_x"), w.cond, 4*w.hidden), 4)
	parts := 4
	if last {
		parts = 1
	}
	n := w.Chunks(w.Linear(s.At("mod_y"), w.cond, parts*w.narrow), parts)
	at := s.At("attn")
	image, text := w.stream(at, "_x", w.scaled(img, m[0])), w.stream(at, "_y", w.scaled(txt, n[0]))
	image.Q, image.K = w.rotate(image.Q), w.rotate(image.K)
	a := onnx.Attention{Heads: w.hidden / w.head, Scale: float32(1 / math.Sqrt(float64(w.head)))}
	y := w.JointAttention(a, nil, image, text)
	img = w.gated(img, w.Linear(at.At("proj_x"), y[0], w.hidden), m[1])
	img = w.gated(img, w.feedForward(s.At("mlp_x"), w.scaled(img, m[2]), w.hidden), m[3])
	if last {
		return img, txt
	}
	txt = w.gated(txt, w.Linear(at.At("proj_y"), y[1], w.narrow), n[1])
	return img, w.gated(txt, w.feedForward(s.At("mlp_y"), w.scaled(txt, n[2]), w.narrow), n[3])
}

func (w *writer) feedForward(s *weights.Scope, x *onnx.Value, out int) *onnx.Value {
	inner := 1
	if sh := s.Shape("w2.weight"); len(sh) == 2 {
		inner = sh[1]
	}
	half := func(from int) *onnx.Value { return w.LinearRows(s.At("w1"), x, 2*inner, from, inner) }
	return w.Linear(s.At("w2"), w.SwiGLU(half(inner), half(0)), out)
}
