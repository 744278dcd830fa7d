package qwenimage

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

var _ family.Modular = kind{}

// Module implements family.Modular for upstream's QwenImageTransformer2DModel, whose config is that of the shapes.
func (kind) Module(class string, _ []byte, src weights.Source) (family.Module, error) {
	if class != "comfy.ldm.qwen_image.model.QwenImageTransformer2DModel" {
		return nil, nil
	}
	c, err := ReadConfig(weights.NewScope(src), side)
	return module{newModel(c, src)}, err
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
	for i := 0; ; i++ {
		r := args.Tensors[fmt.Sprintf("ref_latents.%d", i)]
		if r == nil {
			break
		}
		in = append(in, sampling.Input{Name: inputReference(i), Value: r, Rule: sampling.ByRows})
	}
	for name := range args.Tensors {
		if strings.HasPrefix(name, "ref_latents") && len(in) == 1 {
			return nil, fmt.Errorf("running the module: the argument %s is not known", name)
		}
	}
	y, err := m.Predict(ctx, run, family.Call{X: x, T: times.Data, Inputs: sampling.Inputs{List: in}})
	return []*tensor.Tensor{y}, err
}
