package auraflow

import (
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// eps is the epsilon of all norms, which have no learned values.
const eps = 1e-5

// build writes the graph. Upstream: ldm/aura/mmdit.py MMDiT.
func (m *Model) build(spec family.Spec) (*onnx.Graph, error) {
	return spec.Build("auraflow", m.Source, func(b *nn.Builder, s *weights.Scope) { network{b, m.Config}.write(s) })
}

type network struct {
	*nn.Builder
	c Config
}

// write writes the network. Inputs are tokens x [B,X,C·4] and their positions [1,X,Dim], context [B,T,Text] and timesteps
// [B].
func (n network) write(s *weights.Scope) {
	rows, images, texts := onnx.Sym("B"), onnx.Sym("X"), onnx.Sym("T")
	width := n.c.Channels * n.c.Patch * n.c.Patch
	tokens := dit.Input(n.Builder, "x", rows, images, onnx.D(width))
	positions := dit.Input(n.Builder, "positions", onnx.D(1), images, onnx.D(n.c.Dim))
	context := dit.Input(n.Builder, "context", rows, texts, onnx.D(n.c.Text))
	const factor = 1000
	time := n.SiLU(dit.TimeMLP(n.Builder, s.At("t_embedder.mlp"), n.Input("timesteps", dtype.F32, rows), factor, n.c.Time, "0", "2"))

	x := n.Add(n.Linear(s.At("init_x_linear"), tokens, n.c.Dim), positions)
	txt := n.Linear(s.At("cond_seq_linear"), context, n.c.Dim)
	n.At("register_tokens")
	registers := n.Table(s.Weight("register_tokens", 1, n.c.Registers, n.c.Dim))
	txt = n.Concat(1, n.Expand(registers, rows, onnx.D(n.c.Registers), onnx.D(n.c.Dim)), txt)
	for i := range n.c.Double {
		txt, x = n.double(s.At("double_layers").Index(i), txt, x, time)
	}
	joint := n.Concat(1, txt, x)
	for i := range n.c.Single {
		joint = n.single(s.At("single_layers").Index(i), joint, time)
	}
	x = n.SliceDims(joint, 1, txt.Dim(1), joint.Dim(1))
	last := n.Chunks(n.Linear(s.At("modF.1"), time, 2*n.c.Dim), 2)
	x = n.Add(n.Mul(x, n.Add(last[1], n.Const(1))), last[0])
	dit.Output(n.Builder, "out", n.Linear(s.At("final_linear"), x, width))
}

// attention is how heads attend.
func (n network) attention() onnx.Attention {
	return onnx.Attention{Heads: n.c.Heads, Scale: float32(1 / math.Sqrt(float64(n.c.Dim)/float64(n.c.Heads)))}
}

// stream makes queries, keys and values by the layers w1q, w1k, w1v or w2q, w2k, w2v.
func (n network) stream(s *weights.Scope, x *onnx.Value, layer string) nn.Stream {
	heads := func(y *onnx.Value) *onnx.Value {
		apart := n.Reshape(y, y.Dim(0), y.Dim(1), onnx.D(n.c.Heads), onnx.Infer)
		return n.Reshape(n.LayerNormPlain(apart, eps), y.Shape...)
	}
	return nn.Stream{
		Q: heads(n.Linear(s.At(layer+"q"), x, n.c.Dim)), K: heads(n.Linear(s.At(layer+"k"), x, n.c.Dim)), V: n.Linear(s.At(layer+"v"), x, n.c.Dim),
	}
}

// modulation is shift, scale and gate of attention and MLP.
func (n network) modulation(s *weights.Scope, time *onnx.Value) []dit.Mod {
	return dit.Mods(n.Builder, n.Linear(s.At("1"), time, 6*n.c.Dim), 2)
}

// modulated is the layer norm of x times 1+scale plus shift.
func (n network) modulated(x *onnx.Value, m dit.Mod) *onnx.Value {
	return n.Modulate(x, m.Shift, m.Scale, eps)
}

// behind writes the part after attention: y is added to x, and the MLP of the norm of that to x.
func (n network) behind(s *weights.Scope, x, y *onnx.Value, m []dit.Mod) *onnx.Value {
	h := n.LayerNormPlain(n.Gated(x, y, m[0].Gate), eps)
	h = n.Add(n.Mul(h, n.Add(m[1].Scale, n.Const(1))), m[1].Shift)
	hidden := 1
	if sh := s.Shape("c_fc1.weight"); len(sh) > 0 {
		hidden = sh[0]
	}
	h = n.SwiGLU(n.Linear(s.At("c_fc2"), h, hidden), n.Linear(s.At("c_fc1"), h, hidden))
	return dit.HalfSafe(n.Builder, n.Gated(x, n.Linear(s.At("c_proj"), h, n.c.Dim), m[1].Gate))
}

// double is a block with weights of their own for text and image. Upstream: MMDiTBlock.
func (n network) double(s *weights.Scope, txt, x, time *onnx.Value) (newTxt, newX *onnx.Value) {
	tm, xm := n.modulation(s.At("modC"), time), n.modulation(s.At("modX"), time)
	a := s.At("attn")
	text := n.stream(a, n.modulated(txt, tm[0]), "w1")
	image := n.stream(a, n.modulated(x, xm[0]), "w2")
	y := n.JointAttention(n.attention(), nil, text, image)
	txt = n.behind(s.At("mlpC"), txt, n.Linear(a.At("w1o"), y[0], n.c.Dim), tm)
	return txt, n.behind(s.At("mlpX"), x, n.Linear(a.At("w2o"), y[1], n.c.Dim), xm)
}

// single is a block for text and image together. Upstream: DiTBlock.
func (n network) single(s *weights.Scope, x, time *onnx.Value) *onnx.Value {
	m := n.modulation(s.At("modCX"), time)
	y := n.JointAttention(n.attention(), nil, n.stream(s.At("attn"), n.modulated(x, m[0]), "w1"))[0]
	return n.behind(s.At("mlp"), x, n.Linear(s.At("attn.w1o"), y, n.c.Dim), m)
}
