package inpaint

import (
	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&VAEEncodeForInpaint{})
	nodes.Register(&InpaintModelConditioning{})
	nodes.Register(&InstructPixToPixConditioning{})
}

// VAEEncodeForInpaint encodes an image to a latent whose masked part a sampler generates anew.
type VAEEncodeForInpaint struct {
	Pixels *tensor.Tensor `in:"pixels" type:"IMAGE"`
	VAE    *engine.VAE    `in:"vae" type:"VAE"`
	Mask   *tensor.Tensor `in:"mask" type:"MASK"`
	GrowBy int            `in:"grow_mask_by" default:"6" min:"0" max:"64" step:"1"`
}

// Spec implements nodes.Node.
func (*VAEEncodeForInpaint) Spec() nodes.Spec {
	return nodes.Spec{Name: "VAEEncodeForInpaint", DisplayName: "VAE Encode (for Inpainting)", Category: "model/latent", Outputs: nodes.Outputs("LATENT")}
}

func (*VAEEncodeForInpaint) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node. The noise mask is larger than the greyed part, which hides the seam.
func (n *VAEEncodeForInpaint) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.VAE == nil {
		return nodes.Result{}, errNoVAE()
	}
	m, err := fit(n.Pixels, n.Mask, n.VAE.Downscale())
	if err != nil {
		return nodes.Result{}, err
	}
	grey, err := m.greyed()
	if err != nil {
		return nodes.Result{}, err
	}
	z, err := encode(ctx, n.VAE, grey)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(engine.Latent{Samples: z, NoiseMask: noiseMask(grown(m.mask, n.GrowBy))}), nil
}

// cell is the grid that images for models with further input channels are cut to.
const cell = 8

// InpaintModelConditioning gives a model made for inpainting the image with the masked part greyed, and the mask.
type InpaintModelConditioning struct {
	Positive  engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative  engine.Conditioning `in:"negative" type:"CONDITIONING"`
	VAE       *engine.VAE         `in:"vae" type:"VAE"`
	Pixels    *tensor.Tensor      `in:"pixels" type:"IMAGE"`
	Mask      *tensor.Tensor      `in:"mask" type:"MASK"`
	NoiseMask bool                `in:"noise_mask" default:"true" tooltip:"Lets the sampler change the masked part only. Some models do better with it, others fail."`
}

// Spec implements nodes.Node.
func (*InpaintModelConditioning) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "InpaintModelConditioning", DisplayName: "InpaintModelConditioning", Category: "model/conditioning",
		Outputs: []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}, {Type: "LATENT", Name: "latent"}},
	}
}

func (*InpaintModelConditioning) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node.
func (n *InpaintModelConditioning) Run(ctx *nodes.Context) (nodes.Result, error) {
	m, err := fit(n.Pixels, n.Mask, cell)
	if err != nil {
		return nodes.Result{}, err
	}
	grey, err := m.greyed()
	if err != nil {
		return nodes.Result{}, err
	}
	beside, err := encode(ctx, n.VAE, grey)
	if err != nil {
		return nodes.Result{}, err
	}
	start, err := encode(ctx, n.VAE, n.Pixels)
	if err != nil {
		return nodes.Result{}, err
	}
	latent := engine.Latent{Samples: start}
	mask := noiseMask(m.mask)
	if n.NoiseMask {
		latent.NoiseMask = mask
	}
	values := map[string]any{sampling.KeyConcatLatent: beside, sampling.KeyConcatMask: mask}
	return nodes.Out(n.Positive.With(values), n.Negative.With(values), latent), nil
}

// InstructPixToPixConditioning gives a model made for editing the image to edit.
type InstructPixToPixConditioning struct {
	Positive engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative engine.Conditioning `in:"negative" type:"CONDITIONING"`
	VAE      *engine.VAE         `in:"vae" type:"VAE"`
	Pixels   *tensor.Tensor      `in:"pixels" type:"IMAGE"`
}

// Spec implements nodes.Node.
func (*InstructPixToPixConditioning) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "InstructPixToPixConditioning", Category: "model/conditioning/instructpix2pix", Module: "comfy_extras.nodes_ip2p", V3: true,
		Outputs: []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}, {Type: "LATENT", Name: "latent"}},
	}
}

func (*InstructPixToPixConditioning) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node. The latent to start from is empty.
func (n *InstructPixToPixConditioning) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := checkPixels(n.Pixels); err != nil {
		return nodes.Result{}, err
	}
	pixels := cutToGrid(n.Pixels, cell)
	z, err := encode(ctx, n.VAE, pixels)
	if err != nil {
		return nodes.Result{}, err
	}
	values := map[string]any{sampling.KeyConcatLatent: z}
	return nodes.Out(n.Positive.With(values), n.Negative.With(values), engine.Latent{Samples: tensor.New(z.Shape...)}), nil
}
