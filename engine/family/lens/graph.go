package lens

import (
	"math"
	"strconv"

	"comfygo/engine/dtype"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// The epsilons of the norms of blocks, and of queries, keys and text.
const (
	epsilon     = 1e-6
	textEpsilon = 1e-5
)

// writer writes one graph.
type writer struct {
	*nn.Builder
	config
	rope *nn.Rotary
	mask *onnx.Value
}

// write writes the network. Inputs: x [B,I,channels], context [B,T,layers·text], timesteps [B], angles of the positions of T+I tokens, and
// mask [B,T+I] where text is hidden. Output: out [B,I,channels]. Upstream: ldm/lens/model.py LensTransformer2DModel.
func (w *writer) write(s *weights.Scope, masked bool) {
	b, rows, images, texts := w.Builder, onnx.Sym("B"), onnx.Sym("I"), onnx.Sym("T")
	img := w.Linear(s.At("img_in"), dit.Input(b, "x", rows, images, onnx.D(w.channels)), w.width)
	context := dit.Input(b, "context", rows, texts, onnx.D(w.layers*w.text))
	w.rope = dit.RotaryInputs(b, texts.Plus(images), head)
	if masked {
		w.mask = w.Cast(w.Input("mask", dtype.F32, rows, texts.Plus(images)), dtype.I32)
	}
	txt := w.Linear(s.At("txt_in"), w.normed(s.At("txt_norm"), context), w.width)
	time := w.SiLU(dit.TimeMLP(b, s.At("time_text_embed", "timestep_embedder"), w.Input("timesteps", dtype.F32, rows), 1000, w.width, "linear_1", "linear_2"))
	for i := range w.blocks {
		img, txt = w.block(s.At("transformer_blocks").Index(i), img, txt, time)
	}
	mods := w.Chunks(w.Linear(s.At("norm_out", "linear"), time, 2*w.width), 2)
	dit.Output(b, "out", w.Linear(s.At("proj_out"), w.Modulate(img, mods[1], mods[0], epsilon), w.channels))
}

// normed normalises each layer of the text encoding.
func (w *writer) normed(s *weights.Scope, x *onnx.Value) *onnx.Value {
	if !w.several {
		return w.RMSNorm(s, x, textEpsilon)
	}
	parts := make([]*onnx.Value, w.layers)
	for i := range parts {
		parts[i] = w.RMSNorm(s.At(strconv.Itoa(i)), w.Slice(x, 2, i*w.text, (i+1)*w.text), textEpsilon)
	}
	return w.Concat(2, parts...)
}

// block is a double block. time is after its SiLU. Upstream: LensTransformerBlock.
func (w *writer) block(s *weights.Scope, img, txt, time *onnx.Value) (newImg, newTxt *onnx.Value) {
	a := s.At("attn")
	heads := w.width / head
	mods := func(of string) []*onnx.Value { return w.Chunks(w.Linear(s.At(of+"_mod", "1"), time, 6*w.width), 6) }
	im, tm := mods("img"), mods("txt")
	stream := func(of, q, k string, x *onnx.Value, m []*onnx.Value) nn.Stream {
		x = w.ModulateRMS(s.At(of+"_norm1"), x, m[0], m[1], epsilon)
		rows := func(i int) *onnx.Value { return w.LinearRows(a.At(of+"_qkv"), x, 3*w.width, i*w.width, w.width) }
		return nn.Stream{Q: w.HeadRMSNorm(a.At(q), rows(0), heads, textEpsilon), K: w.HeadRMSNorm(a.At(k), rows(1), heads, textEpsilon), V: rows(2)}
	}
	y := w.JointAttention(onnx.Attention{Heads: heads, Scale: float32(1 / math.Sqrt(head)), KeyMask: w.mask}, w.rope,
		stream("txt", "norm_added_q", "norm_added_k", txt, tm), stream("img", "norm_q", "norm_k", img, im))
	img = w.Gated(img, w.Linear(a.At("to_out", "0"), y[1], w.width), im[2])
	txt = w.Gated(txt, w.Linear(a.At("to_add_out"), y[0], w.width), tm[2])
	fed := func(of string, x *onnx.Value, m []*onnx.Value) *onnx.Value {
		in, mlp := w.ModulateRMS(s.At(of+"_norm2"), x, m[3], m[4], epsilon), s.At(of+"_mlp")
		return w.Gated(x, w.Linear(mlp.At("w2"), w.SwiGLU(w.Linear(mlp.At("w3"), in, w.inner), w.Linear(mlp.At("w1"), in, w.inner)), w.width), m[5])
	}
	return fed("img", img, im), fed("txt", txt, tm)
}
