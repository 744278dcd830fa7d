package stableaudio

import (
	"context"
	"encoding/json"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

var _ family.Modular = kind{}

// Module implements family.Modular.
func (kind) Module(class string, config []byte, src weights.Source) (family.Module, error) {
	if class != "comfy.ldm.audio.dit.AudioDiffusionTransformer" {
		return nil, nil
	}
	var doc struct {
		Heads int `json:"num_heads"`
	}
	if err := json.Unmarshal(config, &doc); err != nil {
		return nil, fmt.Errorf("reading the module's config: %w", err)
	}
	c, err := readConfig(weights.NewScope(src), max(doc.Heads, 1))
	if err != nil {
		return nil, err
	}
	return module{&model{config: c, src: src}}, nil
}

// module runs the network by itself.
type module struct{ *model }

// Role implements family.Module.
func (module) Role() family.Role { return family.RoleDiffusion }

// Call implements family.Module.
func (m module) Call(ctx context.Context, run family.Runner, args family.Arguments) ([]*tensor.Tensor, error) {
	times := args.Tensors["timestep"]
	x, text, global := args.Tensors["x"], args.Tensors["context"], args.Tensors["global_embed"]
	if times == nil || x == nil || text == nil || global == nil {
		return nil, fmt.Errorf("running the module: it needs x, timestep, context and global_embed")
	}
	y, err := m.run(ctx, run, x, times.Data, text, global)
	return []*tensor.Tensor{y}, err
}
