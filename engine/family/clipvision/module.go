package clipvision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

var _ family.Modular = kind{}

// activations are upstream's names of them.
var activations = map[string]Activation{"quick_gelu": QuickGELU, "gelu": GELU, "gelu_pytorch_tanh": TanhGELU}

// Module implements family.Modular for upstream's CLIPVisionModelProjection.
func (kind) Module(class string, config []byte, src weights.Source) (family.Module, error) {
	if class != "comfy.clip_model.CLIPVisionModelProjection" {
		return nil, nil
	}
	var c struct {
		Width  int    `json:"hidden_size"`
		MLP    int    `json:"intermediate_size"`
		Heads  int    `json:"num_attention_heads"`
		Layers int    `json:"num_hidden_layers"`
		Image  int    `json:"image_size"`
		Patch  int    `json:"patch_size"`
		Act    string `json:"hidden_act"`
		Model  string `json:"model_type"`
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, fmt.Errorf("reading the config: %w", err)
	}
	act, ok := activations[c.Act]
	if !ok {
		return nil, fmt.Errorf("the activation %q is not known", c.Act)
	}
	out := Config{
		Width: c.Width, MLP: c.MLP, Heads: c.Heads, Layers: c.Layers, Image: c.Image, Patch: c.Patch,
		Activation: act, SigLIP: c.Model == "siglip_vision_model",
	}
	if e, ok := src.Lookup("visual_projection.weight"); ok && len(e.Shape) == 2 {
		out.Projection = e.Shape[0]
	}
	return module{New(src, out)}, nil
}

// module is an encoder as upstream's module.
type module struct{ *Encoder }

// Role implements family.Module.
func (module) Role() family.Role { return family.RoleVision }

// Call implements family.Module: the last hidden states, those of the layer before the last, and the projected pooled output.
func (m module) Call(ctx context.Context, run family.Runner, args family.Arguments) ([]*tensor.Tensor, error) {
	layer := -2
	if err := args.Decode("intermediate_output", &layer); err != nil {
		return nil, err
	}
	pixels := args.Tensors["pixel_values"]
	if pixels == nil || len(pixels.Shape) != 4 || layer != -2 {
		return nil, errors.New("running the module: it takes pixel_values [B,3,H,W] and gives the layer before the last")
	}
	out, err := m.Forward(ctx, run, pixels)
	return []*tensor.Tensor{out.Last, out.Penultimate, out.Embeds}, err
}
