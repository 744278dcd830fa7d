package clip

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/engine/textenc"
	"comfygo/engine/tokenizer"
	"comfygo/engine/weights"
)

var _ family.Modular = kind{}

// Module implements family.Modular for upstream's CLIPTextModel.
func (kind) Module(class string, config []byte, src weights.Source) (family.Module, error) {
	if class != "comfy.clip_model.CLIPTextModel" {
		return nil, nil
	}
	var c struct {
		Width     int    `json:"hidden_size"`
		MLP       int    `json:"intermediate_size"`
		Heads     int    `json:"num_attention_heads"`
		Layers    int    `json:"num_hidden_layers"`
		Vocab     int    `json:"vocab_size"`
		Positions int    `json:"max_position_embeddings"`
		Act       string `json:"hidden_act"`
		End       *int32 `json:"eos_token_id"`
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, fmt.Errorf("reading the config: %w", err)
	}
	if c.Act != "gelu" && c.Act != "quick_gelu" {
		return nil, fmt.Errorf("the activation %q is not one of CLIP's", c.Act)
	}
	out := Config{
		Key: KeyL, Width: c.Width, MLP: c.MLP, Heads: c.Heads, Layers: c.Layers, Vocab: c.Vocab, Positions: c.Positions,
		QuickGelu: c.Act == "quick_gelu", Empty: textenc.CLIPL,
	}
	if c.End != nil {
		out.Empty.End = *c.End
	}
	if e, ok := src.Lookup("text_projection.weight"); ok && len(e.Shape) == 2 {
		out.Projection = e.Shape[0]
	}
	return module{New(src, out)}, nil
}

// module is an encoder as upstream's module.
type module struct{ *Encoder }

// Role implements family.Module.
func (module) Role() family.Role { return family.RoleText }

// Call implements family.Module: the last hidden states, those of an inner layer or nil, the pooled output projected and
// not projected.
func (m module) Call(ctx context.Context, run family.Runner, args family.Arguments) ([]*tensor.Tensor, error) {
	var ids [][]int32
	var layer *int
	norm := true
	for name, v := range map[string]any{"input_tokens": &ids, "intermediate_output": &layer, "final_layer_norm_intermediate": &norm} {
		if err := args.Decode(name, v); err != nil {
			return nil, err
		}
	}
	if len(ids) == 0 || layer != nil && (*layer >= m.Layers || *layer < -m.Layers) {
		return nil, errors.New("running the module: it takes input_tokens and an intermediate_output that it has")
	}
	rows := make([]textenc.Row, len(ids))
	for i, row := range ids {
		tokens := make([]tokenizer.Token, len(row))
		for k, id := range row {
			tokens[k] = tokenizer.Token{ID: id, Weight: 1}
		}
		rows[i] = textenc.Resolve(tokens, m.Config.Width, m.Empty)
	}
	plain := &call{Encoder: m.Encoder, run: run, variant: variant{layer: -1, norm: norm}}
	last, err := plain.Forward(ctx, rows)
	if err != nil {
		return nil, err
	}
	projected, err := plain.project(last.Pooled)
	if err != nil {
		return nil, err
	}
	out := []*tensor.Tensor{last.Hidden, nil, projected, last.Pooled}
	if layer == nil {
		return out, nil
	}
	inner := *plain
	inner.variant.layer = (*layer + m.Layers) % m.Layers
	hidden, err := inner.Forward(ctx, rows)
	out[1] = hidden.Hidden
	return out, err
}
