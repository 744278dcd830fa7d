package hidream

import (
	"context"
	"errors"

	"comfygo/engine/family"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

var _ family.Modular = kind{}

// Module implements family.Modular for upstream's HiDreamImageTransformer2DModel, whose config is that of the shapes.
func (kind) Module(class string, _ []byte, src weights.Source) (family.Module, error) {
	if class != "comfy.ldm.hidream.model.HiDreamImageTransformer2DModel" {
		return nil, nil
	}
	c, err := read(weights.NewScope(src))
	return module{&Model{Config: c, Source: src}}, err
}

// module is a model as upstream's module.
type module struct{ *Model }

// Role implements family.Module.
func (module) Role() family.Role { return family.RoleDiffusion }

// Call implements family.Module.
func (m module) Call(ctx context.Context, run family.Runner, args family.Arguments) ([]*tensor.Tensor, error) {
	x, times := args.Tensors["x"], args.Tensors["t"]
	if x == nil || times == nil {
		return nil, errors.New("running the module: it takes x and t")
	}
	var in []sampling.Input
	for theirs, ours := range map[string]string{"context": sampling.InputContext, "encoder_hidden_states_llama3": inputLayers, "y": inputVector} {
		v := args.Tensors[theirs]
		if v == nil {
			return nil, errors.New("running the module: it takes " + theirs)
		}
		in = append(in, sampling.Input{Name: ours, Value: v, Rule: sampling.ByRows})
	}
	y, err := m.Predict(ctx, run, family.Call{X: x, T: times.Data, Inputs: sampling.Inputs{List: in}})
	return []*tensor.Tensor{y}, err
}
