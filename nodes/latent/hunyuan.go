package latent

import (
	"comfygo/engine"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&EmptyHunyuanLatentVideo{})
	nodes.Register(&EmptyHunyuanVideo15Latent{})
	nodes.Register(&EmptyHunyuanImageLatent{})
	nodes.Register(&HunyuanRefinerLatent{})
}

// EmptyHunyuanLatentVideo makes empty video latents of HunyuanVideo and Wan 2.1.
type EmptyHunyuanLatentVideo struct {
	Width     int `in:"width" default:"848" min:"16" max:"16384" step:"16"`
	Height    int `in:"height" default:"480" min:"16" max:"16384" step:"16"`
	Length    int `in:"length" default:"25" min:"1" max:"16384" step:"4"`
	BatchSize int `in:"batch_size" default:"1" min:"1" max:"4096"`
}

// Spec implements nodes.Node.
func (*EmptyHunyuanLatentVideo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "EmptyHunyuanLatentVideo", DisplayName: "Empty HunyuanVideo 1.0 Latent", Category: "model/latent/hunyuan video",
		Module: "comfy_extras.nodes_hunyuan", V3: true,
		Outputs: nodes.Outputs("LATENT"),
		Uses:    nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*EmptyHunyuanLatentVideo) Sizes(s *nodes.Sizing) nodes.Images { return VideoSizes(s, "length") }

// Run implements nodes.Node.
func (n *EmptyHunyuanLatentVideo) Run(*nodes.Context) (nodes.Result, error) {
	return Empty("video latents", engine.Latent{DownscaleRatio: 8}, n.BatchSize, 16, VideoFrames(n.Length, 4), n.Height/8, n.Width/8)
}

// EmptyHunyuanVideo15Latent makes empty video latents of HunyuanVideo 1.5.
type EmptyHunyuanVideo15Latent struct {
	Width     int `in:"width" default:"848" min:"16" max:"16384" step:"16"`
	Height    int `in:"height" default:"480" min:"16" max:"16384" step:"16"`
	Length    int `in:"length" default:"25" min:"1" max:"16384" step:"4"`
	BatchSize int `in:"batch_size" default:"1" min:"1" max:"4096"`
}

// Spec implements nodes.Node.
func (*EmptyHunyuanVideo15Latent) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "EmptyHunyuanVideo15Latent", DisplayName: "Empty HunyuanVideo 1.5 Latent", Category: "model/latent/hunyuan video",
		Module: "comfy_extras.nodes_hunyuan", V3: true,
		Outputs: nodes.Outputs("LATENT"),
		Uses:    nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*EmptyHunyuanVideo15Latent) Sizes(s *nodes.Sizing) nodes.Images { return VideoSizes(s, "length") }

// Run implements nodes.Node.
func (n *EmptyHunyuanVideo15Latent) Run(*nodes.Context) (nodes.Result, error) {
	return Empty("video latents", engine.Latent{DownscaleRatio: 16}, n.BatchSize, 32, VideoFrames(n.Length, 4), n.Height/16, n.Width/16)
}

// EmptyHunyuanImageLatent makes empty latents of HunyuanImage.
type EmptyHunyuanImageLatent struct {
	Width     int `in:"width" default:"2048" min:"64" max:"16384" step:"32"`
	Height    int `in:"height" default:"2048" min:"64" max:"16384" step:"32"`
	BatchSize int `in:"batch_size" default:"1" min:"1" max:"4096"`
}

// Spec implements nodes.Node.
func (*EmptyHunyuanImageLatent) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "EmptyHunyuanImageLatent", Category: "model/latent/hunyuan image",
		Module: "comfy_extras.nodes_hunyuan", V3: true,
		Outputs: nodes.Outputs("LATENT"),
		Uses:    nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*EmptyHunyuanImageLatent) Sizes(s *nodes.Sizing) nodes.Images { return imageSizes(s) }

// Run implements nodes.Node.
func (n *EmptyHunyuanImageLatent) Run(*nodes.Context) (nodes.Result, error) {
	return Empty("latents", engine.Latent{}, n.BatchSize, 64, n.Height/32, n.Width/32)
}

// HunyuanRefinerLatent sets up the refiner of HunyuanImage for a latent.
type HunyuanRefinerLatent struct {
	Positive          engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative          engine.Conditioning `in:"negative" type:"CONDITIONING"`
	Latent            engine.Latent       `in:"latent" type:"LATENT"`
	NoiseAugmentation float64             `in:"noise_augmentation" advanced:"true" default:"0.1" min:"0.0" max:"1.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*HunyuanRefinerLatent) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "HunyuanRefinerLatent", DisplayName: "Hunyuan Latent Refiner", Category: "model/conditioning/hunyuan video",
		Module: "comfy_extras.nodes_hunyuan", V3: true,
		Outputs: []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}, {Type: "LATENT", Name: "latent"}},
		Uses:    nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*HunyuanRefinerLatent) Sizes(s *nodes.Sizing) nodes.Images { return s.Kept() }

// Run implements nodes.Node.
func (n *HunyuanRefinerLatent) Run(*nodes.Context) (nodes.Result, error) {
	s := n.Latent.Samples
	if s == nil || len(s.Shape) < 4 {
		return nodes.Result{}, nodes.Errorf("IndexError", "preparing the refiner: the latent has no time axis")
	}
	values := map[string]any{"concat_latent_image": s, "noise_augmentation": n.NoiseAugmentation}
	const channels = 32
	dims := append([]int{s.Shape[0], channels}, s.Shape[len(s.Shape)-3:]...)
	empty, err := Empty("latents", engine.Latent{}, dims...)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(n.Positive.With(values), n.Negative.With(values), empty.Values[0]), nil
}
