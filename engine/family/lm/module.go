package lm

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/engine/textenc"
	"comfygo/engine/tokenizer"
	"comfygo/engine/weights"
)

var _ family.Modular = kind{}

// classes are the keys of upstream's classes.
var classes = map[string]string{
	"Llama2": KeyLlama3, "Mistral3Small24B": KeyMistral, "Ministral3_3B": KeyMinistral, "Qwen25_3B": KeyQwen25S, "Qwen25_7BVLI": KeyQwen25M,
	"Qwen3_06B": KeyQwen3XS, "Ovis25_2B": KeyQwen3S, "Qwen3_4B": KeyQwen3M, "Qwen3_8B": KeyQwen3L,
	"Gemma2_2B": KeyGemma2, "Gemma3_4B": KeyGemma3S, "Gemma3_12B": KeyGemma3M,
}

// Module implements family.Modular for upstream's language models.
func (kind) Module(class string, config []byte, src weights.Source) (family.Module, error) {
	name, ok := strings.CutPrefix(class, "comfy.text_encoders.llama.")
	key, known := classes[name]
	if !ok || !known {
		return nil, nil
	}
	var c struct {
		Width   int `json:"hidden_size"`
		MLP     int `json:"intermediate_size"`
		Heads   int `json:"num_attention_heads"`
		KVHeads int `json:"num_key_value_heads"`
		Layers  int `json:"num_hidden_layers"`
		Vocab   int `json:"vocab_size"`
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, fmt.Errorf("reading the config: %w", err)
	}
	out := Config{Key: key, Width: c.Width, Layers: c.Layers, Heads: c.Heads, KVHeads: c.KVHeads, HeadDim: 128, MLP: c.MLP, Vocab: c.Vocab, traits: traitsOf[key]}
	if out.gemma {
		out.HeadDim = 256
	}
	return module{New(src, out)}, nil
}

// module is a network as upstream's module.
type module struct{ *Encoder }

// Role implements family.Module.
func (module) Role() family.Role { return family.RoleText }

// Call implements family.Module: the last hidden states, and those of an inner layer or nil.
func (m module) Call(ctx context.Context, run family.Runner, args family.Arguments) ([]*tensor.Tensor, error) {
	var ids [][]int32
	var mask [][]int64
	var layer *int
	norm := true
	for name, v := range map[string]any{"input_ids": &ids, "attention_mask": &mask, "intermediate_output": &layer, "final_layer_norm_intermediate": &norm} {
		if err := args.Decode(name, v); err != nil {
			return nil, err
		}
	}
	if len(ids) == 0 || mask != nil && len(mask) != len(ids) || layer != nil && (*layer >= m.Layers || *layer < -m.Layers) {
		return nil, errTokens
	}
	rows := make([]textenc.Row, len(ids))
	for i, row := range ids {
		tokens := make([]tokenizer.Token, len(row))
		for k, id := range row {
			tokens[k] = tokenizer.Token{ID: id, Weight: 1}
		}
		rows[i] = textenc.Resolve(tokens, m.Config.Width, special(m.Config.Key))
		if mask != nil {
			rows[i].Mask = mask[i]
		}
	}
	c := &call{Encoder: m.Encoder, run: run, variant: variant{inner: -1, norm: norm}, masked: mask != nil}
	last, err := c.Forward(ctx, rows)
	if err != nil || layer == nil {
		return []*tensor.Tensor{last.Hidden, nil}, err
	}
	c.variant.inner = (*layer + m.Layers) % m.Layers
	inner, err := c.Forward(ctx, rows)
	return []*tensor.Tensor{last.Hidden, inner.Hidden}, err
}
