package hidream

import (
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// The epsilons of the norms of blocks and of queries and keys.
const (
	eps     = 1e-6
	normEps = 1e-5
)

type network struct {
	*nn.Builder
	c Config
}

// write writes the network for the given number of layers of the language model. Inputs are tokens x [B,X,C·4], context
// [B,T,Text], llama [B,layers,L,Layer], y [B,Vector], timesteps [B], and the angles of the positions of X+T+2·L tokens.
// Upstream: ldm/hidream/model.py HiDreamImageTransformer2DModel.
func (n network) write(s *weights.Scope, layers int) {
	rows, images, texts, words := onnx.Sym("B"), onnx.Sym("X"), onnx.Sym("T"), onnx.Sym("L")
	width := n.c.Channels * n.c.Patch * n.c.Patch
	x := dit.Input(n.Builder, "x", rows, images, onnx.D(width))
	context := dit.Input(n.Builder, "context", rows, texts, onnx.D(n.c.Text))
	llama := dit.Input(n.Builder, "llama", rows, onnx.D(layers), words, onnx.D(n.c.Layer))
	pooled := dit.Input(n.Builder, "y", rows, onnx.D(n.c.Vector))
	times := n.Input("timesteps", dtype.F32, rows)
	rope := dit.RotaryInputs(n.Builder, images.Plus(texts).Plus(words).Plus(words), headWidth)

	time := dit.TimeMLP(n.Builder, s.At("t_embedder.timestep_embedder"), times, 1, n.c.Dim, "linear_1", "linear_2")
	time = n.Add(time, dit.MLP(n.Builder, s.At("p_embedder.pooled_embedder"), pooled, n.c.Dim, n.c.Dim, "linear_1", "linear_2"))
	time = n.SiLU(time)
	blocks := n.c.Double + n.c.Single
	projected := func(i int) *onnx.Value { // the words as block i reads them
		at := min(i, layers-1)
		return n.Linear(s.At("caption_projection").Index(i).At("linear"), n.Squeeze(n.Slice(llama, 1, at, at+1), 1), n.c.Dim)
	}
	img := n.Linear(s.At("x_embedder.proj"), x, n.c.Dim)
	txt := n.Concat(1, n.Linear(s.At("caption_projection").Index(blocks).At("linear"), context, n.c.Dim), projected(blocks-1))
	kept := txt.Dim(1)
	for i := range n.c.Double {
		img, txt = n.double(s.At("double_stream_blocks").Index(i).At("block"), img, n.Concat(1, txt, projected(i)), time, rope)
		txt = n.SliceDims(txt, 1, onnx.D(0), kept)
	}
	joint := n.Concat(1, img, txt)
	kept = joint.Dim(1)
	for i := range n.c.Single {
		joint = n.single(s.At("single_stream_blocks").Index(i).At("block"), n.Concat(1, joint, projected(n.c.Double+i)), time, rope)
		joint = n.SliceDims(joint, 1, onnx.D(0), kept)
	}
	last := s.At("final_layer")
	m := n.Chunks(n.Linear(last.At("adaLN_modulation.1"), time, 2*n.c.Dim), 2)
	y := n.Modulate(n.SliceDims(joint, 1, onnx.D(0), images), m[0], m[1], eps)
	dit.Output(n.Builder, "out", n.Neg(n.Linear(last.At("linear"), y, width)))
}

// stream makes queries, keys and values; suffix is "_t" for the text's layers.
func (n network) stream(s *weights.Scope, x *onnx.Value, suffix string) nn.Stream {
	return nn.Stream{
		Q: n.RMSNorm(s.At("q_rms_norm"+suffix), n.Linear(s.At("to_q"+suffix), x, n.c.Dim), normEps),
		K: n.RMSNorm(s.At("k_rms_norm"+suffix), n.Linear(s.At("to_k"+suffix), x, n.c.Dim), normEps),
		V: n.Linear(s.At("to_v"+suffix), x, n.c.Dim),
	}
}

// attention is how heads attend.
func (n network) attention() onnx.Attention {
	return onnx.Attention{Heads: n.c.Heads, Scale: float32(1 / math.Sqrt(headWidth))}
}

// double is a block with weights of their own for image and text.
func (n network) double(s *weights.Scope, img, txt, time *onnx.Value, rope *nn.Rotary) (newImg, newTxt *onnx.Value) {
	m := dit.Mods(n.Builder, n.Linear(s.At("adaLN_modulation.1"), time, 12*n.c.Dim), 4)
	im, tm := m[:2], m[2:]
	a := s.At("attn1")
	y := n.JointAttention(n.attention(), rope, n.stream(a, im[0].Apply(n.Builder, img), ""), n.stream(a, tm[0].Apply(n.Builder, txt), "_t"))
	img = im[0].Add(n.Builder, img, n.Linear(a.At("to_out"), y[0], n.c.Dim))
	txt = tm[0].Add(n.Builder, txt, n.Linear(a.At("to_out_t"), y[1], n.c.Dim))
	img = im[1].Add(n.Builder, img, n.experts(s.At("ff_i"), im[1].Apply(n.Builder, img)))
	txt = tm[1].Add(n.Builder, txt, n.feedForward(s.At("ff_t"), tm[1].Apply(n.Builder, txt)))
	return dit.HalfSafe(n.Builder, img), dit.HalfSafe(n.Builder, txt)
}

// single is a block for all tokens together.
func (n network) single(s *weights.Scope, x, time *onnx.Value, rope *nn.Rotary) *onnx.Value {
	m := dit.Mods(n.Builder, n.Linear(s.At("adaLN_modulation.1"), time, 6*n.c.Dim), 2)
	a := s.At("attn1")
	y := n.JointAttention(n.attention(), rope, n.stream(a, m[0].Apply(n.Builder, x), ""))[0]
	x = m[0].Add(n.Builder, x, n.Linear(a.At("to_out"), y, n.c.Dim))
	return dit.HalfSafe(n.Builder, m[1].Add(n.Builder, x, n.experts(s.At("ff_i"), m[1].Apply(n.Builder, x))))
}

// experts is the sum of the MLPs of the experts that a token is routed to, each times its score, and of the shared one.
func (n network) experts(s *weights.Scope, x *onnx.Value) *onnx.Value {
	scores, numbers := n.TopK(n.Softmax(n.Linear(s.At("gate"), x, n.c.Experts), -1), -1, active)
	own := n.Routed(x, numbers, scores, n.c.Experts, func(i int, x *onnx.Value) *onnx.Value { return n.feedForward(s.At("experts").Index(i), x) })
	return n.Add(n.feedForward(s.At("shared_experts"), x), own)
}

// feedForward is a gated MLP.
func (n network) feedForward(s *weights.Scope, x *onnx.Value) *onnx.Value {
	hidden := 1
	if sh := s.Shape("w1.weight"); len(sh) > 0 {
		hidden = sh[0]
	}
	return n.Linear(s.At("w2"), n.SwiGLU(n.Linear(s.At("w3"), x, hidden), n.Linear(s.At("w1"), x, hidden)), n.c.Dim)
}
