package wan

import (
	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/nodes"
	"comfygo/nodes/latent"
)

func init() { nodes.Register(&ARVideoI2V{}) }

// ARVideoI2V has a causal model begin a video with an image.
type ARVideoI2V struct {
	Model      *engine.Model  `in:"model" type:"MODEL"`
	VAE        *engine.VAE    `in:"vae" type:"VAE"`
	StartImage *tensor.Tensor `in:"start_image" type:"IMAGE"`
	Width      int            `in:"width" default:"832" min:"16" max:"8192" step:"16"`
	Height     int            `in:"height" default:"480" min:"16" max:"8192" step:"16"`
	Length     int            `in:"length" default:"81" min:"1" max:"1024" step:"4"`
	BatchSize  int            `in:"batch_size" default:"1" min:"1" max:"64"`
}

// Spec implements nodes.Node.
func (*ARVideoI2V) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ARVideoI2V", Category: "model/conditioning/autoregressive", V3: true, Module: "comfy_extras.nodes_ar_video",
		Outputs: nodes.Outputs("MODEL", "LATENT"),
		Uses:    nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*ARVideoI2V) Sizes(s *nodes.Sizing) nodes.Images { return latent.VideoSizes(s, "length") }

// Run implements nodes.Node.
func (n *ARVideoI2V) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, nodes.Errorf("AttributeError", "beginning a video with an image: there is no model")
	}
	c := canvas{n.VAE, n.Width, n.Height, n.Length}
	if err := c.check("start_image", n.StartImage); err != nil {
		return nodes.Result{}, err
	}
	z, err := c.encoded(ctx, "start_image", n.StartImage.Slice(0, 1))
	if err != nil {
		return nodes.Result{}, err
	}
	l, err := c.empty(n.BatchSize, 0)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(n.Model.WithOption(sampling.OptionBeginning, z), l), nil
}
