package hunyuan3d

import (
	"math"
	"slices"

	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

const epsilon = 1e-6

// writer writes one graph.
type writer struct {
	*nn.Builder
	config
}

// inputs declares the latent x [B,C,L], returned as tokens [B,L,C], and context [B,T,image].
func (w writer) inputs() (x, image *onnx.Value) {
	rows := onnx.Sym("B")
	x = dit.Input(w.Builder, "x", rows, onnx.D(w.channels), onnx.Sym("L"))
	return w.Transpose(x, 0, 2, 1), dit.Input(w.Builder, "context", rows, onnx.Sym("T"), onnx.D(w.image))
}

// output makes tokens [B,L,C] the output out [B,C,L], with the other sign.
func (w writer) output(x *onnx.Value) { dit.Output(w.Builder, "out", w.Neg(w.Transpose(x, 0, 2, 1))) }

// write writes the network of Hunyuan3D 2: the blocks of Flux without positions. Inputs: those of inputs, and waves and guidance [B,256]. Upstream:
// ldm/hunyuan3d/model.py Hunyuan3Dv2.
func (w writer) write(s *weights.Scope, v variant) {
	const waves = 256
	img, txt := w.inputs()
	img = w.Linear(s.At("latent_in"), img, w.hidden)
	embed := func(name, layer string) *onnx.Value {
		x := dit.Input(w.Builder, name, onnx.Sym("B"), onnx.D(waves))
		return dit.MLP(w.Builder, s.At(layer), x, w.hidden, w.hidden, "in_layer", "out_layer")
	}
	vec := embed("waves", "time_in")
	if v.guided {
		vec = w.Add(vec, embed("guidance", "guidance_in"))
	}
	txt = w.Linear(s.At("cond_in"), txt, w.hidden)
	blocks := dit.Streams{Hidden: w.hidden, Heads: heads, MLP: w.inner}
	act := w.SiLU(vec)
	mods := func(s *weights.Scope, n int) []dit.Mod {
		return dit.Mods(w.Builder, w.Linear(s.At("lin"), act, 3*n*w.hidden), n)
	}
	for i := range w.depth {
		if b := s.At("double_blocks").Index(i); !slices.Contains(v.skipDouble, i) {
			img, txt = blocks.Double(w.Builder, b, img, txt, mods(b.At("img_mod"), 2), mods(b.At("txt_mod"), 2), nil, nil)
		}
	}
	x := w.Concat(1, txt, img)
	for i := range w.single {
		if b := s.At("single_blocks").Index(i); !slices.Contains(v.skipSingle, i) {
			x = blocks.Single(w.Builder, b, x, mods(b.At("modulation"), 1)[0], nil, nil)
		}
	}
	img = w.SliceDims(x, 1, txt.Dim(1), x.Dim(1))
	w.output(blocks.Last(w.Builder, s.At("final_layer"), img, vec, w.channels))
}

// writeThird writes the network of Hunyuan3D 2.1: blocks with long skip connections and experts, behind a token of the time. Inputs: those of inputs,
// and waves [B,hidden]. Upstream: ldm/hunyuan3dv2_1/hunyuandit.py HunYuanDiTPlain, which exchanges the halves of a batch and, behind the network,
// exchanges them back: that mixes up latents of several rows unless the two halves are alike, so it is not repeated.
func (w writer) writeThird(s *weights.Scope) {
	x, image := w.inputs()
	embedder := s.At("t_embedder.mlp")
	time := dit.Input(w.Builder, "waves", onnx.Sym("B"), onnx.D(w.hidden))
	time = w.Gelu(w.Linear(embedder.At("0"), time, dim(embedder, "0.weight", 0)), false)
	time = w.Linear(embedder.At("2"), time, w.hidden)
	x = w.Concat(1, w.Unsqueeze(time, 1), w.Linear(s.At("x_embedder"), x, w.hidden))
	var skips []*onnx.Value
	for i := range w.depth {
		block := s.At("blocks").Index(i)
		if n := len(skips) - 1; i > w.depth/2 && n >= 0 {
			x = w.Linear(block.At("skip_linear"), w.Concat(2, skips[n], x), w.hidden)
			x, skips = w.LayerNorm(block.At("skip_norm"), x, epsilon), skips[:n]
		}
		x = w.block(block, x, image)
		if i < w.depth/2 {
			skips = append(skips, x)
		}
	}
	final := s.At("final_layer")
	x = w.SliceDims(w.LayerNorm(final.At("norm_final"), x, epsilon), 1, onnx.D(1), x.Dim(1))
	w.output(w.Linear(final.At("linear"), x, w.channels))
}

// block is attention, attention to the image and a feed-forward layer. Upstream: HunYuanDiTBlock.
func (w writer) block(s *weights.Scope, x, image *onnx.Value) *onnx.Value {
	h := w.hidden
	a := onnx.Attention{Heads: heads, Scale: float32(1 / math.Sqrt(float64(h)/heads))}
	own, y := s.At("attn1"), w.LayerNorm(s.At("norm1"), x, epsilon)
	parts := w.interleaved(w.Linear(own.At("to_q"), y, h), w.Linear(own.At("to_k"), y, h), w.Linear(own.At("to_v"), y, h))
	q, k := w.HeadRMSNorm(own.At("q_norm"), parts[0], heads, epsilon), w.HeadRMSNorm(own.At("k_norm"), parts[1], heads, epsilon)
	x = w.Add(x, w.Linear(own.At("out_proj"), w.Attend(q, k, parts[2], a), h))

	cross := s.At("attn2")
	q = w.HeadRMSNorm(cross.At("q_norm"), w.Linear(cross.At("to_q"), w.LayerNorm(s.At("norm2"), x, epsilon), h), heads, epsilon)
	parts = w.interleaved(w.Linear(cross.At("to_k"), image, h), w.Linear(cross.At("to_v"), image, h))
	k = w.HeadRMSNorm(cross.At("k_norm"), parts[0], heads, epsilon)
	x = w.Add(x, w.Linear(cross.At("out_proj"), w.Attend(q, k, parts[1], a), h))

	y = w.LayerNorm(s.At("norm3"), x, epsilon)
	if s.HasAny("moe") {
		return w.Add(x, w.experts(s.At("moe"), y))
	}
	return w.Add(x, w.feedForward(s.At("mlp"), y, "fc1", "fc2"))
}

// interleaved reads values [B,S,C] joined along their channels as heads that have a slice for each: the checkpoints were trained with this order.
func (w writer) interleaved(parts ...*onnx.Value) []*onnx.Value {
	n, head := len(parts), w.hidden/heads
	x := w.Concat(2, parts...)
	sizes := make([]int, n)
	for i := range sizes {
		sizes[i] = head
	}
	out := make([]*onnx.Value, n)
	for i, y := range w.Split(w.Reshape(x, x.Dim(0), x.Dim(1), onnx.D(heads), onnx.D(n*head)), -1, sizes...) {
		out[i] = w.Reshape(y, parts[i].Shape...)
	}
	return out
}

func (w writer) feedForward(s *weights.Scope, x *onnx.Value, first, second string) *onnx.Value {
	return w.Linear(s.At(second), w.Gelu(w.Linear(s.At(first), x, w.inner), false), w.hidden)
}

// experts adds the result of a shared expert to those of the active ones. Upstream: MoEBlock.
func (w writer) experts(s *weights.Scope, x *onnx.Value) *onnx.Value {
	const active = 2
	n := dim(s, "gate.weight", 0)
	expert := func(s *weights.Scope, x *onnx.Value) *onnx.Value { return w.feedForward(s, x, "net.0.proj", "net.2") }
	scores, numbers := w.TopK(w.Softmax(w.Linear(s.At("gate"), x, n), -1), -1, min(active, max(n, 1)))
	own := w.Routed(x, numbers, scores, n, func(i int, x *onnx.Value) *onnx.Value { return expert(s.At("experts").Index(i), x) })
	return w.Add(own, expert(s.At("shared_experts"), x))
}
