package conditioning

import (
	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
	"comfygo/nodes/latent"
)

func init() {
	nodes.Register(&StableCascadeEmptyLatentImage{})
	nodes.Register(&StableCascadeStageBConditioning{})
	nodes.Register(&StableCascadeStageCVAEEncode{})
	nodes.Register(&StableCascadeSuperResolutionControlnet{})
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

// StableCascadeStageCVAEEncode encodes images for stage C.
type StableCascadeStageCVAEEncode struct {
	Image       *tensor.Tensor `in:"image" type:"IMAGE"`
	VAE         *engine.VAE    `in:"vae" type:"VAE"`
	Compression int            `in:"compression" advanced:"true" default:"42" min:"4" max:"128" step:"1"`
}

// Spec implements nodes.Node.
func (*StableCascadeStageCVAEEncode) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "StableCascade_StageC_VAEEncode", Category: "model/latent/stable cascade",
		Module: "comfy_extras.nodes_stable_cascade", V3: true,
		Description: "Encodes images to latents of stage C of Stable Cascade and makes empty latents of the same size for stage B.",
		Outputs:     []nodes.Output{{Type: "LATENT", Name: "stage_c"}, {Type: "LATENT", Name: "stage_b"}},
		Uses:        nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*StableCascadeStageCVAEEncode) Sizes(s *nodes.Sizing) nodes.Images {
	p := s.Kept()
	p.Exact = false // sides are rounded
	return p
}

// Run implements nodes.Node.
func (n *StableCascadeStageCVAEEncode) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := checkEncode(n.Image, n.VAE); err != nil {
		return nodes.Result{}, err
	}
	if n.Compression < 1 {
		return nodes.Result{}, nodes.Errorf("ZeroDivisionError", "encoding an image for stage C: the compression is %d", n.Compression)
	}
	height, width := n.Image.Dim(1), n.Image.Dim(2)
	h, w := height/n.Compression*n.VAE.Downscale(), width/n.Compression*n.VAE.Downscale()
	if h == 0 || w == 0 {
		return nodes.Result{}, nodes.Errorf("ValueError", "encoding an image for stage C: %dx%d pixels are less than a compression of %d", width, height, n.Compression)
	}
	scaled, err := imaging.UpscaleImage(n.Image, w, h, "bicubic", "center")
	if err != nil {
		return nodes.Result{}, err
	}
	c, err := n.VAE.Encode(ctx, scaled)
	if err != nil {
		return nodes.Result{}, err
	}
	b, err := latent.Empty("stage B latents", engine.Latent{}, c.Dim(0), 4, height/8*2, width/8*2)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(engine.Latent{Samples: c}, b.Values[0]), nil
}

// checkEncode fails without an image or a VAE.
func checkEncode(image *tensor.Tensor, vae *engine.VAE) error {
	switch {
	case vae == nil:
		return nodes.Errorf("AttributeError", "encoding an image: there is no VAE. A checkpoint without one was loaded; add a node that loads it from its own file")
	case image == nil || len(image.Shape) != 4 || image.Len() == 0 || image.Dim(3) < 3:
		return nodes.Errorf("ValueError", "encoding an image: the input image is not an image [batch, height, width, channels]")
	}
	return nil
}

// StableCascadeSuperResolutionControlnet prepares an image for the super-resolution ControlNet of Stable Cascade.
type StableCascadeSuperResolutionControlnet struct {
	Image *tensor.Tensor `in:"image" type:"IMAGE"`
	VAE   *engine.VAE    `in:"vae" type:"VAE"`
}

// Spec implements nodes.Node.
func (*StableCascadeSuperResolutionControlnet) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "StableCascade_SuperResolutionControlnet", Category: "experimental/stable cascade",
		Module: "comfy_extras.nodes_stable_cascade", V3: true, Experimental: true,
		Description: "Encodes an image as the input of the super-resolution ControlNet of Stable Cascade and makes empty latents of twice its size.",
		Outputs:     []nodes.Output{{Type: "IMAGE", Name: "controlnet_input"}, {Type: "LATENT", Name: "stage_c"}, {Type: "LATENT", Name: "stage_b"}},
		Uses:        nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*StableCascadeSuperResolutionControlnet) Sizes(s *nodes.Sizing) nodes.Images {
	const times = 2
	p := s.Kept().Times(times)
	p.Exact = false // sides are rounded
	return p
}

// Run implements nodes.Node. The ControlNet's input is a latent, channels last as images are.
func (n *StableCascadeSuperResolutionControlnet) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := checkEncode(n.Image, n.VAE); err != nil {
		return nodes.Result{}, err
	}
	batch, height, width := n.Image.Dim(0), n.Image.Dim(1), n.Image.Dim(2)
	z, err := n.VAE.Encode(ctx, n.Image)
	if err != nil {
		return nodes.Result{}, err
	}
	if len(z.Shape) != 4 {
		return nodes.Result{}, nodes.Errorf("ValueError", "encoding an image: the VAE makes latents of shape %v, those of videos; use the VAE of stage A", z.Shape)
	}
	c, err := latent.Empty("stage C latents", engine.Latent{}, batch, 16, height/16, width/16)
	if err != nil {
		return nodes.Result{}, err
	}
	b, err := latent.Empty("stage B latents", engine.Latent{}, batch, 4, height/2, width/2)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(channelsLast(z), c.Values[0], b.Values[0]), nil
}

// channelsLast returns [B,C,H,W] as [B,H,W,C].
func channelsLast(t *tensor.Tensor) *tensor.Tensor {
	b, c, cells := t.Dim(0), t.Dim(1), t.Dim(2)*t.Dim(3)
	out := tensor.New(b, t.Dim(2), t.Dim(3), c)
	for n := range b {
		for k := range c {
			for i := range cells {
				out.Data[(n*cells+i)*c+k] = t.Data[(n*c+k)*cells+i]
			}
		}
	}
	return out
}
