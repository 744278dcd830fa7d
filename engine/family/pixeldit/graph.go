package pixeldit

import (
	"math"
	"slices"

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
	text, image, pixels *nn.Rotary
	latents             *latentWriter
}

// write writes a graph of the network. Inputs: patches [B,I,3·P²], pixels [B,I,P²,3], times [B,256], context [B,T,text], index [T], places
// [1,I,P²,pixel], and angles of the image's patches, for both kinds of blocks, and of the text. Output: out [B,I,P²·3]. Upstream:
// ldm/pixeldit/model.py PixDiT_T2I.
func write(b *nn.Builder, s *weights.Scope, c config) {
	rows, images, texts, area := onnx.Sym("B"), onnx.Sym("I"), onnx.Sym("T"), onnx.D(c.side*c.side)
	w := &writer{Builder: b, config: c}
	rope := func(of string, n onnx.Dim, head int) *nn.Rotary {
		in := func(name string) *onnx.Value { return dit.Input(b, name+of, onnx.D(1), n, onnx.D(head/2)) }
		return &nn.Rotary{Cos: in("cos_"), Sin: in("sin_"), Interleaved: true}
	}
	w.text, w.image, w.pixels = rope("text", texts, c.width/c.heads), rope("image", images, c.width/c.heads), rope("pixel", images, c.attended/c.pixelHeads)
	patches := dit.Input(b, "patches", rows, images, onnx.D(rgb*c.side*c.side))
	pixels := dit.Input(b, "pixels", rows, images, area, onnx.D(rgb))
	context := dit.Input(b, "context", rows, texts, onnx.D(c.text))
	places := dit.Input(b, "places", onnx.D(1), images, area, onnx.D(c.pixel))

	mlp := s.At("t_embedder", "mlp")
	t := b.Unsqueeze(dit.MLP(b, mlp, dit.Input(b, "times", rows, onnx.D(frequencies)), c.width, c.width, "0", "2"), 1)
	condition := b.SiLU(t)
	y := b.RMSNorm(s.At("y_embedder", "norm"), b.Linear(s.At("y_embedder", "proj"), context, c.width), epsilon)
	b.At("y_pos_embedding")
	table := b.Table(s.Weight("y_pos_embedding", 1, c.most, c.width))
	y = b.Add(y, b.GatherAxis(table, b.Input("index", dtype.I64, texts), 1))
	x := b.Linear(s.At("s_embedder", "proj"), patches, c.width)
	if c.latent != nil {
		w.latents = w.readLatent(s, rows, images)
	}
	for i := range s.Count("patch_blocks") {
		x = w.latents.before(i, x)
		x, y = w.block(s.At("patch_blocks").Index(i), x, y, condition)
	}
	x = w.latents.behind(b.SiLU(b.Add(x, t)))
	p := b.Add(b.Linear(s.At("pixel_embedder", "proj"), pixels, c.pixel), places)
	for i := range s.Count("pixel_blocks") {
		p = w.pixelBlock(s.At("pixel_blocks").Index(i), p, x)
	}
	last := s.At("final_layer")
	p = b.Linear(last.At("linear"), b.RMSNorm(last.At("norm"), p, epsilon), rgb)
	dit.Output(b, "out", b.Reshape(p, rows, images, onnx.D(rgb*c.side*c.side)))
}

