package auraflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

var _ family.Modular = kind{}

// Module implements family.Modular for upstream's MMDiT of AuraFlow.
func (kind) Module(class string, config []byte, src weights.Source) (family.Module, error) {
	if class != "comfy.ldm.aura.mmdit.MMDiT" {
		return nil, nil
	}
	c := struct {
		Heads int `json:"n_heads"`
	}{12}
	if err := json.Unmarshal(config, &c); err != nil || c.Heads < 1 {
		return nil, fmt.Errorf("reading the config: %d heads: %w", c.Heads, err)
	}
	read, err := read(weights.NewScope(src), c.Heads)
	return module{&Model{Config: read, Source: src}}, err
}

// module is a model as upstream's module.
type module struct{ *Model }

// Role implements family.Module.
func (module) Role() family.Role { return family.RoleDiffusion }

// Call implements family.Module.
func (m module) Call(ctx context.Context, run family.Runner, args family.Arguments) ([]*tensor.Tensor, error) {
	x, times, text := args.Tensors["x"], args.Tensors["timestep"], args.Tensors["context"]
	if x == nil || times == nil || text == nil {
		return nil, errors.New("running the module: it takes x, timestep and context")
	}
	in := []sampling.Input{{Name: sampling.InputContext, Value: text, Rule: sampling.ByRows}}
	y, err := m.Predict(ctx, run, family.Call{X: x, T: times.Data, Inputs: sampling.Inputs{List: in}})
	return []*tensor.Tensor{y}, err
}
