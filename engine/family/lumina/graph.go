package lumina

import (
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// build writes the graph. Upstream: ldm/lumina/model.py NextDiT.
func (m *Model) build(spec family.Spec, src weights.Source, v variant) (*onnx.Graph, error) {
	return spec.Build("nextdit", src, func(b *nn.Builder, s *weights.Scope) { network{b, m.Config}.write(s, v) })
}

// network writes the graph of a config.
type network struct {
	*nn.Builder
	c Config
}

// stream is one kind of tokens on its way: x [B,S,Dim] and the angles of its positions.
type stream struct {
	x        *onnx.Value
	cos, sin *onnx.Value
}

// write writes the network. Inputs are tokens [B,X,Channels·Patch²], context [B,T,Text], times [B], and for the positions
// of each the cosines and sines [1,·,HeadDim/2]; with Pad also what tokens are real, [1,·,1]. The result is the velocity
// of the image tokens [B,X,Channels·Patch²].
func (n network) write(s *weights.Scope, v variant) {
	rows, images, texts := onnx.Sym("B"), onnx.Sym("X"), onnx.Sym("T")
	count := images // of the tokens that are not padding, which model patches tell apart
	if len(v.Patches) > 0 && !v.Whole {
		count = onnx.Sym("N")
		images = count.Plus(onnx.Sym("P"))
	}
	compute := n.Target.Compute
	in := func(name string, shape ...onnx.Dim) *onnx.Value {
		return n.Cast(n.Input(name, dtype.F32, shape...), compute)
	}
	angles := func(of string, count onnx.Dim) (cos, sin *onnx.Value) {
		return in("cos_"+of, onnx.D(1), count, onnx.D(n.c.HeadDim/2)), in("sin_"+of, onnx.D(1), count, onnx.D(n.c.HeadDim/2))
	}
	tokens := in("tokens", rows, images, onnx.D(n.c.Channels*n.c.Patch*n.c.Patch))
	context := in("context", rows, texts, onnx.D(n.c.Text))
	time := n.time(s, n.Input("times", dtype.F32, rows), rows)
	if v.Omni {
		n.writeOmni(s, tokens, context, time)
		return
	}

	text := stream{x: n.Linear(s.At("cap_embedder.1"), n.RMSNorm(s.At("cap_embedder.0"), context, eps), n.c.Dim)}
	text.cos, text.sin = angles("text", texts)
	image := stream{x: n.Linear(s.At("x_embedder"), tokens, n.c.Dim)}
	image.cos, image.sin = angles("image", images)
	if n.c.Pad > 0 {
		text.x = n.padded(s, "cap_pad_token", text.x, in("real_text", onnx.D(1), texts, onnx.D(1)))
		image.x = n.padded(s, "x_pad_token", image.x, in("real_image", onnx.D(1), images, onnx.D(1)))
	}
	for i := range n.c.Context {
		text.x = n.block(s.At("context_refiner").Index(i), text, nil)
	}
	var patches []*fun
	for k, f := range v.Patches {
		patches = append(patches, n.begin(s, k, f, count, image, time))
	}
	input := image.x
	for i := range n.c.Noise {
		image.x = n.block(s.At("noise_refiner").Index(i), image, time)
		for _, p := range patches {
			image.x = p.refine(image.x, input, i)
		}
	}
	input = n.firstOf(image.x, count)
	joint := stream{x: n.Concat(1, text.x, image.x), cos: n.Concat(1, text.cos, image.cos), sin: n.Concat(1, text.sin, image.sin)}
	for i := range n.c.Layers {
		joint.x = n.block(s.At("layers").Index(i), joint, time)
		for _, p := range patches {
			joint.x = p.join(joint.x, input, texts, i)
		}
	}
	n.finish(s, tokens, n.SliceDims(joint.x, 1, texts, texts.Plus(images)), time)
}

// finish turns the last image tokens, those of the noisy image, into the output.
func (n network) finish(s *weights.Scope, tokens, last, time *onnx.Value) {
	var out *onnx.Value
	if n.c.Pixel > 0 {
		out = n.pixels(s.At("dec_net"), tokens, last)
	} else {
		out = n.final(s.At("final_layer"), last, time)
	}
	n.Output("out", n.Cast(out, dtype.F32))
}

// time embeds the times [B], with NewBie's pooled text.
func (n network) time(s *weights.Scope, t *onnx.Value, rows onnx.Dim) *onnx.Value {
	mlp := s.At("t_embedder.mlp")
	hidden, width := rowsOf(mlp, "0.weight"), rowsOf(mlp, "2.weight")
	v := n.Linear(mlp.At("2"), n.SiLU(n.Linear(mlp.At("0"), n.TimestepEmbedding(t, timeWidth), hidden)), width)
	if n.c.Pooled == 0 {
		return v
	}
	pooled := n.Cast(n.Input("pooled", dtype.F32, rows, onnx.D(n.c.Pooled)), n.Target.Compute)
	p := s.At("clip_text_pooled_proj")
	pooled = n.Linear(p.At("1"), n.RMSNorm(p.At("0"), pooled, eps), n.c.Pooled)
	return n.Linear(s.At("time_text_embed.1"), n.SiLU(n.Concat(1, v, pooled)), width)
}

// rowsOf is the first size of a weight, or 1 if it is missing, which the layer that takes it reports.
func rowsOf(s *weights.Scope, name string) int {
	if sh := s.Shape(name); len(sh) > 0 {
		return sh[0]
	}
	return 1
}

// padded replaces the tokens of x [B,S,Dim] that are not real [1,S,1] with the learned token called name.
func (n network) padded(s *weights.Scope, name string, x, is *onnx.Value) *onnx.Value {
	n.At(s.Prefix())
	token := n.Table(s.Weight(name, 1, n.c.Dim))
	return n.Add(n.Mul(x, is), n.Mul(token, n.Sub(n.Const(1), is)))
}

// block is a transformer block whose parts are scaled by the time embedding, which is nil for the text's refiner.
func (n network) block(s *weights.Scope, t stream, time *onnx.Value) *onnx.Value {
	if time == nil {
		return n.modulated(s, t, nil)
	}
	return n.modulated(s, t, n.modulation(s, time))
}

// modulation is the modulation of a block, four times [B,1,Dim].
func (n network) modulation(s *weights.Scope, time *onnx.Value) []*onnx.Value {
	modulation := s.At("adaLN_modulation.0")
	if !n.c.Plain {
		modulation, time = s.At("adaLN_modulation.1"), n.SiLU(time)
	}
	return n.Chunks(n.Linear(modulation, time, 4*n.c.Dim), 4)
}

// modulated is a transformer block with a modulation, or nil.
func (n network) modulated(s *weights.Scope, t stream, m []*onnx.Value) *onnx.Value {
	if m == nil {
		x := n.Add(t.x, n.RMSNorm(s.At("attention_norm2"), n.attention(s.At("attention"), t, n.RMSNorm(s.At("attention_norm1"), t.x, eps)), eps))
		return n.Add(x, n.RMSNorm(s.At("ffn_norm2"), n.mlp(s.At("feed_forward"), n.RMSNorm(s.At("ffn_norm1"), x, eps)), eps))
	}
	y := n.attention(s.At("attention"), t, n.ModulateRMS(s.At("attention_norm1"), t.x, nil, m[0], eps))
	x := n.Gated(t.x, n.RMSNorm(s.At("attention_norm2"), y, eps), n.Tanh(m[1]))
	y = n.mlp(s.At("feed_forward"), n.ModulateRMS(s.At("ffn_norm1"), x, nil, m[2], eps))
	return n.Gated(x, n.RMSNorm(s.At("ffn_norm2"), y, eps), n.Tanh(m[3]))
}

// attention is self-attention of x [B,S,Dim] at the positions of t.
func (n network) attention(s *weights.Scope, t stream, x *onnx.Value) *onnx.Value {
	queries, keys := n.c.Heads*n.c.HeadDim, n.c.KVHeads*n.c.HeadDim
	q, k, v := n.projections(s, x, queries, keys)
	q = n.HeadRMSNorm(s.At("q_norm"), q, n.c.Heads, headEps)
	k = n.HeadRMSNorm(s.At("k_norm"), k, n.c.KVHeads, headEps)
	a := onnx.Attention{Heads: n.c.Heads, KVHeads: n.c.KVHeads, Scale: float32(1 / math.Sqrt(float64(n.c.HeadDim)))}
	y := n.JointAttention(a, &nn.Rotary{Cos: t.cos, Sin: t.sin, Interleaved: true}, nn.Stream{Q: q, K: k, V: v})[0]
	return n.finite(n.Linear(s.At("out"), y, n.c.Dim))
}

// projections are queries, keys and values, of one fused weight or of three.
func (n network) projections(s *weights.Scope, x *onnx.Value, queries, keys int) (q, k, v *onnx.Value) {
	if s.Has("to_q.weight") {
		return n.Linear(s.At("to_q"), x, queries), n.Linear(s.At("to_k"), x, keys), n.Linear(s.At("to_v"), x, keys)
	}
	parts := n.Split(n.Linear(s.At("qkv"), x, queries+2*keys), -1, queries, keys, keys)
	return parts[0], parts[1], parts[2]
}

// mlp is the gated MLP of a block.
func (n network) mlp(s *weights.Scope, x *onnx.Value) *onnx.Value {
	h := n.SwiGLU(n.Linear(s.At("w3"), x, n.c.Hidden), n.Linear(s.At("w1"), x, n.c.Hidden))
	return n.finite(n.Linear(s.At("w2"), n.finite(h), n.c.Dim))
}

// finite bounds values in float16, which they may leave.
func (n network) finite(x *onnx.Value) *onnx.Value {
	const largest = 65504
	if x.DType != dtype.F16 {
		return x
	}
	return n.Clip(x, -largest, largest)
}

// pixels turns image tokens x [B,X,Dim] into the values of the image, given the noisy ones [B,X,Channels·Patch²]. Upstream:
// SimpleMLPAdaLN.
func (n network) pixels(s *weights.Scope, noisy, x *onnx.Value) *onnx.Value {
	places := n.c.Frequencies * n.c.Frequencies
	place := n.Cast(n.Input("places", dtype.F32, onnx.D(1), onnx.D(1), onnx.D(places)), n.Target.Compute)
	y := n.Concat(2, noisy, n.Expand(place, x.Dim(0), x.Dim(1), onnx.D(places)))
	y = n.Linear(s.At("input_embedder", "embedder", "0"), y, n.c.Pixel)
	c := n.SiLU(n.Linear(s.At("cond_embed"), x, n.c.Pixel))
	for i := range s.Count("res_blocks") {
		b := s.At("res_blocks").Index(i)
		m := n.Chunks(n.Linear(b.At("adaLN_modulation", "1"), c, 3*n.c.Pixel), 3)
		h := n.Add(n.Mul(n.LayerNorm(b.At("in_ln"), y, finalEps), n.Add(m[1], n.Const(1))), m[0])
		y = n.Gated(y, n.Linear(b.At("mlp", "2"), n.SiLU(n.Linear(b.At("mlp", "0"), h, n.c.Pixel)), n.c.Pixel), m[2])
	}
	last := s.At("final_layer")
	return n.Linear(last.At("linear"), n.Graph.LayerNormPlain(y, finalEps), n.c.Channels*n.c.Patch*n.c.Patch)
}

// final turns image tokens into the velocity; upstream's network gives its negative.
func (n network) final(s *weights.Scope, x, time *onnx.Value) *onnx.Value {
	scale := n.Unsqueeze(n.Linear(s.At("adaLN_modulation.1"), n.SiLU(time), n.c.Dim), 1)
	x = n.Graph.LayerNorm(x, n.Add(scale, n.Const(1)), nil, finalEps)
	return n.Neg(n.Linear(s.At("linear"), x, n.c.Channels*n.c.Patch*n.c.Patch))
}
