package layout_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/weights"
	"comfygo/engine/weights/layout"
)

// described is a source with metadata.
type described struct {
	weights.Source
	metadata map[string]string
}

func (d described) Metadata() map[string]string { return d.metadata }

// numbered is a file whose tensors hold 0, 1, 2 and so on.
func numbered(t *testing.T, metadata map[string]string, tensors map[string][]int) weights.Source {
	t.Helper()
	var list []weights.Entry
	for name, shape := range tensors {
		e := weights.Entry{Name: name, DType: dtype.F32, Shape: shape}
		for i := range e.Count() {
			e.Data = binary.LittleEndian.AppendUint32(e.Data, math.Float32bits(float32(i)))
		}
		list = append(list, e)
	}
	src, err := weights.Memory("file", list...)
	if err != nil {
		t.Fatal(err)
	}
	return described{src, metadata}
}

func values(t *testing.T, src weights.Source, name string) []float32 {
	t.Helper()
	e, ok := src.Lookup(name)
	if !ok {
		t.Fatalf("no %s among %v", name, src.Names())
	}
	v, err := weights.Float32s(e)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestLlamaCPP(t *testing.T) {
	t.Parallel()
	block := map[string][]int{
		"token_embd.weight": {2, 1}, "output_norm.weight": {1}, "blk.0.attn_q.weight": {8, 1}, "blk.0.attn_k.weight": {4, 1}, "blk.0.attn_norm.weight": {2},
		"blk.0.ffn_norm.weight": {1}, "blk.0.attn_q_norm.weight": {1}, "blk.0.ffn_gate.weight": {1, 1}, "blk.0.attn_q.bias": {8},
	}
	metadata := map[string]string{"general.architecture": "llama", "llama.attention.head_count": "2", "llama.attention.head_count_kv": "1"}
	src := layout.LlamaCPP(numbered(t, metadata, block))
	for name, want := range map[string][]float32{
		// A head of four rows: llama.cpp has rows 0 and 2, then 1 and 3 side by side.
		"model.layers.0.self_attn.q_proj.weight": {0, 2, 1, 3, 4, 6, 5, 7}, "model.layers.0.self_attn.k_proj.weight": {0, 2, 1, 3},
		"model.layers.0.self_attn.q_proj.bias": {0, 2, 1, 3, 4, 6, 5, 7}, "model.layers.0.input_layernorm.weight": {0, 1},
		"model.layers.0.post_attention_layernorm.weight": {0}, "model.layers.0.mlp.gate_proj.weight": {0}, "model.embed_tokens.weight": {0, 1},
		"model.norm.weight": {0}, "model.layers.0.self_attn.q_norm.weight": {0},
	} {
		if got := values(t, src, name); !slices.Equal(got, want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	other := layout.LlamaCPP(numbered(t, map[string]string{"general.architecture": "another"}, block))
	if got := values(t, other, "model.layers.0.self_attn.q_proj.weight"); got[1] != 1 {
		t.Errorf("rows of another architecture are ordered: %v", got)
	}
}

func TestLlamaCPPFourNorms(t *testing.T) {
	t.Parallel()
	src := layout.LlamaCPP(numbered(t, map[string]string{"general.architecture": "gemma2"}, map[string][]int{
		"token_embd.weight": {2, 1}, "blk.0.attn_q.weight": {2, 1}, "blk.0.ffn_norm.weight": {2}, "blk.0.post_attention_norm.weight": {2}, "blk.0.post_ffw_norm.weight": {2},
	}))
	for _, norm := range []string{"pre_feedforward_layernorm", "post_attention_layernorm", "post_feedforward_layernorm"} {
		if got := values(t, src, fmt.Sprintf("model.layers.0.%s.weight", norm)); !slices.Equal(got, []float32{-1, 0}) {
			t.Errorf("%s is %v", norm, got)
		}
	}
}

func TestLlamaCPPT5(t *testing.T) {
	t.Parallel()
	src := layout.LlamaCPP(numbered(t, nil, map[string][]int{
		"token_embd.weight": {2, 1}, "enc.output_norm.weight": {1}, "enc.blk.0.attn_q.weight": {2, 1}, "enc.blk.0.attn_rel_b.weight": {2, 1},
		"enc.blk.11.ffn_gate.weight": {1, 1}, "enc.blk.11.ffn_norm.weight": {1},
	}))
	for _, name := range []string{
		"shared.weight", "encoder.final_layer_norm.weight", "encoder.block.0.layer.0.SelfAttention.q.weight", "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
		"encoder.block.11.layer.1.DenseReluDense.wi_0.weight", "encoder.block.11.layer.1.layer_norm.weight",
	} {
		if _, ok := src.Lookup(name); !ok {
			t.Errorf("no %s among %v", name, src.Names())
		}
	}
	plain := numbered(t, nil, map[string][]int{"blk.0.attn_q.weight": {2, 1}})
	if len(layout.LlamaCPP(plain).Names()) != 1 {
		t.Error("a file of another layout is changed")
	}
}
