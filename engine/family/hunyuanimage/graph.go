package hunyuanimage

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

// variant distinguishes the graphs of one network.
type variant struct {
	// Glyphs reports that there is an encoding of ByT5, Masked that text tokens are hidden, Guided that there is a guidance.
	Glyphs, Masked, Guided bool
	// Next reports that there is a next sigma.
	Next bool
	// SkipDouble and SkipSingle are blocks that are left out.
	SkipDouble, SkipSingle []int
}

func (v variant) digest() string {
	return family.Digest(v.Glyphs, v.Masked, v.Guided, v.Next, v.SkipDouble, v.SkipSingle)
}

// The symbols of a graph's shapes: rows, tokens of the text and of glyphs.
var (
	symB = onnx.Sym("B")
	symT = onnx.Sym("T")
	symG = onnx.Sym("G")
)

const epsilon = 1e-6

// writer writes one graph.
type writer struct {
	*nn.Builder
	config
	s *weights.Scope
}

// write writes a graph of the network. Inputs: x [B,C,h·p,w·p], context [B,T,C'], glyphs [B,G,C”], mask [B,T] and
// maskall [B,S] of zeros and ones, timesteps, next and guidance [B], cos and sin [1,S,D/2]. Output: out [B,h·w,C·p·p]. Upstream:
// hunyuan_video/model.py HunyuanVideo.
func write(b *nn.Builder, s *weights.Scope, c config, v variant) {
	w := &writer{Builder: b, config: c, s: s}
	latent, tokens := dit.LatentInput(b, c.channels, c.patch)
	img := dit.PatchEmbed(b, s.At("img_in", "proj"), latent, c.Hidden, c.patch)
	times := b.Input("timesteps", dtype.F32, symB)
	vec := dit.TimeMLP(b, s.At("time_in"), times, 1, c.Hidden, "in_layer", "out_layer")
	if v.Next { // upstream: meanflow
		next := dit.TimeMLP(b, s.At("time_r_in"), b.Input("next", dtype.F32, symB), 1000, c.Hidden, "in_layer", "out_layer")
		vec = b.Mul(b.Add(vec, next), b.Const(0.5))
	}
	if v.Guided {
		vec = b.Add(vec, dit.TimeMLP(b, s.At("guidance_in"), b.Input("guidance", dtype.F32, symB), 1000, c.Hidden, "in_layer", "out_layer"))
	}
	texts := symT
	if v.Glyphs {
		texts = texts.Plus(symG)
	}
	all := texts.Plus(tokens)
	var mask *onnx.Value
	if v.Masked {
		mask = b.Cast(b.Input("mask", dtype.F32, symB, symT), dtype.I32)
		w.KeyMask = b.Cast(b.Input("maskall", dtype.F32, symB, all), dtype.I32)
	}
	rope := dit.RotaryInputs(b, all, c.Hidden/c.Heads)
	txt := Refine(b, s.At("txt_in"), c.Streams, dit.Input(b, "context", symB, symT, onnx.D(c.context)), times, mask)
	if v.Glyphs {
		txt = b.Concat(1, txt, Glyphs(b, s.At("byt5_in"), c.Hidden, dit.Input(b, "glyphs", symB, symG, onnx.D(c.glyphWidth))))
	}
	mods := func(s *weights.Scope, n int) []dit.Mod {
		return dit.Mods(b, b.Linear(s.At("lin"), b.SiLU(vec), 3*n*c.Hidden), n)
	}
	for i := range s.Count("double_blocks") {
		if block := s.At("double_blocks").Index(i); !slices.Contains(v.SkipDouble, i) {
			img, txt = w.Double(b, block, img, txt, mods(block.At("img_mod"), 2), mods(block.At("txt_mod"), 2), rope, nil)
		}
	}
	x := b.Concat(1, txt, img)
	for i := range s.Count("single_blocks") {
		if block := s.At("single_blocks").Index(i); !slices.Contains(v.SkipSingle, i) {
			x = w.Single(b, block, x, mods(block.At("modulation"), 1)[0], rope, nil)
		}
	}
	dit.Output(b, "out", w.Last(b, s.At("final_layer"), b.SliceDims(x, 1, texts, all), vec, c.out))
}

// Refine lets text tokens x [B,T,C'] attend to each other, modulated by the timesteps [B] and the mean of the text; mask, when set, is
// int32 [B,T]. Upstream: TokenRefiner.
func Refine(b *nn.Builder, s *weights.Scope, c dit.Streams, x, times, mask *onnx.Value) *onnx.Value {
	h := c.Hidden
	v := dit.TimeMLP(b, s.At("t_embedder"), times, 1, h, "in_layer", "out_layer")
	v = b.SiLU(b.Add(v, dit.MLP(b, s.At("c_embedder"), b.ReduceMean(x, false, 1), h, h, "in_layer", "out_layer")))
	x = b.Linear(s.At("input_embedder"), x, h)
	blocks := s.At("individual_token_refiner", "blocks")
	for i := range s.Count("individual_token_refiner.blocks") {
		block := blocks.Index(i)
		gates := b.Chunks(b.Linear(block.At("adaLN_modulation", "1"), v, 2*h), 2)
		y := b.LayerNorm(block.At("norm1"), x, epsilon)
		rows := func(i int) *onnx.Value { return b.LinearRows(block.At("self_attn", "qkv"), y, 3*h, i*h, h) }
		a := onnx.Attention{Heads: c.Heads, Scale: float32(1 / math.Sqrt(float64(h)/float64(c.Heads))), KeyMask: mask}
		x = b.Gated(x, b.Linear(block.At("self_attn", "proj"), b.Attend(rows(0), rows(1), rows(2), a), h), gates[0])
		y = dit.MLP(b, block.At("mlp"), b.LayerNorm(block.At("norm2"), x, epsilon), 4*h, h, "0", "2")
		x = b.Gated(x, y, gates[1])
	}
	return x
}

// Glyphs maps the encoding of ByT5 to tokens with the given number of values. Upstream: ByT5Mapper.
func Glyphs(b *nn.Builder, s *weights.Scope, hidden int, x *onnx.Value) *onnx.Value {
	const torchEpsilon = 1e-5
	inner := rowsOf(s.Shape("fc1.weight"))
	x = b.Gelu(b.Linear(s.At("fc1"), b.LayerNorm(s.At("layernorm"), x, torchEpsilon), inner), false)
	x = b.Gelu(b.Linear(s.At("fc2"), x, rowsOf(s.Shape("fc2.weight"))), false)
	return b.Linear(s.At("fc3"), x, hidden)
}
