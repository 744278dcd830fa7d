package wan

import (
	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/nodes"
	"comfygo/nodes/latent"
)

func init() {
	nodes.Register(&WanPhantomSubjectToVideo{})
}

// WanPhantomSubjectToVideo gives conditionings of Wan the subjects of a video (Phantom).
type WanPhantomSubjectToVideo struct {
	Positive  engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative  engine.Conditioning `in:"negative" type:"CONDITIONING"`
	VAE       *engine.VAE         `in:"vae" type:"VAE"`
	Width     int                 `in:"width" default:"832" min:"16" max:"16384" step:"16"`
	Height    int                 `in:"height" default:"480" min:"16" max:"16384" step:"16"`
	Length    int                 `in:"length" default:"81" min:"1" max:"16384" step:"4"`
	BatchSize int                 `in:"batch_size" default:"1" min:"1" max:"4096"`
	Images    *tensor.Tensor      `in:"images" type:"IMAGE" optional:"true"`
}

// Spec implements nodes.Node.
func (*WanPhantomSubjectToVideo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "WanPhantomSubjectToVideo", Category: "model/conditioning/wan/phantom subject",
		Module: module, V3: true,
		Outputs: []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative_text"}, {Type: "CONDITIONING", Name: "negative_img_text"}, {Type: "LATENT", Name: "latent"}},
		Uses:    nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*WanPhantomSubjectToVideo) Sizes(s *nodes.Sizing) nodes.Images {
	return latent.VideoSizes(s, "length")
}

// Run implements nodes.Node.
func (n *WanPhantomSubjectToVideo) Run(ctx *nodes.Context) (nodes.Result, error) {
	c := canvas{n.VAE, n.Width, n.Height, n.Length}
	l, err := c.empty(n.BatchSize, 0)
	if err != nil {
		return nodes.Result{}, err
	}
	if n.Images == nil {
		return nodes.Out(n.Positive, n.Negative, n.Negative, l), nil
	}
	frames, err := c.first("images", n.Images)
	if err != nil {
		return nodes.Result{}, err
	}
	var subjects, none *tensor.Tensor
	for i := range frames.Dim(0) {
		z, err := c.encode(ctx, frames.Slice(i, i+1))
		if err != nil {
			return nodes.Result{}, err
		}
		if subjects == nil {
			shape := append([]int{1, z.Dim(1), frames.Dim(0)}, z.Shape[3:]...)
			subjects = tensor.New(shape...)
			if none, err = blank(shape, 1); err != nil {
				return nodes.Result{}, err
			}
		}
		size := z.Dim(3) * z.Dim(4)
		for ch := range z.Dim(1) {
			copy(subjects.Index(0).Index(ch).Data[i*size:], z.Index(0).Index(ch).Data[:size])
		}
	}
	given := map[string]any{sampling.KeyTimeConcat: subjects}
	return nodes.Out(n.Positive.With(given), n.Negative.With(given), n.Negative.With(map[string]any{sampling.KeyTimeConcat: none}), l), nil
}
