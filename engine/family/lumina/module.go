package lumina

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

var _ family.Modular = kind{}

// Module implements family.Modular for upstream's NextDiT.
func (k kind) Module(class string, config []byte, src weights.Source) (family.Module, error) {
	var c struct {
		Z      bool    `json:"z_image_modulation"`
		Pad    int     `json:"pad_tokens_multiple"`
		Axes   []int   `json:"axes_dims"`
		Theta  float64 `json:"rope_theta"`
		Scale  float32 `json:"time_scale"`
		Pooled int     `json:"clip_text_dim"`
	}
	if class != "comfy.ldm.lumina.model.NextDiT" {
		return nil, nil
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, fmt.Errorf("reading the config: %w", err)
	}
	if c.Z != k.z {
		return nil, nil
	}
	read, err := read(weights.NewScope(src), k.z)
	if err != nil {
		return nil, err
	}
	if len(c.Axes) != len(read.Axes) {
		return nil, fmt.Errorf("positions of %d axes, wanted %d", len(c.Axes), len(read.Axes))
	}
	read.Axes, read.Theta, read.Pad = [3]int(c.Axes), c.Theta, c.Pad
	if c.Scale != 0 {
		read.TimeScale = c.Scale
	}
	return module{&Model{Config: read, Head: dit.Head{Source: src}}}, nil
}

// module is a model as upstream's module.
type module struct{ *Model }

// Role implements family.Module.
func (module) Role() family.Role { return family.RoleDiffusion }

// Call implements family.Module.
func (m module) Call(ctx context.Context, run family.Runner, args family.Arguments) ([]*tensor.Tensor, error) {
	x, times, text := args.Tensors["x"], args.Tensors["timesteps"], args.Tensors["context"]
	if x == nil || times == nil || text == nil {
		return nil, errors.New("running the module: it takes x, timesteps and context")
	}
	in := []sampling.Input{{Name: sampling.InputContext, Value: text, Rule: sampling.ByRows}}
	y, err := m.Predict(ctx, run, family.Call{X: x, T: times.Data, Inputs: sampling.Inputs{List: in}})
	return []*tensor.Tensor{y}, err
}
