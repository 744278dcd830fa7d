package chroma

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/flux"
	"comfygo/engine/family/latents"
	"comfygo/engine/family/t5"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "Chroma" }

// Rank implements family.Family.
func (kind) Rank() int { return 740 }

// plain shows the scales of norms as weights.
func plain(src weights.Source) weights.Source {
	return dit.Rename(src, func(n string) string {
		if layer, ok := strings.CutSuffix(n, ".scale"); ok {
			return layer + ".weight"
		}
		return n
	})
}

// Read implements family.Diffusion.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	src = plain(src)
	s := weights.NewScope(src)
	if !flux.Looks(src) || !s.Has("distilled_guidance_layer.norms.0.weight") || s.Has("nerf_blocks.0.norm.weight") {
		return nil, nil
	}
	return read(s, 16, 56, 56)
}

func read(s *weights.Scope, axes ...int) (*flux.Model, error) {
	c, err := flux.Read(s, 2, axes...)
	if err != nil {
		return nil, err
	}
	in := s.Shape("distilled_guidance_layer.in_proj.weight")
	if len(in) != 2 {
		return nil, fmt.Errorf("reading the shape of the network: distilled_guidance_layer.in_proj.weight is %v, wanted two dimensions", in)
	}
	c.Distilled = in[0]
	return &flux.Model{
		Config: c, Head: flux.Head(s.Source(), latents.Flux, sampling.Flux, sampling.Settings{Multiplier: 1}, "chroma", t5.KeyXXL),
	}, nil
}

var _ family.Modular = kind{}

// Module implements family.Modular.
func (kind) Module(class string, config []byte, src weights.Source) (family.Module, error) {
	var c struct {
		Axes []int `json:"axes_dim"`
	}
	if class != "comfy.ldm.chroma.model.Chroma" {
		return nil, nil
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, fmt.Errorf("reading the config: %w", err)
	}
	m, err := read(weights.NewScope(plain(src)), c.Axes...)
	return module{m}, err
}

// module is a model as upstream's module.
type module struct{ *flux.Model }

// Role implements family.Module.
func (module) Role() family.Role { return family.RoleDiffusion }

// Call implements family.Module.
func (m module) Call(ctx context.Context, run family.Runner, args family.Arguments) ([]*tensor.Tensor, error) {
	x, times, text, guidance := args.Tensors["x"], args.Tensors["timestep"], args.Tensors["context"], args.Tensors["guidance"]
	if x == nil || times == nil || text == nil || guidance == nil {
		return nil, errors.New("running the module: it takes x, timestep, context and guidance")
	}
	in := []sampling.Input{{Name: sampling.InputContext, Value: text, Rule: sampling.ByRows}, {Name: flux.InputGuidance, Value: guidance, Rule: sampling.ByRows}}
	y, err := m.Predict(ctx, run, family.Call{X: x, T: times.Data, Inputs: sampling.Inputs{List: in}})
	return []*tensor.Tensor{y}, err
}
