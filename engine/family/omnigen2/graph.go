package omnigen2

import (
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// eps is the eps of all norms but the last one.
const (
	eps      = 1e-5
	finalEps = 1e-6
)

// build writes the graph. Upstream: ldm/omnigen/omnigen2.py OmniGen2Transformer2DModel.
func (m *Model) build(spec family.Spec, v variant) (*onnx.Graph, error) {
	return spec.Build("omnigen2", m.Source, func(b *nn.Builder, s *weights.Scope) { network{b, m.Config}.write(s, v) })
}

type network struct {
	*nn.Builder
	c Config
}

// stream is one kind of tokens: x [B,S,Dim], the angles of its positions, and what keys count, nil for all.
type stream struct {
	x    *onnx.Value
	rope nn.Rotary
	mask *onnx.Value
}

// write writes the network. Inputs are tokens x [B,X,C·4], ref [B,R,C·4] of reference latents with the index of each,
// context [B,T,Text], times [B], mask [B,T], and the angles of the positions of each kind.
func (n network) write(s *weights.Scope, v variant) {
	rows, images, texts := onnx.Sym("B"), onnx.Sym("X"), onnx.Sym("T")
	width := n.c.Channels * n.c.Patch * n.c.Patch
	image := stream{x: dit.Input(n.Builder, "x", rows, images, onnx.D(width)), rope: n.rope("image", images)}
	text := stream{x: dit.Input(n.Builder, "context", rows, texts, onnx.D(n.c.Text)), rope: n.rope("text", texts)}
	if v.Masked {
		text.mask = n.Cast(n.Input("mask", dtype.F32, rows, texts), dtype.I32)
	}
	embed := s.At("time_caption_embed")
	const factor = 1000
	time := n.SiLU(dit.TimeMLP(n.Builder, embed.At("timestep_embedder"), n.Input("times", dtype.F32, rows), factor, n.c.Time, "linear_1", "linear_2"))
	text.x = n.Linear(embed.At("caption_embedder.1"), n.RMSNorm(embed.At("caption_embedder.0"), text.x, eps), n.c.Dim)
	image.x = n.Linear(s.At("x_embedder"), image.x, n.c.Dim)
	for i := range n.c.Refiners {
		text.x = n.block(s.At("context_refiner").Index(i), text, nil)
		image.x = n.block(s.At("noise_refiner").Index(i), image, time)
	}
	parts := []stream{text}
	if v.References {
		parts = append(parts, n.references(s, rows, width, time))
	}
	var joint stream
	if n.c.Double > 0 {
		joint = n.double(s.At("double_stream_layers"), text, n.join(append(parts[1:], image)), time)
	} else {
		joint = n.join(append(parts, image))
	}
	for i := range n.c.Layers {
		joint.x = n.block(s.At(n.c.Stack).Index(i), joint, time)
	}
	last := s.At("norm_out")
	y := n.SliceDims(joint.x, 1, joint.x.Dim(1).Minus(images), joint.x.Dim(1))
	scale := n.Unsqueeze(n.Linear(last.At("linear_1"), time, n.c.Dim), 1)
	y = n.Graph.LayerNorm(y, n.Add(scale, n.Const(1)), nil, finalEps)
	dit.Output(n.Builder, "out", n.Neg(n.Linear(last.At("linear_2"), y, width)))
}

// rope declares the angles of a kind of tokens.
func (n network) rope(of string, count onnx.Dim) nn.Rotary {
	in := func(name string) *onnx.Value {
		return dit.Input(n.Builder, name+of, onnx.D(1), count, onnx.D(n.c.HeadDim/2))
	}
	return nn.Rotary{Cos: in("cos_"), Sin: in("sin_"), Interleaved: true}
}

// references are the refined tokens of reference latents.
func (n network) references(s *weights.Scope, rows onnx.Dim, width int, time *onnx.Value) stream {
	count := onnx.Sym("R")
	ref := stream{x: dit.Input(n.Builder, "ref", rows, count, onnx.D(width)), rope: n.rope("ref", count)}
	n.At("image_index_embedding")
	table := n.Table(s.Weight("image_index_embedding", n.c.References, n.c.Dim))
	which := n.Unsqueeze(n.Gather(table, n.Input("ref_index", dtype.I64, count)), 0)
	ref.x = n.Add(n.Linear(s.At("ref_image_patch_embedder"), ref.x, n.c.Dim), which)
	for i := range n.c.Refiners {
		ref.x = n.block(s.At("ref_image_refiner").Index(i), ref, time)
	}
	return ref
}

// join joins kinds of tokens.
func (n network) join(parts []stream) stream {
	if len(parts) == 1 {
		return parts[0]
	}
	var x, cos, sin []*onnx.Value
	for _, p := range parts {
		x, cos, sin = append(x, p.x), append(cos, p.rope.Cos), append(sin, p.rope.Sin)
	}
	return stream{x: n.Concat(1, x...), rope: nn.Rotary{Cos: n.Concat(1, cos...), Sin: n.Concat(1, sin...), Interleaved: true}}
}

// block is a transformer block whose parts are scaled by the time embedding, which is nil for the text's refiner.
func (n network) block(s *weights.Scope, t stream, time *onnx.Value) *onnx.Value {
	if time == nil {
		x := n.Add(t.x, n.RMSNorm(s.At("norm2"), n.attention(s.At("attn"), t, n.RMSNorm(s.At("norm1"), t.x, eps)), eps))
		return n.Add(x, n.RMSNorm(s.At("ffn_norm2"), n.feedForward(s.At("feed_forward"), n.RMSNorm(s.At("ffn_norm1"), x, eps)), eps))
	}
	m := n.Chunks(n.Linear(s.At("norm1.linear"), time, 4*n.c.Dim), 4)
	y := n.attention(s.At("attn"), t, n.ModulateRMS(s.At("norm1.norm"), t.x, nil, m[0], eps))
	x := n.Gated(t.x, n.RMSNorm(s.At("norm2"), y, eps), n.Tanh(m[1]))
	y = n.feedForward(s.At("feed_forward"), n.ModulateRMS(s.At("ffn_norm1"), x, nil, m[2], eps))
	return n.Gated(x, n.RMSNorm(s.At("ffn_norm2"), y, eps), n.Tanh(m[3]))
}

// attention is self-attention of x [B,S,Dim] at the positions of t.
func (n network) attention(s *weights.Scope, t stream, x *onnx.Value) *onnx.Value {
	queries, keys := n.c.Heads*n.c.HeadDim, n.c.KVHeads*n.c.HeadDim
	a := onnx.Attention{Heads: n.c.Heads, KVHeads: n.c.KVHeads, Scale: float32(1 / math.Sqrt(float64(n.c.HeadDim))), KeyMask: t.mask}
	y := n.JointAttention(a, &t.rope, nn.Stream{
		Q: n.HeadRMSNorm(s.At("norm_q"), n.Linear(s.At("to_q"), x, queries), n.c.Heads, eps),
		K: n.HeadRMSNorm(s.At("norm_k"), n.Linear(s.At("to_k"), x, keys), n.c.KVHeads, eps),
		V: n.Linear(s.At("to_v"), x, keys),
	})[0]
	return n.Linear(s.At("to_out.0"), y, n.c.Dim)
}

// feedForward is the gated MLP of a block.
func (n network) feedForward(s *weights.Scope, x *onnx.Value) *onnx.Value {
	return n.Linear(s.At("linear_2"), n.SwiGLU(n.Linear(s.At("linear_3"), x, n.c.Hidden), n.Linear(s.At("linear_1"), x, n.c.Hidden)), n.c.Dim)
}