// block is a block of image tokens x and text tokens y. Upstream: MMDiTBlockT2I.
func (w *writer) block(s *weights.Scope, x, y, condition *onnx.Value) (newX, newY *onnx.Value) {
	mods := func(of string) []*onnx.Value {
		return w.Chunks(w.Linear(s.At("adaLN_modulation_"+of, "0"), condition, 6*w.width), 6)
	}
	mx, my := mods("img"), mods("txt")
	a := s.At("attn")
	stream := func(of string, x *onnx.Value, rope *nn.Rotary) nn.Stream {
		part := func(i int) *onnx.Value { return w.LinearRows(a.At("qkv_"+of), x, 3*w.width, i*w.width, w.width) }
		turned := func(norm string, x *onnx.Value) *onnx.Value {
			return w.Rotate(w.HeadRMSNorm(a.At(norm+of), x, w.heads, epsilon), rope, w.heads)
		}
		return nn.Stream{Q: turned("q_norm_", part(0)), K: turned("k_norm_", part(1)), V: part(2)}
	}
	attended := w.JointAttention(w.attention(w.width, w.heads), nil,
		stream("y", w.ModulateRMS(s.At("norm_y1"), y, my[0], my[1], epsilon), w.text), stream("x", w.ModulateRMS(s.At("norm_x1"), x, mx[0], mx[1], epsilon), w.image))
	feed := func(of string, x *onnx.Value, m []*onnx.Value) *onnx.Value {
		f := s.At("mlp_" + of)
		in := w.ModulateRMS(s.At("norm_"+of+"2"), x, m[3], m[4], epsilon)
		return w.Gated(x, w.Linear(f.At("w2"), w.SwiGLU(w.Linear(f.At("w3"), in, w.inner), w.Linear(f.At("w1"), in, w.inner)), w.width), m[5])
	}
	x = w.Gated(x, w.Linear(a.At("proj_x"), attended[1], w.width), mx[2])
	y = w.Gated(y, w.Linear(a.At("proj_y"), attended[0], w.width), my[2])
	return feed("x", x, mx), feed("y", y, my)
}

func (w *writer) attention(width, heads int) onnx.Attention {
	return onnx.Attention{Heads: heads, Scale: float32(1 / math.Sqrt(float64(width)/float64(heads)))}
}

// pixelBlock is a block of the pixels p [B,I,P²,pixel], modulated pixel by pixel by the patches' tokens. Upstream: PiTBlock.
func (w *writer) pixelBlock(s *weights.Scope, p, tokens *onnx.Value) *onnx.Value {
	area := w.side * w.side
	modulation := func(s *weights.Scope, n int) []*onnx.Value {
		m := w.Reshape(w.Linear(s, tokens, n*area*w.pixel), p.Dim(0), p.Dim(1), onnx.D(area), onnx.D(n*w.pixel))
		return w.Split(m, 3, slices.Repeat([]int{w.pixel}, n)...)
	}
	var mods []*onnx.Value
	if s.Has("adaLN_modulation_msa.weight") { // as ComfyUI saves it
		mods = append(modulation(s.At("adaLN_modulation_msa"), 3), modulation(s.At("adaLN_modulation_mlp"), 3)...)
	} else {
		mods = modulation(s.At("adaLN_modulation", "0"), 6)
	}
	modulated := func(norm string, shift, scale *onnx.Value) *onnx.Value {
		return w.Add(w.Mul(w.RMSNorm(s.At(norm), p, epsilon), w.Add(scale, w.Const(1))), shift)
	}
	x := w.Reshape(modulated("norm1", mods[0], mods[1]), p.Dim(0), p.Dim(1), onnx.D(area*w.pixel))
	x = w.Linear(s.At("compress_to_attn"), x, w.attended)
	a := s.At("attn")
	part := func(i int) *onnx.Value { return w.LinearRows(a.At("qkv"), x, 3*w.attended, i*w.attended, w.attended) }
	x = w.JointAttention(w.attention(w.attended, w.pixelHeads), w.pixels, nn.Stream{
		Q: w.HeadRMSNorm(a.At("q_norm"), part(0), w.pixelHeads, epsilon), K: w.HeadRMSNorm(a.At("k_norm"), part(1), w.pixelHeads, epsilon), V: part(2),
	})[0]
	x = w.Linear(s.At("expand_from_attn"), w.Linear(a.At("proj"), x, w.attended), area*w.pixel)
	p = w.Gated(p, w.Reshape(x, p.Shape...), mods[2])
	f := s.At("mlp")
	x = w.Linear(f.At("fc2"), w.Gelu(w.Linear(f.At("fc1"), modulated("norm2", mods[3], mods[4]), w.pixelInner), false), w.pixel)
	return w.Gated(p, x, mods[5])
}
