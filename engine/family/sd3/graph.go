package sd3

import (
	"fmt"
	"math"
	"slices"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// Variant distinguishes the graphs of one network.
type Variant struct {
	// Skip are blocks that are left out, Controls those after which a ControlNet adds a residual.
	Skip, Controls []int
}

// Digest identifies the variant.
func (v Variant) Digest() string { return family.Digest(v.Skip, v.Controls) }

const epsilon = 1e-6

// Residual names the input of a ControlNet's residual [B,tokens,C] after block i.
func Residual(i int) string { return fmt.Sprintf("control.%d", i) }

// writer writes one graph.
type writer struct {
	*nn.Builder
	Config
	s *weights.Scope
	// vec modulates every layer.
	vec *onnx.Value
}

// Write writes a graph of the network. Inputs: x [B,C,h·p,w·p], pos [1,h·w,H], context [B,T,C'], timesteps [B], y [B,V].
// Output: out [B,h·w,p·p·C]. Upstream: mmdit.py MMDiT.
func Write(b *nn.Builder, s *weights.Scope, c Config, v Variant) {
	w := &writer{Builder: b, Config: c, s: s}
	x, context := w.embed()
	for i := range s.Count("joint_blocks") {
		if !slices.Contains(v.Skip, i) {
			context, x = w.block(s.At("joint_blocks").Index(i), context, x)
		}
		if slices.Contains(v.Controls, i) {
			x = b.Add(x, dit.Input(b, Residual(i), x.Shape...))
		}
	}
	final := s.At("final_layer")
	parts := w.modulation(final, 2)
	out := c.Channels * c.Patch * c.Patch
	if sh := final.Shape("linear.weight"); len(sh) == 2 {
		out = sh[0]
	}
	dit.Output(b, "out", b.Linear(final.At("linear"), b.Modulate(x, parts[0], parts[1], epsilon), out))
}

// embed makes the tokens of the latent and of the text, and the vector.
func (w *writer) embed() (x, context *onnx.Value) {
	latent, tokens := dit.LatentInput(w.Builder, w.Channels, w.Patch)
	x = dit.PatchEmbed(w.Builder, w.s.At("x_embedder", "proj"), latent, w.Hidden, w.Patch)
	x = w.Add(x, dit.Input(w.Builder, "pos", onnx.D(1), tokens, onnx.D(w.Hidden)))
	rows := onnx.Sym("B")
	w.vec = dit.TimeMLP(w.Builder, w.s.At("t_embedder"), w.Input("timesteps", dtype.F32, rows), 1, w.Hidden, "mlp.0", "mlp.2")
	if w.Vector > 0 {
		y := dit.Input(w.Builder, "y", rows, onnx.D(w.Vector))
		w.vec = w.Add(w.vec, dit.MLP(w.Builder, w.s.At("y_embedder"), y, w.Hidden, w.Hidden, "mlp.0", "mlp.2"))
	}
	w.vec = w.SiLU(w.vec)
	context = w.Linear(w.s.At("context_embedder"), dit.Input(w.Builder, "context", rows, onnx.Sym("T"), onnx.D(w.Context)), w.Hidden)
	return x, context
}

func (w *writer) modulation(s *weights.Scope, n int) []*onnx.Value {
	return w.Chunks(w.Linear(s.At("adaLN_modulation", "1"), w.vec, n*w.Hidden), n)
}

func (w *writer) attention() onnx.Attention {
	return onnx.Attention{Heads: w.Hidden / headWidth, Scale: float32(1 / math.Sqrt(headWidth))}
}

// stream makes the queries, keys and values of the attention at s.
func (w *writer) stream(s *weights.Scope, x *onnx.Value) nn.Stream {
	h := w.Hidden
	rows := func(i int) *onnx.Value { return w.LinearRows(s.At("qkv"), x, 3*h, i*h, h) }
	out := nn.Stream{Q: rows(0), K: rows(1), V: rows(2)}
	if s.Has("ln_q.weight") {
		out.Q = w.HeadRMSNorm(s.At("ln_q"), out.Q, h/headWidth, epsilon)
		out.K = w.HeadRMSNorm(s.At("ln_k"), out.K, h/headWidth, epsilon)
	}
	return out
}

// block writes a joint block. context is nil after the last one, which has no text output.
func (w *writer) block(s *weights.Scope, context, x *onnx.Value) (newContext, newX *onnx.Value) {
	cs, xs := s.At("context_block"), s.At("x_block")
	ends := !cs.Has("attn.proj.weight")
	parts := 6
	if ends {
		parts = 2
	}
	cm := w.modulation(cs, parts)
	second := xs.Has("attn2.qkv.weight")
	parts = 6
	if second {
		parts = 9
	}
	xm := w.modulation(xs, parts)
	text := w.stream(cs.At("attn"), w.Modulate(context, cm[0], cm[1], epsilon))
	image := w.stream(xs.At("attn"), w.Modulate(x, xm[0], xm[1], epsilon))
	y := w.JointAttention(w.attention(), nil, text, image)
	if second {
		other := w.stream(xs.At("attn2"), w.Modulate(x, xm[6], xm[7], epsilon))
		z := w.JointAttention(w.attention(), nil, other)[0]
		x = w.Gated(x, w.Linear(xs.At("attn", "proj"), y[1], w.Hidden), xm[2])
		x = w.Gated(x, w.Linear(xs.At("attn2", "proj"), z, w.Hidden), xm[8])
	} else {
		x = w.Gated(x, w.Linear(xs.At("attn", "proj"), y[1], w.Hidden), xm[2])
	}
	x = w.feedForward(xs, x, xm[3:6])
	if ends {
		return nil, x
	}
	context = w.Gated(context, w.Linear(cs.At("attn", "proj"), y[0], w.Hidden), cm[2])
	return w.feedForward(cs, context, cm[3:6]), x
}

func (w *writer) feedForward(s *weights.Scope, x *onnx.Value, m []*onnx.Value) *onnx.Value {
	const ratio = 4
	y := w.Gelu(w.Linear(s.At("mlp", "fc1"), w.Modulate(x, m[0], m[1], epsilon), ratio*w.Hidden), true)
	return w.Gated(x, w.Linear(s.At("mlp", "fc2"), y, w.Hidden), m[2])
}
