package trellis2

import (
	"comfygo/engine/dtype"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/sampling"
	"comfygo/engine/weights"
)

// epsilon is that of the norms of blocks, outer that of the last one, and headEpsilon that of heads: what torch takes for float32.
const (
	epsilon     = 1e-6
	outer       = 1e-5
	headEpsilon = 1.1920929e-7
)

// writer writes one graph.
type writer struct {
	*nn.Builder
	network
}

// write writes a network on cells. Inputs: x [B,L,C], t [B], context [B,T,W], cos and sin [1,L,D/2], and for a network with image features projected
// [1,L,P] and seen [B,1,1]. Output: out [B,L,C']. Upstream: SLatFlowModel, SparseStructureFlowModel.
func (w writer) write(s *weights.Scope) {
	rows, cells := onnx.Sym("B"), onnx.Sym("L")
	x := dit.Input(w.Builder, "x", rows, cells, onnx.D(w.in))
	time := dit.TimeMLP(w.Builder, s.At("t_embedder.mlp"), w.Input("t", dtype.F32, rows), 1, w.width, "0", "2")
	image := dit.Input(w.Builder, sampling.InputContext, rows, onnx.Sym("T"), onnx.D(w.context))
	rope := dit.RotaryInputs(w.Builder, cells, w.width/w.heads)
	var features *onnx.Value
	if w.projected > 0 {
		features = w.Mul(dit.Input(w.Builder, inputProjected, onnx.D(1), cells, onnx.D(w.projected)), dit.Input(w.Builder, inputSeen, rows, onnx.D(1), onnx.D(1)))
	}
	modulation := w.Linear(s.At("adaLN_modulation.1"), w.SiLU(time), 6*w.width)
	x = w.Linear(s.At("input_layer"), x, w.width)
	for i := range w.blocks {
		x = w.block(s.At("blocks").Index(i), x, modulation, image, features, rope)
	}
	dit.Output(w.Builder, "out", w.Linear(s.At("out_layer"), w.LayerNormPlain(x, outer), w.out))
}

// block is attention of cells to each other and to the image, and a feed-forward layer. Upstream: ModulatedSparseTransformerCrossBlock.
func (w writer) block(s *weights.Scope, x, modulation, image, features *onnx.Value, rope *nn.Rotary) *onnx.Value {
	m := w.Chunks(w.Add(modulation, w.Table(s.Weight("modulation", 6*w.width))), 6)
	x = w.Gated(x, w.own(s.At("self_attn"), w.Modulate(x, m[0], m[1], epsilon), rope), m[2])
	y := w.LayerNorm(s.At("norm2"), x, epsilon)
	if features != nil {
		x = w.LinearAdd(s.At("cross_attn.proj_linear"), features, x, w.width)
	}
	x = w.Add(x, w.seen(cross(s, w.network), y, image))
	y = w.Modulate(x, m[3], m[4], epsilon)
	y = w.Linear(s.At("mlp.mlp.2"), w.Gelu(w.Linear(s.At("mlp.mlp.0"), y, w.inner), true), w.width)
	return w.Gated(x, y, m[5])
}

// own is attention of cells to each other.
func (w writer) own(s *weights.Scope, x *onnx.Value, rope *nn.Rotary) *onnx.Value {
	qkv := w.Chunks(w.Linear(s.At("to_qkv"), x, 3*w.width), 3)
	q, k := w.Rotate(w.normed(s.At("q_rms_norm"), qkv[0]), rope, w.heads), w.Rotate(w.normed(s.At("k_rms_norm"), qkv[1]), rope, w.heads)
	return w.Linear(s.At("to_out"), w.Attention(q, k, qkv[2], nil, w.heads), w.width)
}

// seen is attention of cells to the tokens of an image.
func (w writer) seen(s *weights.Scope, x, image *onnx.Value) *onnx.Value {
	kv := w.Chunks(w.Linear(s.At("to_kv"), image, 2*w.width), 2)
	q, k := w.normed(s.At("q_rms_norm"), w.Linear(s.At("to_q"), x, w.width)), w.normed(s.At("k_rms_norm"), kv[0])
	return w.Linear(s.At("to_out"), w.Attention(q, k, kv[1], nil, w.heads), w.width)
}

// normed divides each head of x [B,S,heads·D] by the root of its mean square, and multiplies by gamma [heads,D]. Upstream: MultiHeadRMSNorm.
func (w writer) normed(s *weights.Scope, x *onnx.Value) *onnx.Value {
	d := w.width / w.heads
	ones := make([]float32, d)
	for i := range ones {
		ones[i] = 1
	}
	y := w.Graph.RMSNorm(w.Reshape(x, x.Dim(0), x.Dim(1), onnx.D(w.heads), onnx.D(d)), w.Cast(w.Floats(ones, d), w.Target.Compute), headEpsilon)
	return w.Reshape(w.Mul(y, w.Table(s.Weight("gamma", w.heads, d))), x.Shape...)
}
