package qwenimage

import (
	"math"
	"slices"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// eps is the eps of all norms.
const eps = 1e-6

// build writes the graph. Upstream: ldm/qwen_image/model.py QwenImageTransformer2DModel.
func (m *Model) build(spec family.Spec, src weights.Source, v variant) (*onnx.Graph, error) {
	return spec.Build("qwen image", src, func(b *nn.Builder, s *weights.Scope) { network{b, m.Config}.write(s, v) })
}

type network struct {
	*nn.Builder
	c Config
}

// conditions are the inputs of the blocks besides the tokens.
type conditions struct {
	// time is the embedding of the timesteps [B,Dim], after SiLU; still, when set, that of zero for image tokens from behind
	// on.
	time, still *onnx.Value
	behind      onnx.Dim
	rope        *nn.Rotary
	mask        *onnx.Value
}

// write writes the network. Inputs are tokens x [B,X,C·4], ref [B,R,C·4] of reference latents, context [B,T,Text], timesteps
// [B], mask [B,T+X+R], and the angles of the positions of text, image and references.
func (n network) write(s *weights.Scope, v variant) {
	rows, images, texts := onnx.Sym("B"), onnx.Sym("X"), onnx.Sym("T")
	width := n.c.Channels * n.c.Patch * n.c.Patch
	x := dit.Input(n.Builder, "x", rows, images, onnx.D(width))
	if v.References {
		x = n.Concat(1, x, dit.Input(n.Builder, "ref", rows, onnx.Sym("R"), onnx.D(width)))
	}
	context := dit.Input(n.Builder, "context", rows, texts, onnx.D(n.c.Text))
	times := n.timesteps(rows)
	total := texts.Plus(x.Dim(1))
	c := conditions{time: n.SiLU(n.time(s, times)), behind: images, rope: dit.RotaryInputs(n.Builder, total, n.c.head())}
	if v.Still {
		c.still = n.SiLU(n.time(s, n.Mul(times, n.Scalar(dtype.F32, 0))))
	}
	if v.Masked {
		c.mask = n.Cast(n.Input("mask", dtype.F32, rows, total), dtype.I32)
	}
	img := n.Linear(s.At("img_in"), x, n.c.Dim)
	txt := n.Linear(s.At("txt_in"), n.RMSNorm(s.At("txt_norm"), context, eps), n.c.Dim)
	var hints, strengths []*onnx.Value
	for k, width := range v.Tokens {
		hint, strength := dit.AttachedInputs(n.Builder, k, onnx.D(1), images, onnx.D(width))
		hints, strengths = append(hints, n.Linear(s.At(dit.AttachedName(k), "img_in"), hint, n.c.Dim)), append(strengths, strength)
	}
	for i := range n.c.Layers {
		img, txt = n.block(s.At("transformer_blocks").Index(i), img, txt, c)
		img = n.patched(s, v, hints, strengths, img, i)
		if slices.Contains(v.Controls, i) {
			img = n.steered(img, i)
		}
	}
	last := n.Chunks(n.Linear(s.At("norm_out.linear"), c.time, 2*n.c.Dim), 2)
	img = n.Modulate(n.SliceDims(img, 1, onnx.D(0), images), last[1], last[0], eps)
	dit.Output(n.Builder, "out", n.Linear(s.At("proj_out"), img, width))
}

// timesteps declares the timesteps; see Config.times.
func (n network) timesteps(rows onnx.Dim) *onnx.Value {
	if n.c.Rounded {
		return dit.Input(n.Builder, "timesteps", rows, onnx.D(frequencies))
	}
	return n.Input("timesteps", dtype.F32, rows)
}

// time embeds timesteps [B], for a layered model with the embedding of its first kind of latents.
func (n network) time(s *weights.Scope, t *onnx.Value) *onnx.Value {
	const factor, first, second = 1000, "linear_1", "linear_2"
	embedder := s.At("time_text_embed.timestep_embedder")
	if n.c.Rounded {
		return dit.MLP(n.Builder, embedder, t, n.c.Dim, n.c.Dim, first, second)
	}
	v := dit.TimeMLP(n.Builder, embedder, t, factor, n.c.Dim, first, second)
	if !n.c.Layered {
		return v
	}
	kind := s.At("time_text_embed.addition_t_embedding").Weight("weight", 2, n.c.Dim)
	if e, err := kind.Entry.Rows(0, 1); err == nil { // a slice of a weight alone would be folded before the weight is there
		kind = &weights.Ref{Name: e.Name, Entry: e}
	}
	return n.Add(v, n.Table(kind))
}

// block is a double block. Upstream: QwenImageTransformerBlock.
func (n network) block(s *weights.Scope, img, txt *onnx.Value, c conditions) (newImg, newTxt *onnx.Value) {
	im := dit.Mods(n.Builder, n.Linear(s.At("img_mod.1"), c.time, 6*n.c.Dim), 2)
	if c.still != nil {
		im = dit.Then(im, dit.Mods(n.Builder, n.Linear(s.At("img_mod.1"), c.still, 6*n.c.Dim), 2), c.behind)
	}
	tm := dit.Mods(n.Builder, n.Linear(s.At("txt_mod.1"), c.time, 6*n.c.Dim), 2)
	a := s.At("attn")
	text := n.stream(a, tm[0].Apply(n.Builder, txt), "add_q_proj", "add_k_proj", "add_v_proj", "norm_added_q", "norm_added_k")
	image := n.stream(a, im[0].Apply(n.Builder, img), "to_q", "to_k", "to_v", "norm_q", "norm_k")
	y := n.JointAttention(onnx.Attention{Heads: n.c.Heads, Scale: float32(1 / math.Sqrt(float64(n.c.head()))), KeyMask: c.mask}, c.rope, text, image)

	img = im[0].Add(n.Builder, img, n.Linear(a.At("to_out.0"), y[1], n.c.Dim))
	txt = tm[0].Add(n.Builder, txt, n.Linear(a.At("to_add_out"), y[0], n.c.Dim))
	img = im[1].Add(n.Builder, img, n.feedForward(s.At("img_mlp.net"), im[1].Apply(n.Builder, img)))
	txt = tm[1].Add(n.Builder, txt, n.feedForward(s.At("txt_mlp.net"), tm[1].Apply(n.Builder, txt)))
	return dit.HalfSafe(n.Builder, img), dit.HalfSafe(n.Builder, txt)
}

// stream makes queries, keys and values of one kind of tokens by the layers of the given names.
func (n network) stream(s *weights.Scope, x *onnx.Value, q, k, v, normQ, normK string) nn.Stream {
	return nn.Stream{
		Q: n.HeadRMSNorm(s.At(normQ), n.Linear(s.At(q), x, n.c.Dim), n.c.Heads, eps),
		K: n.HeadRMSNorm(s.At(normK), n.Linear(s.At(k), x, n.c.Dim), n.c.Heads, eps),
		V: n.Linear(s.At(v), x, n.c.Dim),
	}
}

// feedForward is linear, GELU, linear.
func (n network) feedForward(s *weights.Scope, x *onnx.Value) *onnx.Value {
	hidden := 1
	if sh := s.Shape("0.proj.weight"); len(sh) > 0 {
		hidden = sh[0]
	}
	return n.Linear(s.At("2"), n.Gelu(n.Linear(s.At("0.proj"), x, hidden), true), n.c.Dim)
}
