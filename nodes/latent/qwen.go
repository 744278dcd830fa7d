package latent

import (
	"comfygo/engine"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&EmptyQwenImageLayeredLatentImage{})
}

// EmptyQwenImageLayeredLatentImage makes empty latents of Qwen-Image for an image of several layers.
type EmptyQwenImageLayeredLatentImage struct {
	Width     int `in:"width" default:"640" min:"16" max:"16384" step:"16"`
	Height    int `in:"height" default:"640" min:"16" max:"16384" step:"16"`
	Layers    int `in:"layers" default:"3" min:"0" max:"16384" step:"1"`
	BatchSize int `in:"batch_size" default:"1" min:"1" max:"4096" tooltip:"Number of latents."`
}

// Spec implements nodes.Node.
func (*EmptyQwenImageLayeredLatentImage) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "EmptyQwenImageLayeredLatentImage", DisplayName: "Empty Qwen Image Layered Latent", Category: "model/latent/qwen",
		Module: "comfy_extras.nodes_qwen", V3: true,
		Outputs: nodes.Outputs("LATENT"),
		Uses:    nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*EmptyQwenImageLayeredLatentImage) Sizes(s *nodes.Sizing) nodes.Images {
	p := VideoSizes(s, "layers")
	p.Count += max(1, s.Number("batch_size")) // the composed image
	return p
}

// Run implements nodes.Node.
func (n *EmptyQwenImageLayeredLatentImage) Run(*nodes.Context) (nodes.Result, error) {
	return Empty("latents", engine.Latent{}, n.BatchSize, 16, n.Layers+1, n.Height/8, n.Width/8)
}
