package triposplat

import (
	"fmt"
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// epsilon is that of the norms of blocks and of heads, outer that of the others.
const (
	epsilon = 1e-6
	outer   = 1e-5
)

// writer writes one graph.
type writer struct {
	*nn.Builder
	config
}

// write writes the network. Inputs: x [B,L,C], camera [B,1,C'], context [B,T,W], t [B], places [1,L,hidden] and, if the image's latent is seen, latent
// [B,T,W']. Outputs: out and camera out, in the shapes of x and camera. Upstream: LatentSeqMMFlowModel.
func (w writer) write(s *weights.Scope, seen bool) {
	rows, length, tokens := onnx.Sym("B"), onnx.Sym("L"), onnx.Sym("T")
	x := dit.Input(w.Builder, "x", rows, length, onnx.D(w.channels))
	camera := dit.Input(w.Builder, "camera", rows, onnx.D(1), onnx.D(w.camera))
	image := w.Linear(s.At("cond_embedder"), dit.Input(w.Builder, "context", rows, tokens, onnx.D(w.context)), w.hidden)
	if seen {
		image = w.Add(image, w.Linear(s.At("cond_embedder2"), dit.Input(w.Builder, "latent", rows, tokens, onnx.D(w.latent)), w.hidden))
	}
	time := dit.TimeMLP(w.Builder, s.At("t_embedder.mlp"), w.Input("t", dtype.F32, rows), 1, w.hidden, "0", "2")
	shared := w.Linear(s.At("adaLN_modulation.1"), w.SiLU(time), 6*w.hidden)
	x = w.Add(w.Linear(s.At("input_layer"), x, w.hidden), dit.Input(w.Builder, "places", onnx.D(1), length, onnx.D(w.hidden)))
	for i := range w.noise {
		x = w.block(s.At("noise_refiner").Index(i), s.At("noise_repo_layers").Index(i), x, shared)
	}
	for i := range w.tokens {
		image = w.block(s.At("context_refiner").Index(i), s.At("context_repo_layers").Index(i), image, nil)
	}
	view := w.feedForward(s.At("cam_refiner"), camera, w.hidden)
	all := w.Concat(1, x, image, view)
	for i := range w.blocks {
		all = w.block(s.At("blocks").Index(i), s.At("repo_layers").Index(i), all, shared)
	}
	// Rows of a table and the time: shift, then scale.
	table := w.Add(w.Unsqueeze(time, 1), w.Table(s.Weight("shift_table", 1, 2, w.hidden)))
	shift, scale := w.Slice(table, 1, 0, 1), w.Slice(table, 1, 1, 2)
	last := func(from, to onnx.Dim) *onnx.Value {
		return w.Modulate(w.SliceDims(all, 1, from, to), shift, scale, outer)
	}
	dit.Output(w.Builder, "out", w.Linear(s.At("out_layer"), last(onnx.D(0), length), w.channels))
	dit.Output(w.Builder, "camera out", w.Linear(s.At("cam_out_layer"), last(length.Plus(tokens), all.Dim(1)), w.camera))
}

// block is attention and a feed-forward layer on x [B,S,hidden]; place tells where its tokens are. shared [B,6·hidden], when set, modulates it. Upstream:
// UnifiedTransformerBlock.
func (w writer) block(s, place *weights.Scope, x, shared *onnx.Value) *onnx.Value {
	rope := w.turns(place, x)
	if shared == nil {
		x = w.Add(x, w.attention(s.At("attn"), w.LayerNorm(s.At("norm1"), x, epsilon), rope))
		return w.Add(x, w.feedForward(s.At("mlp"), w.LayerNorm(s.At("norm2"), x, epsilon), w.inner))
	}
	m := w.Chunks(w.Unsqueeze(w.Add(shared, w.Table(s.Weight("shift_table", 1, 6*w.hidden))), 1), 6)
	x = w.Gated(x, w.attention(s.At("attn"), w.Modulate(x, m[0], m[1], epsilon), rope), m[2])
	return w.Gated(x, w.feedForward(s.At("mlp"), w.Modulate(x, m[3], m[4], epsilon), w.inner), m[5])
}

func (w writer) feedForward(s *weights.Scope, x *onnx.Value, inner int) *onnx.Value {
	return feedForward(w.Builder, s, x, inner, w.hidden)
}

// feedForward is an MLP with GELU in its tanh form. Upstream: MLP.
func feedForward(b *nn.Builder, s *weights.Scope, x *onnx.Value, inner, out int) *onnx.Value {
	return b.Linear(s.At("mlp.2"), b.Gelu(b.Linear(s.At("mlp.0"), x, inner), true), out)
}

// turns are the angles by which the heads of x [B,S,hidden] are turned, of places that each head finds for each token: [B,S·heads,D/2]. Upstream:
// RePo3DRotaryEmbedding.
func (w writer) turns(s *weights.Scope, x *onnx.Value) *nn.Rotary {
	inner := max(dim(s, "gate_map.weight", 0), 1) // a missing one is reported when the layer is written
	y := w.LayerNorm(s.At("norm"), x, outer)
	y = w.SwiGLU(w.Linear(s.At("content_map"), y, inner), w.Linear(s.At("gate_map"), y, inner))
	y = w.Cast(w.Linear(s.At("final_map"), y, axes*w.heads), dtype.F32)
	all := x.Dim(1).Times(onnx.D(w.heads))
	y = w.Reshape(y, x.Dim(0), all, onnx.D(axes))
	var angles []*onnx.Value
	for i, count := range w.waves {
		angles = append(angles, w.Mul(w.Slice(y, 2, i, i+1), w.frequencies(s.Weight(fmt.Sprintf("freqs_%d", i), count), count)))
	}
	angle := w.Mul(w.Concat(2, angles...), w.Scalar(dtype.F32, math.Pi))
	return &nn.Rotary{Cos: w.Cast(w.Cos(angle), w.Target.Compute), Sin: w.Cast(w.Sin(angle), w.Target.Compute), Interleaved: true}
}

// frequencies are stored ones, in float32 whatever the compute type.
func (w writer) frequencies(r *weights.Ref, count int) *onnx.Value {
	return w.Weight(r.Name+".float32", dtype.F32, []int{count}, nn.Layout{Entry: r.Entry, Form: nn.Plain, DType: dtype.F32})
}

// attention is that of all tokens x to each other. Upstream: RopeMultiHeadAttention, which normalises heads after it turned them.
func (w writer) attention(s *weights.Scope, x *onnx.Value, rope *nn.Rotary) *onnx.Value {
	parts := w.Chunks(w.Linear(s.At("qkv"), x, 3*w.hidden), 3)
	turned := func(y *onnx.Value, norm string) *onnx.Value {
		flat := w.Reshape(y, y.Dim(0), y.Dim(1).Times(onnx.D(w.heads)), onnx.D(w.hidden/w.heads))
		return headNorm(w.Builder, s.At(norm), w.Reshape(w.Rotate(flat, rope, 1), y.Shape...), w.heads)
	}
	y := w.Attention(turned(parts[0], "q_norm"), turned(parts[1], "k_norm"), parts[2], nil, w.heads)
	return w.Linear(s.At("out"), y, w.hidden)
}

// headNorm divides each head of x [B,S,heads·D] by the root of its mean square, and multiplies by gamma [heads,D]. Upstream: MultiHeadRMSNorm.
func headNorm(b *nn.Builder, s *weights.Scope, x *onnx.Value, heads int) *onnx.Value {
	d := x.Dim(2).N / heads
	ones := make([]float32, d)
	for i := range ones {
		ones[i] = 1
	}
	y := b.Reshape(x, x.Dim(0), x.Dim(1), onnx.D(heads), onnx.D(d))
	y = b.Graph.RMSNorm(y, b.Cast(b.Floats(ones, d), b.Target.Compute), epsilon)
	return b.Reshape(b.Mul(y, b.Table(s.Weight("gamma", heads, d))), x.Shape...)
}
