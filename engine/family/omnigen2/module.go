package omnigen2

import (
	"context"
	"errors"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

var _ family.Modular = kind{}

// Module implements family.Modular for upstream's OmniGen2Transformer2DModel, whose config is that of the shapes.
func (kind) Module(class string, _ []byte, src weights.Source) (family.Module, error) {
	if class != "comfy.ldm.omnigen.omnigen2.OmniGen2Transformer2DModel" {
		return nil, nil
	}
	c, err := ReadConfig(weights.NewScope(src), "layers")
	return module{&Model{Config: c, Head: dit.Head{Source: src}}}, err
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
