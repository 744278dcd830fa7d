package latent

import (
	"comfygo/engine"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&EmptySD3LatentImage{})
}

// EmptySD3LatentImage makes empty latents of Stable Diffusion 3 and Flux.
type EmptySD3LatentImage struct {
	Width     int `in:"width" default:"1024" min:"16" max:"16384" step:"16"`
	Height    int `in:"height" default:"1024" min:"16" max:"16384" step:"16"`
	BatchSize int `in:"batch_size" default:"1" min:"1" max:"4096"`
}

// Spec implements nodes.Node.
func (*EmptySD3LatentImage) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "EmptySD3LatentImage", Category: "model/latent/stable diffusion",
		Module: "comfy_extras.nodes_sd3", V3: true,
		Outputs: nodes.Outputs("LATENT"),
		Uses:    nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*EmptySD3LatentImage) Sizes(s *nodes.Sizing) nodes.Images { return imageSizes(s) }

// Run implements nodes.Node.
func (n *EmptySD3LatentImage) Run(*nodes.Context) (nodes.Result, error) {
	return Empty("Stable Diffusion 3 latents", engine.Latent{DownscaleRatio: 8}, n.BatchSize, 16, n.Height/8, n.Width/8)
}
