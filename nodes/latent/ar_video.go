package latent

import (
	"comfygo/engine"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&EmptyARVideoLatent{})
}

// EmptyARVideoLatent makes empty video latents for autoregressive sampling.
type EmptyARVideoLatent struct {
	Width     int `in:"width" default:"832" min:"16" max:"8192" step:"16"`
	Height    int `in:"height" default:"480" min:"16" max:"8192" step:"16"`
	Length    int `in:"length" default:"81" min:"1" max:"1024" step:"4"`
	BatchSize int `in:"batch_size" default:"1" min:"1" max:"64"`
}

// Spec implements nodes.Node.
func (*EmptyARVideoLatent) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "EmptyARVideoLatent", Category: "model/latent/autoregressive",
		Module: "comfy_extras.nodes_ar_video", V3: true,
		Outputs: nodes.Outputs("LATENT"),
		Uses:    nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*EmptyARVideoLatent) Sizes(s *nodes.Sizing) nodes.Images { return VideoSizes(s, "length") }

// Run implements nodes.Node.
func (n *EmptyARVideoLatent) Run(*nodes.Context) (nodes.Result, error) {
	return Empty("video latents", engine.Latent{}, n.BatchSize, 16, VideoFrames(n.Length, 4), n.Height/8, n.Width/8)
}
