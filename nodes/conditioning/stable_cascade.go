package conditioning

import (
	"comfygo/engine"
	"comfygo/nodes"
	"comfygo/nodes/latent"
)

func init() {
	nodes.Register(&StableCascadeEmptyLatentImage{})
	nodes.Register(&StableCascadeStageBConditioning{})
}

// StableCascadeEmptyLatentImage makes empty latents of both stages of Stable Cascade.
type StableCascadeEmptyLatentImage struct {
	Width       int `in:"width" default:"1024" min:"256" max:"16384" step:"8"`
	Height      int `in:"height" default:"1024" min:"256" max:"16384" step:"8"`
	Compression int `in:"compression" advanced:"true" default:"42" min:"4" max:"128" step:"1"`
	BatchSize   int `in:"batch_size" default:"1" min:"1" max:"4096"`
}

// Spec implements nodes.Node.
func (*StableCascadeEmptyLatentImage) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "StableCascade_EmptyLatentImage", Category: "model/latent/stable cascade",
		Module: "comfy_extras.nodes_stable_cascade", V3: true,
		Outputs: []nodes.Output{{Type: "LATENT", Name: "stage_c"}, {Type: "LATENT", Name: "stage_b"}},
		Uses:    nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*StableCascadeEmptyLatentImage) Sizes(s *nodes.Sizing) nodes.Images {
	p := s.Canvas(s.Number("width"), s.Number("height"), "batch_size")
	p.Exact = false // sides are rounded
	return p
}

// Run implements nodes.Node.
func (n *StableCascadeEmptyLatentImage) Run(*nodes.Context) (nodes.Result, error) {
	if n.Compression < 1 {
		return nodes.Result{}, nodes.Errorf("ZeroDivisionError", "making empty latents: the compression is %d", n.Compression)
	}
	c, err := latent.Empty("stage C latents", engine.Latent{}, n.BatchSize, 16, n.Height/n.Compression, n.Width/n.Compression)
	if err != nil {
		return nodes.Result{}, err
	}
	b, err := latent.Empty("stage B latents", engine.Latent{}, n.BatchSize, 4, n.Height/4, n.Width/4)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(c.Values[0], b.Values[0]), nil
}

// StableCascadeStageBConditioning gives the latent of stage C to stage B of Stable Cascade.
type StableCascadeStageBConditioning struct {
	Conditioning engine.Conditioning `in:"conditioning" type:"CONDITIONING"`
	StageC       engine.Latent       `in:"stage_c" type:"LATENT"`
}

// Spec implements nodes.Node.
func (*StableCascadeStageBConditioning) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "StableCascade_StageB_Conditioning", Category: "model/conditioning/stable cascade",
		Module: "comfy_extras.nodes_stable_cascade", V3: true,
		Outputs: nodes.Outputs("CONDITIONING"),
		Uses:    nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *StableCascadeStageBConditioning) Run(*nodes.Context) (nodes.Result, error) {
	if n.StageC.Samples == nil {
		return nodes.Result{}, nodes.Errorf("KeyError", "conditioning stage B: the input stage_c has no samples")
	}
	return nodes.Out(n.Conditioning.With(map[string]any{"stable_cascade_prior": n.StageC.Samples})), nil
}
