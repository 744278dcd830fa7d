package t5

import (
	"context"
	"encoding/json"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/engine/textenc"
	"comfygo/engine/tokenizer"
	"comfygo/engine/weights"
)

var _ family.Modular = kind{}

// Module implements family.Modular for upstream's T5.
func (kind) Module(class string, config []byte, src weights.Source) (family.Module, error) {
	if class != "comfy.text_encoders.t5.T5" {
		return nil, nil
	}
	var c struct {
		Width  int    `json:"d_model"`
		MLP    int    `json:"d_ff"`
		Head   int    `json:"d_kv"`
		Heads  int    `json:"num_heads"`
		Layers int    `json:"num_layers"`
		Vocab  int    `json:"vocab_size"`
		Type   string `json:"model_type"`
		Gated  bool   `json:"is_gated_act"`
		Act    string `json:"dense_act_fn"`
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, fmt.Errorf("reading the config: %w", err)
	}
	if want := map[bool]string{true: "gelu_pytorch_tanh", false: "relu"}[c.Gated]; c.Act != want {
		return nil, fmt.Errorf("the activation %q of an MLP with gates: %t is not one of T5's", c.Act, c.Gated)
	}
	return module{New(src, Config{
		Key: KeyXXL, Width: c.Width, Inner: c.Head * c.Heads, Layers: c.Layers, Heads: c.Heads, MLP: c.MLP, Vocab: c.Vocab,
		Gated: c.Gated, EachLayer: c.Type == "umt5",
	})}, nil
}

// module is an encoder as upstream's module.
type module struct{ *Encoder }

// Role implements family.Module.
func (module) Role() family.Role { return family.RoleText }

// Call implements family.Module: the last hidden states.
func (m module) Call(ctx context.Context, run family.Runner, args family.Arguments) ([]*tensor.Tensor, error) {
	var ids [][]int32
	var mask [][]int64
	for name, v := range map[string]any{"input_ids": &ids, "attention_mask": &mask} {
		if err := args.Decode(name, v); err != nil {
			return nil, err
		}
	}
	if len(ids) == 0 || mask != nil && len(mask) != len(ids) {
		return nil, errTokens()
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
	out, err := (&call{Encoder: m.Encoder, run: run, variant: variant{layer: -1, norm: true, masked: mask != nil}}).Forward(ctx, rows)
	return []*tensor.Tensor{out.Hidden}, err
}
