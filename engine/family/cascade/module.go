package cascade

import (
	"context"
	"errors"

	"comfygo/engine/family"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

var _ family.Modular = stage{}

// Module implements family.Modular for upstream's StageC and StageB, whose configs are those of the shapes.
func (k stage) Module(class string, _ []byte, src weights.Source) (family.Module, error) {
	want := "comfy.ldm.cascade.stage_b.StageB"
	if k.prior {
		want = "comfy.ldm.cascade.stage_c.StageC"
	}
	if class != want {
		return nil, nil
	}
	src = split(src)
	c, err := read(weights.NewScope(src), k.prior)
	return module{&Model{Config: c, Source: src}}, err
}

// module is a model as upstream's module.
type module struct{ *Model }

// Role implements family.Module.
func (module) Role() family.Role { return family.RoleDiffusion }

// Call implements family.Module.
func (m module) Call(ctx context.Context, run family.Runner, args family.Arguments) ([]*tensor.Tensor, error) {
	x, times := args.Tensors["x"], args.Tensors["r"]
	names := map[string]string{sampling.InputContext: "clip_text", InputPooled: "clip_text_pooled", InputImage: "clip_img"}
	if !m.Prior {
		names = map[string]string{InputPooled: "clip", InputPrior: "effnet"}
	}
	var list []sampling.Input
	for name, arg := range names {
		list = append(list, sampling.Input{Name: name, Value: args.Tensors[arg], Rule: sampling.ByRows})
	}
	if x == nil || times == nil {
		return nil, errors.New("running the module: it takes x and r")
	}
	y, err := m.Predict(ctx, run, family.Call{X: x, T: times.Data, Inputs: sampling.Inputs{List: list}})
	return []*tensor.Tensor{y}, err
}
