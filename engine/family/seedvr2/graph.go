package seedvr2

import (
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

const epsilon = 1e-5

// The kinds of tokens, as weights are named after them.
const (
	video = "vid"
	text  = "txt"
)

// ofKind is the scope of a layer's weights for a kind of tokens; in some blocks one layer serves both.
func ofKind(s *weights.Scope, kind string) *weights.Scope {
	if s.HasAny("all") {
		return s.At("all")
	}
	return s.At(kind)
}

// grid is a way to cut the tokens into windows: index of all tokens of the windows among text and video, mask of keys, places of the video's
// tokens in the windows, the rotation of queries and keys, the numbers of windows and of tokens in one.
type grid struct {
	index, mask, places *onnx.Value
	turn                *nn.Rotary
	windows, length     onnx.Dim
}

// modulation are shift, scale and gate of a layer, [B,1,C] each.
type modulation [3]*onnx.Value

// writer writes one graph.
type writer struct {
	*nn.Builder
	config
	// attention and mlp are the modulations that all blocks share.
	attention, mlp modulation
	grids          [2]grid
	// texts are the places of the text in a window.
	texts *onnx.Value
}

// write writes the network. Inputs: x [B,S,C] of patches, timesteps [B], context [B,T,C'], texts [T], and those of model.windowValues. Output: out
// [B,S,C]. Upstream: NaDiT.
func (w *writer) write(s *weights.Scope) {
	rows, tokens := onnx.Sym("B"), onnx.Sym("S")
	vid := w.Linear(s.At("vid_in.proj"), dit.Input(w.Builder, "x", rows, tokens, onnx.D((channels+given)*side*side)), w.hidden)
	w.modulations(s.At("emb_in"), w.Input("timesteps", dtype.F32, rows))
	txt := dit.Input(w.Builder, "context", rows, onnx.Sym("T"), onnx.D(w.config.text))
	if s.Has("txt_in.weight") {
		txt = w.Linear(s.At("txt_in"), txt, w.hidden)
	}
	w.texts = w.Input("texts", dtype.I64, txt.Dim(1))
	for i, prefix := range prefixes {
		w.grids[i] = w.grid(prefix, vid.Dim(1))
	}
	for i := range w.blocks {
		vid, txt = w.block(s.At("blocks").Index(i), vid, txt, w.grids[i%len(w.grids)], i == w.blocks-1)
	}
	if w.joint {
		// Upstream keeps the modulation of attention by the name of the layer's place, which is that of this one, too.
		vid = w.shifted(s.At("vid_out_ada"), "out", w.RMSNorm(s.At("vid_out_norm"), vid, epsilon), w.attention)
	}
	dit.Output(w.Builder, "out", w.Linear(s.At("vid_out.proj"), vid, channels*side*side))
}

// grid declares the inputs of a way to cut tokens into windows.
func (w *writer) grid(prefix string, tokens onnx.Dim) grid {
	g := grid{windows: onnx.Sym(prefix + "W"), length: onnx.Sym(prefix + "L")}
	all, rows := g.windows.Times(g.length), onnx.Sym("B")
	g.index = w.Input(prefix+".index", dtype.I64, all)
	mask := w.Unsqueeze(w.Cast(w.Input(prefix+".mask", dtype.F32, g.windows, g.length), dtype.I32), 0)
	g.mask = w.Reshape(w.Expand(mask, rows, g.windows, g.length), rows.Times(g.windows), g.length)
	g.places = w.Input(prefix+".places", dtype.I64, tokens)
	g.turn = &nn.Rotary{
		Cos:         dit.Input(w.Builder, prefix+".cos", onnx.D(1), all, onnx.D(w.head/2)),
		Sin:         dit.Input(w.Builder, prefix+".sin", onnx.D(1), all, onnx.D(w.head/2)),
		Interleaved: true,
	}
	return g
}

// modulations embeds the timestep. Upstream: TimeEmbedding, AdaSingle.
func (w *writer) modulations(s *weights.Scope, t *onnx.Value) {
	const frequencies, parts = 256, 6
	cos, sin := w.Halves(w.TimestepEmbedding(t, frequencies))
	x := w.SiLU(w.Linear(s.At("proj_in"), w.Concat(1, sin, cos), w.hidden))
	x = w.Linear(s.At("proj_out"), w.SiLU(w.Linear(s.At("proj_hid"), x, w.hidden)), parts*w.hidden)
	x = w.Transpose(w.Reshape(x, x.Dim(0), onnx.D(w.hidden), onnx.D(parts)), 0, 2, 1)
	list := w.Split(x, 1, 1, 1, 1, 1, 1, 1)
	copy(w.attention[:], list)
	copy(w.mlp[:], list[len(w.attention):])
}

// vector is a learned part of a modulation.
func (w *writer) vector(s *weights.Scope, name string) *onnx.Value {
	return w.Table(s.Weight(name, w.hidden))
}

// shifted scales and shifts x by a modulation and by vectors of the layer.
func (w *writer) shifted(s *weights.Scope, layer string, x *onnx.Value, m modulation) *onnx.Value {
	return w.Add(w.Mul(x, w.Add(m[1], w.vector(s, layer+"_scale"))), w.Add(m[0], w.vector(s, layer+"_shift")))
}

// gated is x + y times the gate of a modulation and of the layer.
func (w *writer) gated(s *weights.Scope, layer string, x, y *onnx.Value, m modulation) *onnx.Value {
	return w.Gated(x, y, w.Add(m[2], w.vector(s, layer+"_gate")))
}

// norm is the norm of tokens, which has no weights.
func (w *writer) norm(x *onnx.Value) *onnx.Value { return w.Graph.RMSNorm(x, nil, epsilon) }

// block lets the tokens of each window and the text attend to each other. The last one changes only the video, and in 3B its text is not
// modulated. Upstream: NaMMSRTransformerBlock.
func (w *writer) block(s *weights.Scope, vid, txt *onnx.Value, g grid, last bool) (newVid, newTxt *onnx.Value) {
	ada := func(kind string) *weights.Scope { return ofKind(s.At("ada"), kind) }
	v, t := w.shifted(ada(video), "attn", w.norm(vid), w.attention), w.norm(txt)
	if !last || !w.joint {
		t = w.shifted(ada(text), "attn", t, w.attention)
	}
	at := s.At("attn")
	v, t = w.attend(at, v, t, g, last)
	out := func(kind string, x *onnx.Value) *onnx.Value {
		return w.Linear(ofKind(at.At("proj_out"), kind), x, w.hidden)
	}
	vid = w.gated(ada(video), "attn", vid, out(video, v), w.attention)
	vid = w.gated(ada(video), "mlp", vid, w.feedForward(ofKind(s.At("mlp"), video), w.shifted(ada(video), "mlp", w.norm(vid), w.mlp)), w.mlp)
	if last {
		return vid, nil
	}
	txt = w.gated(ada(text), "attn", txt, out(text, t), w.attention)
	return vid, w.gated(ada(text), "mlp", txt, w.feedForward(ofKind(s.At("mlp"), text), w.shifted(ada(text), "mlp", w.norm(txt), w.mlp)), w.mlp)
}

// attend computes attention in windows; the result of a text token is the mean over all windows. Upstream: NaSwinAttention.
func (w *writer) attend(s *weights.Scope, vid, txt *onnx.Value, g grid, last bool) (newVid, newTxt *onnx.Value) {
	inner := w.heads * w.head
	part := func(kind string, x *onnx.Value, i int) *onnx.Value {
		y := w.LinearRows(ofKind(s.At("proj_qkv"), kind), x, 3*inner, i*inner, inner)
		if i < 2 {
			y = w.HeadRMSNorm(ofKind(s.At([]string{"norm_q", "norm_k"}[i]), kind), y, w.heads, epsilon)
		}
		return y
	}
	rows := vid.Dim(0)
	joined := func(i int) *onnx.Value {
		y := w.GatherAxis(w.Concat(1, part(text, txt, i), part(video, vid, i)), g.index, 1)
		if i < 2 {
			y = w.Rotate(y, g.turn, w.heads)
		}
		return w.Reshape(y, rows.Times(g.windows), g.length, onnx.D(inner))
	}
	y := w.Attend(joined(0), joined(1), joined(2), onnx.Attention{Heads: w.heads, Scale: float32(1 / math.Sqrt(float64(w.head))), KeyMask: g.mask})
	newVid = w.GatherAxis(w.Reshape(y, rows, g.windows.Times(g.length), onnx.D(inner)), g.places, 1)
	if last {
		return newVid, nil
	}
	y = w.GatherAxis(w.Reshape(y, rows, g.windows, g.length, onnx.D(inner)), w.texts, 2)
	return newVid, w.ReduceMean(y, false, 1)
}

// feedForward is the MLP of a block: gated by SiLU, or with GELU.
func (w *writer) feedForward(s *weights.Scope, x *onnx.Value) *onnx.Value {
	inner := 1
	if sh := s.Shape("proj_in.weight"); len(sh) == 2 {
		inner = sh[0]
	}
	y := w.Linear(s.At("proj_in"), x, inner)
	if s.Has("proj_in_gate.weight") {
		y = w.SwiGLU(y, w.Linear(s.At("proj_in_gate"), x, inner))
	} else {
		y = w.Gelu(y, true)
	}
	return w.Linear(s.At("proj_out"), y, w.hidden)
}
