package latent

import (
	"comfygo/engine"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&EmptyCosmosLatentVideo{})
}

// EmptyCosmosLatentVideo makes empty video latents of Cosmos.
type EmptyCosmosLatentVideo struct {
	Width     int `in:"width" default:"1280" min:"16" max:"16384" step:"16"`
	Height    int `in:"height" default:"704" min:"16" max:"16384" step:"16"`
	Length    int `in:"length" default:"121" min:"1" max:"16384" step:"8"`
	BatchSize int `in:"batch_size" default:"1" min:"1" max:"4096"`
}

// Spec implements nodes.Node.
func (*EmptyCosmosLatentVideo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "EmptyCosmosLatentVideo", Category: "model/latent/cosmos",
		Module: "comfy_extras.nodes_cosmos", V3: true,
		Outputs: nodes.Outputs("LATENT"),
		Uses:    nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*EmptyCosmosLatentVideo) Sizes(s *nodes.Sizing) nodes.Images { return videoSizes(s, "length") }

// Run implements nodes.Node.
func (n *EmptyCosmosLatentVideo) Run(*nodes.Context) (nodes.Result, error) {
	return Empty("video latents", engine.Latent{}, n.BatchSize, 16, videoFrames(n.Length, 8), n.Height/8, n.Width/8)
}
