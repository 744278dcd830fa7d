package anima

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/textenc"
	"comfygo/engine/weights"
)

// tableKey is the table of the tokens of T5.
const tableKey = "llm_adapter.embed.weight"

// adapter converts the tokens of T5 and the encoding of Qwen 3 to the network's encoding. Upstream: ldm/anima/model.py
// LLMAdapter.
type adapter struct {
	// Source, Hidden and Target are the widths of Qwen's encoding, of the layers, and of the result; Blocks is the number of
	// blocks, Vocab the tokens.
	Source, Hidden, Target, Blocks, Vocab int
}

// The number of attention heads and the least number of tokens of an encoding, which zeros make up.
const (
	heads    = 16
	leastLen = 512
	epsilon  = 1e-6
)

func readAdapter(s *weights.Scope) (adapter, error) {
	table, in, out, q := s.Shape(tableKey), s.Shape("llm_adapter.blocks.0.cross_attn.k_proj.weight"), s.Shape("llm_adapter.out_proj.weight"), s.Shape("llm_adapter.blocks.0.cross_attn.q_proj.weight")
	if len(table) != 2 || len(in) != 2 || len(out) != 2 || len(q) != 2 || q[1]%(2*heads) != 0 || table[1] != out[0] || q[1] != table[1] {
		return adapter{}, fmt.Errorf("reading the shape of the adapter: %s is %v, blocks.0.cross_attn.k_proj.weight %v and q_proj.weight %v, out_proj.weight %v", tableKey, table, in, q, out)
	}
	return adapter{Source: in[1], Hidden: q[1], Target: out[0], Blocks: s.At("llm_adapter").Count("blocks"), Vocab: table[0]}, nil
}

// adapt returns the encoding [N,512 or more,C] of a text encoding text [N,T,C'], tokens [N,S] and their weights [N,S], nil
// for ones.
func (m *model) adapt(ctx context.Context, run family.Runner, text, ids, factors *tensor.Tensor) (*tensor.Tensor, error) {
	n, count := ids.Dim(0), ids.Dim(1)
	if err := dit.CheckText(text, n, m.adapter.Source); err != nil {
		return nil, err
	}
	words, err := m.embed(run, ids)
	if err != nil {
		return nil, err
	}
	d := m.adapter.Hidden / heads
	in := []family.Value{family.Floats("words", words), family.Floats("context", text)}
	for _, side := range []struct {
		name string
		n    int
	}{{"", count}, {"context ", text.Dim(1)}} {
		const theta = 10000
		for _, v := range dit.Angles(dit.Line(side.n, 0, 1), theta, d) {
			v.Name = side.name + v.Name
			in = append(in, v)
		}
	}
	g := family.Graph{Part: "unet adapter", Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("anima adapter", m.Network.Source, func(b *nn.Builder, s *weights.Scope) { m.adapter.write(b, s.At("llm_adapter")) })
	}}
	out, err := run.Run(ctx, g, in, "out")
	if err != nil {
		return nil, err
	}
	y := out["out"]
	full := tensor.New(n, max(count, leastLen), m.adapter.Target)
	for b := range n {
		row := full.Index(b).Data
		copy(row, y.Index(b).Data)
		if factors == nil || factors.Len() != n*count {
			continue
		}
		for i, w := range factors.Index(b).Data {
			for j := range m.adapter.Target {
				row[i*m.adapter.Target+j] *= w
			}
		}
	}
	return full, nil
}

// embed looks tokens [N,S] up in the adapter's table, with the changes of adapters (LoRA).
func (m *model) embed(run family.Runner, ids *tensor.Tensor) (*tensor.Tensor, error) {
	src, err := run.Patched(m.Network.Source)
	if err != nil {
		return nil, err
	}
	scope := weights.NewScope(src)
	table := scope.Weight(tableKey, m.adapter.Vocab, m.adapter.Target)
	if err := scope.Err(); err != nil {
		return nil, err
	}
	rows := make([]textenc.Row, ids.Dim(0))
	for i := range rows {
		for _, id := range ids.Index(i).Data {
			rows[i].IDs = append(rows[i].IDs, int64(id))
		}
	}
	return textenc.Embed(rows, table.Entry)
}

// write writes the graph. Inputs: words [B,S,C], context [B,T,C'], cos and sin [1,S,D/2] and the same of the context
// [1,T,D/2]. Output: out [B,S,C].
func (a adapter) write(b *nn.Builder, s *weights.Scope) {
	rows, words, texts := onnx.Sym("B"), onnx.Sym("S"), onnx.Sym("T")
	d := a.Hidden / heads
	table := func(name string, n onnx.Dim) *onnx.Value { return dit.Input(b, name, onnx.D(1), n, onnx.D(d/2)) }
	own := &nn.Rotary{Cos: table("cos", words), Sin: table("sin", words)}
	theirs := &nn.Rotary{Cos: table("context cos", texts), Sin: table("context sin", texts)}
	x := dit.Input(b, "words", rows, words, onnx.D(a.Hidden))
	context := dit.Input(b, "context", rows, texts, onnx.D(a.Source))
	attention := func(s *weights.Scope, x, y *onnx.Value, rope *nn.Rotary) *onnx.Value {
		q := b.HeadRMSNorm(s.At("q_norm"), b.Linear(s.At("q_proj"), x, a.Hidden), heads, epsilon)
		k := b.HeadRMSNorm(s.At("k_norm"), b.Linear(s.At("k_proj"), y, a.Hidden), heads, epsilon)
		v := b.Linear(s.At("v_proj"), y, a.Hidden)
		at := onnx.Attention{Heads: heads, Scale: float32(1 / math.Sqrt(float64(d)))}
		return b.Linear(s.At("o_proj"), b.Attend(b.Rotate(q, own, heads), b.Rotate(k, rope, heads), v, at), a.Hidden)
	}
	for i := range a.Blocks {
		block := s.At("blocks").Index(i)
		y := b.RMSNorm(block.At("norm_self_attn"), x, epsilon)
		x = b.Add(x, attention(block.At("self_attn"), y, y, own))
		x = b.Add(x, attention(block.At("cross_attn"), b.RMSNorm(block.At("norm_cross_attn"), x, epsilon), context, theirs))
		const widening = 4
		y = b.Gelu(b.Linear(block.At("mlp.0"), b.RMSNorm(block.At("norm_mlp"), x, epsilon), widening*a.Hidden), false)
		x = b.Add(x, b.Linear(block.At("mlp.2"), y, a.Hidden))
	}
	dit.Output(b, "out", b.RMSNorm(s.At("norm"), b.Linear(s.At("out_proj"), x, a.Target), epsilon))
}
