package ltxv

import (
	"fmt"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// naBlock is one transformer block of the decoder, whose tokens attend to their neighbourhood.
type naBlock struct {
	name                string
	width, heads, inner int
	kernel              [3]int
	// context is the number of channels that a block of the last stage reads, 0 for those before it.
	context int
}

const naEpsilon = 1e-6

// Rows of the modulation of a block of the last stage: three others, the gates among them, are not used.
const (
	scaleAttention = 0
	shiftAttention = 1
	scaleMLP       = 3
	shiftMLP       = 4
	diffModulation = 7
)

// modulated is the norm at s of x, modulated by two rows of the embedded timestep in blocks of the last stage.
func (n naBlock) modulated(b *nn.Builder, s *weights.Scope, norm string, x *onnx.Value, scale, shift int) *onnx.Value {
	at := s.At(n.name)
	y := b.RMSNorm(at.At(norm), x, naEpsilon)
	if n.context == 0 {
		return y
	}
	t := b.Input("timestep", dtype.F32, onnx.D(1))
	embedding := s.Shape("decoder.t_embedder.mlp.0.weight")
	if len(embedding) != 2 {
		b.Fail("Modulate", "decoder.t_embedder.mlp.0.weight has the shape %v", embedding)
	}
	v := dit.TimeMLP(b, s.At("decoder.t_embedder.mlp"), t, 1, embedding[0], "0", "2")
	v = b.Linear(s.At("decoder.shared_adaln.proj"), b.SiLU(v), diffModulation*n.width)
	table := at.Weight("scale_shift_table", diffModulation, n.width)
	row := func(i int) *onnx.Value {
		one := onnx.D(1)
		return b.Reshape(b.Add(b.Slice(v, 1, i*n.width, (i+1)*n.width), dit.TableRows(b, table, i, 1)), one, one, onnx.D(n.width))
	}
	return b.Add(b.Mul(y, b.Add(row(scale), b.Const(1))), row(shift))
}

// project writes the queries, keys and values of tokens x [1,N,C], and x itself with the context added, if there is one.
func (n naBlock) project(b *nn.Builder, s *weights.Scope) {
	tokens := onnx.Sym("N")
	x := dit.Input(b, "x", onnx.D(1), tokens, onnx.D(n.width))
	rope := dit.RotaryInputs(b, tokens, n.width/n.heads)
	at := s.At(n.name)
	if n.context > 0 {
		c := dit.Input(b, "context", onnx.D(1), tokens, onnx.D(n.context))
		x = b.LinearAdd(at.At("context_proj"), c, x, n.width)
		dit.Output(b, "sum", x)
	}
	parts := b.Chunks(b.Linear(at.At("attn.qkv"), n.modulated(b, s, "norm1", x, scaleAttention, shiftAttention), 3*n.width), 3)
	dit.Output(b, "q", b.Rotate(b.HeadRMSNorm(at.At("attn.q_norm"), parts[0], n.heads, naEpsilon), rope, n.heads))
	dit.Output(b, "k", b.Rotate(b.HeadRMSNorm(at.At("attn.k_norm"), parts[1], n.heads, naEpsilon), rope, n.heads))
	dit.Output(b, "v", parts[2])
}

// hidden is the attention bias between tokens that do not attend to each other: its sum over two axes is a float16, too.
const hidden = -3e4

// attend writes the block's result for tiles of tokens x [G,a,b,C] with queries q, which attend to keys and values [G,F,r,s,C] as far
// as rows [G,a,r] and columns [G,b,s] are 0, not hidden.
func (n naBlock) attend(b *nn.Builder, s *weights.Scope) {
	g, rows, columns, frames, r, c := onnx.Sym("G"), onnx.Sym("a"), onnx.Sym("b"), onnx.Sym("F"), onnx.Sym("r"), onnx.Sym("s")
	one, width := onnx.D(1), onnx.D(n.width)
	queries, keys := rows.Times(columns), frames.Times(r).Times(c)
	x := b.Reshape(dit.Input(b, "x", g, rows, columns, width), g, queries, width)
	q := b.Reshape(dit.Input(b, "q", g, rows, columns, width), g, queries, width)
	k := b.Reshape(dit.Input(b, "k", g, frames, r, c, width), g, keys, width)
	v := b.Reshape(dit.Input(b, "v", g, frames, r, c, width), g, keys, width)
	down := b.Reshape(dit.Input(b, "rows", g, rows, r), g, one, rows, one, one, r, one)
	across := b.Reshape(dit.Input(b, "columns", g, columns, c), g, one, one, columns, one, one, c)
	bias := b.Reshape(b.Expand(b.Add(down, across), g, one, rows, columns, frames, r, c), g, one, queries, keys)
	y := b.Attend(q, k, v, onnx.Attention{Heads: n.heads, Scale: headScale(n.width / n.heads), Bias: bias})
	at := s.At(n.name)
	x = b.LinearAdd(at.At("attn.proj"), y, x, n.width)
	y = n.modulated(b, s, "norm2", x, scaleMLP, shiftMLP)
	y = b.SwiGLU(b.Linear(at.At("mlp.w_up"), y, n.inner), b.Linear(at.At("mlp.w_gate"), y, n.inner))
	dit.Output(b, "out", b.LinearAdd(at.At("mlp.w_down"), y, x, n.width))
}

// graph returns the graph called name that write writes.
func (d *diffusionDecoder) graph(name string, write func(b *nn.Builder, s *weights.Scope)) family.Graph {
	return family.Graph{Part: "vae decoder", Variant: family.Digest(name), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("vae decoder "+name, d.src, write)
	}}
}

// linear is a linear layer at name, of in channels, after a norm where one is named.
func (d *diffusionDecoder) linear(name, norm string, in, out int) family.Graph {
	return d.graph(name, func(b *nn.Builder, s *weights.Scope) {
		x := dit.Input(b, "x", onnx.D(1), onnx.Sym("N"), onnx.D(in))
		if norm != "" {
			x = b.RMSNorm(s.At(norm), x, naEpsilon)
		}
		dit.Output(b, "out", b.Linear(s.At(name), x, out))
	})
}

// grow is an upsampling layer at name for a frame [h,w,C], which becomes frames [p,h·q,w·r,C'].
func (d *diffusionDecoder) grow(name string, in int, u upsample) family.Graph {
	return d.graph(name, func(b *nn.Builder, s *weights.Scope) {
		h, w := onnx.Sym("h"), onnx.Sym("w")
		p, q, r := onnx.D(u.stride[0]), onnx.D(u.stride[1]), onnx.D(u.stride[2])
		cells := tensor.Count(u.stride[:])
		made := cells * in / u.divisor
		x := b.Linear(s.At(name), dit.Input(b, "x", h, w, onnx.D(in)), made)
		channels := onnx.D(made / cells)
		x = b.Transpose(b.Reshape(x, h, w, channels, p, q, r), 3, 0, 4, 1, 5, 2)
		dit.Output(b, "out", b.Reshape(x, p, h.Times(q), w.Times(r), channels))
	})
}

func stageBlock(stage, i int) string { return fmt.Sprintf("decoder.det_stages.%d.%d", stage, i) }
