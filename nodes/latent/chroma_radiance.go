package latent

import (
	"comfygo/engine"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&EmptyChromaRadianceLatentImage{})
}

// EmptyChromaRadianceLatentImage makes empty images for Chroma Radiance, which works on pixels.
type EmptyChromaRadianceLatentImage struct {
	Width     int `in:"width" default:"1024" min:"16" max:"16384" step:"16"`
	Height    int `in:"height" default:"1024" min:"16" max:"16384" step:"16"`
	BatchSize int `in:"batch_size" default:"1" min:"1" max:"4096"`
}

// Spec implements nodes.Node.
func (*EmptyChromaRadianceLatentImage) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "EmptyChromaRadianceLatentImage", Category: "model/latent/chroma radiance",
		Module: "comfy_extras.nodes_chroma_radiance", V3: true,
		Outputs: nodes.Outputs("LATENT"),
		Uses:    nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*EmptyChromaRadianceLatentImage) Sizes(s *nodes.Sizing) nodes.Images { return imageSizes(s) }

// Run implements nodes.Node.
func (n *EmptyChromaRadianceLatentImage) Run(*nodes.Context) (nodes.Result, error) {
	return Empty("images", engine.Latent{}, n.BatchSize, 3, n.Height, n.Width)
}
