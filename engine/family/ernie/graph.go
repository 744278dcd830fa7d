package ernie

import (
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// epsilon is the epsilon of the norms.
const epsilon = 1e-6

// writer writes one graph.
type writer struct {
	*nn.Builder
	config
	// cos and sin are the angles of all tokens, [1,S,1,D].
	cos, sin *onnx.Value
}

// write writes a graph of the network. Inputs: x [B,C,h·p,w·p], context [B,T,text], timesteps [B], cos and sin [1,h·w+T,D].
// Output: out [B,h·w,C·p·p]. Upstream: ldm/ernie/model.py ErnieImageModel.
func write(b *nn.Builder, s *weights.Scope, c config) {
	rows, texts := onnx.Sym("B"), onnx.Sym("T")
	img, images := dit.LatentInput(b, c.channels, c.patch)
	txt := dit.Input(b, "context", rows, texts, onnx.D(c.text))
	angles := func(name string) *onnx.Value {
		return b.Unsqueeze(dit.Input(b, name, onnx.D(1), images.Plus(texts), onnx.D(c.head())), 2)
	}
	w := writer{Builder: b, config: c, cos: angles("cos"), sin: angles("sin")}
	img = dit.PatchEmbed(b, s.At("x_embedder", "proj"), img, c.hidden, c.patch)
	if c.projected {
		txt = b.Linear(s.At("text_proj"), txt, c.hidden)
	}
	// Here sines come before cosines.
	cos, sin := b.Halves(b.TimestepEmbedding(b.Input("timesteps", dtype.F32, rows), c.hidden))
	t := dit.MLP(b, s.At("time_embedding"), b.Concat(1, sin, cos), c.hidden, c.hidden, "linear_1", "linear_2")
	mods := dit.Mods(b, b.Linear(s.At("adaLN_modulation", "1"), b.SiLU(t), 6*c.hidden), 2)

	x := b.Concat(1, img, txt)
	for i := range s.Count("layers") {
		x = w.block(s.At("layers").Index(i), x, mods)
	}
	x = b.SliceDims(x, 1, onnx.D(0), images)
	parts := b.Chunks(b.Linear(s.At("final_norm", "linear"), t, 2*c.hidden), 2)
	dit.Output(b, "out", b.Linear(s.At("final_linear"), b.Modulate(x, parts[1], parts[0], epsilon), c.channels*c.patch*c.patch))
}

func (w writer) block(s *weights.Scope, x *onnx.Value, mods []dit.Mod) *onnx.Value {
	m := mods[0]
	x = w.Gated(x, w.attention(s.At("self_attention"), w.ModulateRMS(s.At("adaLN_sa_ln"), x, m.Shift, m.Scale, epsilon)), m.Gate)
	m = mods[1]
	y, f := w.ModulateRMS(s.At("adaLN_mlp_ln"), x, m.Shift, m.Scale, epsilon), s.At("mlp")
	y = w.GEGLU(w.Linear(f.At("up_proj"), y, w.inner), w.Linear(f.At("gate_proj"), y, w.inner), false)
	return w.Gated(x, w.Linear(f.At("linear_fc2"), y, w.hidden), m.Gate)
}

func (w writer) attention(s *weights.Scope, x *onnx.Value) *onnx.Value {
	turned := func(norm, layer string) *onnx.Value {
		return w.rotate(w.HeadRMSNorm(s.At(norm), w.Linear(s.At(layer), x, w.hidden), w.heads, epsilon))
	}
	a := onnx.Attention{Heads: w.heads, Scale: float32(1 / math.Sqrt(float64(w.head())))}
	y := w.Attend(turned("norm_q", "to_q"), turned("norm_k", "to_k"), w.Linear(s.At("to_v"), x, w.hidden), a)
	return w.Linear(s.At("to_out", "0"), y, w.hidden)
}

// rotate turns the heads of x [B,S,C]; the two elements of a pair have angles of their own.
func (w writer) rotate(x *onnx.Value) *onnx.Value {
	y := w.Reshape(x, x.Dim(0), x.Dim(1), onnx.D(w.heads), onnx.D(w.head()))
	first, second := w.Halves(y)
	return w.Reshape(w.Add(w.Mul(y, w.cos), w.Mul(w.Concat(3, w.Neg(second), first), w.sin)), x.Shape...)
}
