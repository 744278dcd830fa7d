package latent

import (
	"comfygo/engine"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&EmptyMochiLatentVideo{})
}

// EmptyMochiLatentVideo makes empty video latents of Mochi.
type EmptyMochiLatentVideo struct {
	Width     int `in:"width" default:"848" min:"16" max:"16384" step:"16"`
	Height    int `in:"height" default:"480" min:"16" max:"16384" step:"16"`
	Length    int `in:"length" default:"25" min:"7" max:"16384" step:"6"`
	BatchSize int `in:"batch_size" default:"1" min:"1" max:"4096"`
}

// Spec implements nodes.Node.
func (*EmptyMochiLatentVideo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "EmptyMochiLatentVideo", Category: "model/latent/mochi",
		Module: "comfy_extras.nodes_mochi", V3: true,
		Outputs: nodes.Outputs("LATENT"),
		Uses:    nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*EmptyMochiLatentVideo) Sizes(s *nodes.Sizing) nodes.Images { return VideoSizes(s, "length") }

// Run implements nodes.Node.
func (n *EmptyMochiLatentVideo) Run(*nodes.Context) (nodes.Result, error) {
	return Empty("video latents", engine.Latent{}, n.BatchSize, 12, VideoFrames(n.Length, 6), n.Height/8, n.Width/8)
}
