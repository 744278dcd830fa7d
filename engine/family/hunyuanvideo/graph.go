package hunyuanvideo

import (
	"slices"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/hunyuanimage"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// variant distinguishes the graphs of one network.
type variant struct {
	// Glyphs, Vision and Ref report that there is an encoding of ByT5, an encoding of an image, a reference latent.
	Glyphs, Vision, Ref bool
	// Masked reports that text is hidden, Guided that there is a guidance, Next a next sigma, Framed that the first frame is
	// given.
	Masked, Guided, Next, Framed bool
	// SkipDouble and SkipSingle are blocks that are left out.
	SkipDouble, SkipSingle []int
}

func (v variant) digest() string { return family.Digest(v) }

// The symbols of a graph's shapes: rows, frames and patches of the latent, frames of the reference latent, tokens of the text, of glyphs
// and of the image.
var (
	symB = onnx.Sym("B")
	symF = onnx.Sym("F")
	symH = onnx.Sym("h")
	symW = onnx.Sym("w")
	symR = onnx.Sym("R")
	symT = onnx.Sym("T")
	symG = onnx.Sym("G")
	symV = onnx.Sym("V")
)

// writer writes one graph.
type writer struct {
	*nn.Builder
	config
	s *weights.Scope
	v variant
}

// write writes a graph of the network. Inputs: x [B,C,F,h·p,w·p] (F+1 frames for Framed) and ref [B,C,R,h·p,w·p], context [B,T,C'], glyphs [B,G,C”], vision
// [B,V,C‴], y [B,P], mask [B,T] and maskall [B,S] of zeros and ones, timesteps, next, guidance and still [B], cos and sin [1,S,D/2].
// Output: out [B,F·h·w,C·p·p]. Upstream: hunyuan_video/model.py HunyuanVideo.
func write(b *nn.Builder, s *weights.Scope, c config, v variant) {
	w := &writer{Builder: b, config: c, s: s, v: v}
	frames := symF
	if v.Framed {
		frames = frames.Plus(onnx.D(1)) // F are those after the one that is given
	}
	tokens := frames.Times(symH).Times(symW)
	img := w.patches("x", frames)
	if v.Ref {
		img = b.Concat(1, w.patches("ref", symR), img)
	}
	times := b.Input("timesteps", dtype.F32, symB)
	vec, still := w.vectors(times)
	txt := w.texts(times)
	all := txt.Dim(1).Plus(img.Dim(1))
	if v.Masked {
		w.KeyMask = b.Cast(b.Input("maskall", dtype.F32, symB, all), dtype.I32)
	}
	rope := dit.RotaryInputs(b, all, c.Hidden/c.Heads)
	frame := symH.Times(symW)
	mods := func(s *weights.Scope, n int, framed bool) []dit.Mod {
		of := func(vec *onnx.Value) []dit.Mod {
			return dit.Mods(b, b.Linear(s.At("lin"), b.SiLU(vec), 3*n*c.Hidden), n)
		}
		if framed && still != nil {
			return dit.Then(of(still), of(vec), frame)
		}
		return of(vec)
	}
	for i := range s.Count("double_blocks") {
		if block := s.At("double_blocks").Index(i); !slices.Contains(v.SkipDouble, i) {
			img, txt = w.Double(b, block, img, txt, mods(block.At("img_mod"), 2, true), mods(block.At("txt_mod"), 2, false), rope, nil)
		}
	}
	x := b.Concat(1, txt, img)
	for i := range s.Count("single_blocks") { // upstream takes the first tokens, which are those of the text, for the given frame here
		if block := s.At("single_blocks").Index(i); !slices.Contains(v.SkipSingle, i) {
			x = w.Single(b, block, x, mods(block.At("modulation"), 1, true)[0], rope, nil)
		}
	}
	x = b.SliceDims(x, 1, all.Minus(tokens), all)
	last := func(x, vec *onnx.Value) *onnx.Value {
		return w.Last(b, s.At("final_layer"), x, vec, c.out*c.side*c.side)
	}
	if still != nil {
		x = b.Concat(1, last(b.SliceDims(x, 1, onnx.D(0), frame), still), last(b.SliceDims(x, 1, frame, tokens), vec))
	} else {
		x = last(x, vec)
	}
	dit.Output(b, "out", x)
}

// patches declares a latent with the given number of frames and returns its tokens.
func (w *writer) patches(name string, frames onnx.Dim) *onnx.Value {
	p := onnx.D(w.side)
	x := dit.Input(w.Builder, name, symB, onnx.D(w.channels), frames, symH.Times(p), symW.Times(p))
	x = w.Conv3d(w.s.At("img_in.proj"), x, w.Hidden, [3]int{1, w.side, w.side}, onnx.WindowND{Stride: []int{1, w.side, w.side}})
	return w.ToTokens(x)
}

// vectors are the modulation of the layers, and that of the given frame, or nil.
func (w *writer) vectors(times *onnx.Value) (vec, still *onnx.Value) {
	h := w.Hidden
	embed := func(layer string, t *onnx.Value, factor float32) *onnx.Value {
		return dit.TimeMLP(w.Builder, w.s.At(layer), t, factor, h, "in_layer", "out_layer")
	}
	number := func(name string) *onnx.Value { return w.Input(name, dtype.F32, symB) }
	const scale = 1000
	vec = embed("time_in", times, 1)
	if w.v.Next {
		vec = w.Add(vec, embed("time_r_in", number("next"), scale))
		if w.vision == 0 { // upstream: meanflow_sum
			vec = w.Mul(vec, w.Const(0.5))
		}
	}
	var more []*onnx.Value
	if w.pooled > 0 {
		y := dit.Input(w.Builder, "y", symB, onnx.D(w.pooled))
		more = append(more, dit.MLP(w.Builder, w.s.At("vector_in"), y, h, h, "in_layer", "out_layer"))
	}
	if w.v.Guided {
		more = append(more, embed("guidance_in", number("guidance"), scale))
	}
	if w.v.Framed {
		still = embed("time_in", number("still"), 1)
	}
	for _, m := range more {
		vec = w.Add(vec, m)
		if still != nil {
			still = w.Add(still, m)
		}
	}
	return vec, still
}

// texts are the tokens of all encodings. Those of ByT5 come after the text, or before it if a learned vector distinguishes them; those of
// an image come first.
func (w *writer) texts(times *onnx.Value) *onnx.Value {
	var mask *onnx.Value
	if w.v.Masked {
		mask = w.Cast(w.Input("mask", dtype.F32, symB, symT), dtype.I32)
	}
	typed := func(x *onnx.Value, kind int) *onnx.Value {
		const kinds = 3
		if !w.typed {
			return x
		}
		return w.Add(x, dit.TableRows(w.Builder, w.s.Weight("cond_type_embedding.weight", kinds, w.Hidden), kind, 1))
	}
	txt := hunyuanimage.Refine(w.Builder, w.s.At("txt_in"), w.Streams, dit.Input(w.Builder, "context", symB, symT, onnx.D(w.text)), times, mask)
	txt = typed(txt, 0)
	if w.v.Glyphs {
		glyphs := typed(hunyuanimage.Glyphs(w.Builder, w.s.At("byt5_in"), w.Hidden, dit.Input(w.Builder, "glyphs", symB, symG, onnx.D(w.glyphs))), 1)
		if w.typed {
			txt = w.Concat(1, glyphs, txt)
		} else {
			txt = w.Concat(1, txt, glyphs)
		}
	}
	if w.v.Vision {
		const torchEpsilon = 1e-5
		s := w.s.At("vision_in.proj")
		x := w.LayerNorm(s.At("0"), dit.Input(w.Builder, "vision", symB, symV, onnx.D(w.vision)), torchEpsilon)
		x = w.Linear(s.At("3"), w.Gelu(w.Linear(s.At("1"), x, w.vision), false), w.Hidden)
		txt = w.Concat(1, typed(w.LayerNorm(s.At("4"), x, torchEpsilon), 2), txt)
	}
	return txt
}
