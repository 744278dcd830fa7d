package wan

import (
	"context"

	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/nodes"
	"comfygo/nodes/latent"
)

func init() {
	nodes.Register(&WanImageToVideo{})
	nodes.Register(&WanFirstLastFrameToVideo{})
	nodes.Register(&Wan22ImageToVideoLatent{})
}

// WanImageToVideo gives conditionings of Wan the first frames of a video.
type WanImageToVideo struct {
	Positive     engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative     engine.Conditioning `in:"negative" type:"CONDITIONING"`
	VAE          *engine.VAE         `in:"vae" type:"VAE"`
	Width        int                 `in:"width" default:"832" min:"16" max:"16384" step:"16"`
	Height       int                 `in:"height" default:"480" min:"16" max:"16384" step:"16"`
	Length       int                 `in:"length" default:"81" min:"1" max:"16384" step:"4"`
	BatchSize    int                 `in:"batch_size" default:"1" min:"1" max:"4096"`
	VisionOutput any                 `in:"clip_vision_output" type:"CLIP_VISION_OUTPUT" optional:"true"`
	StartImage   *tensor.Tensor      `in:"start_image" type:"IMAGE" optional:"true"`
}

// Spec implements nodes.Node.
func (*WanImageToVideo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "WanImageToVideo", Category: "model/conditioning/wan",
		Module: module, V3: true,
		Outputs: []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}, {Type: "LATENT", Name: "latent"}},
		Uses:    nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*WanImageToVideo) Sizes(s *nodes.Sizing) nodes.Images { return latent.VideoSizes(s, "length") }

// Run implements nodes.Node.
func (n *WanImageToVideo) Run(ctx *nodes.Context) (nodes.Result, error) {
	return fromImage(ctx, canvas{n.VAE, n.Width, n.Height, n.Length}, n.BatchSize, n.Positive, n.Negative, n.StartImage, n.VisionOutput)
}

// fromImage gives conditionings the first frames of a video, the others are gray.
func fromImage(ctx *nodes.Context, c canvas, rows int, pos, neg engine.Conditioning, start *tensor.Tensor, vision any) (nodes.Result, error) {
	l, err := c.empty(rows, 0)
	if err != nil {
		return nodes.Result{}, err
	}
	values, err := startValues(ctx, c, start, l.Samples)
	if err != nil {
		return nodes.Result{}, err
	}
	pos, neg = both(pos, neg, values, visionValue(vision))
	return nodes.Out(pos, neg, l), nil
}

// startValues encode first frames, with a mask of one value a frame of the latent.
func startValues(ctx context.Context, c canvas, start, z *tensor.Tensor) (map[string]any, error) {
	if start == nil {
		return nil, nil
	}
	first, err := c.first("start_image", start)
	if err != nil {
		return nil, err
	}
	video, err := c.gray(c.length)
	if err != nil {
		return nil, err
	}
	copy(video.Data, first.Data)
	image, err := c.encode(ctx, video)
	if err != nil {
		return nil, err
	}
	t, size := z.Dim(2), image.Dim(3)*image.Dim(4)
	mask := tensor.New(1, 1, t, image.Dim(3), image.Dim(4))
	for i := latent.VideoFrames(first.Dim(0), ratio) * size; i < len(mask.Data); i++ {
		mask.Data[i] = 1
	}
	return map[string]any{sampling.KeyConcatLatent: image, sampling.KeyConcatMask: mask}, nil
}

// WanFirstLastFrameToVideo gives conditionings of Wan the first and the last frames of a video.
type WanFirstLastFrameToVideo struct {
	Positive         engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative         engine.Conditioning `in:"negative" type:"CONDITIONING"`
	VAE              *engine.VAE         `in:"vae" type:"VAE"`
	Width            int                 `in:"width" default:"832" min:"16" max:"16384" step:"16"`
	Height           int                 `in:"height" default:"480" min:"16" max:"16384" step:"16"`
	Length           int                 `in:"length" default:"81" min:"1" max:"16384" step:"4"`
	BatchSize        int                 `in:"batch_size" default:"1" min:"1" max:"4096"`
	VisionStartImage any                 `in:"clip_vision_start_image" type:"CLIP_VISION_OUTPUT" optional:"true"`
	VisionEndImage   any                 `in:"clip_vision_end_image" type:"CLIP_VISION_OUTPUT" optional:"true"`
	StartImage       *tensor.Tensor      `in:"start_image" type:"IMAGE" optional:"true"`
	EndImage         *tensor.Tensor      `in:"end_image" type:"IMAGE" optional:"true"`
}

// Spec implements nodes.Node.
func (*WanFirstLastFrameToVideo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "WanFirstLastFrameToVideo", Category: "model/conditioning/wan",
		Module: module, V3: true,
		Outputs: []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}, {Type: "LATENT", Name: "latent"}},
		Uses:    nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*WanFirstLastFrameToVideo) Sizes(s *nodes.Sizing) nodes.Images {
	return latent.VideoSizes(s, "length")
}

// Run implements nodes.Node.
func (n *WanFirstLastFrameToVideo) Run(ctx *nodes.Context) (nodes.Result, error) {
	vision, err := joined(n.VisionStartImage, n.VisionEndImage)
	if err != nil {
		return nodes.Result{}, err
	}
	return between(ctx, canvas{n.VAE, n.Width, n.Height, n.Length}, n.BatchSize, n.Positive, n.Negative, n.StartImage, n.EndImage, vision)
}

// between adds the first and the last frames of a video, each of which is optional, to conditionings.
func between(ctx *nodes.Context, c canvas, rows int, pos, neg engine.Conditioning, start, end *tensor.Tensor, vision any) (nodes.Result, error) {
	if c.vae == nil {
		return nodes.Result{}, c.check("the frames", tensor.New(0))
	}
	l, err := c.emptyOf(rows, c.vae.LatentChannels(), c.vae.Downscale(), 0)
	if err != nil {
		return nodes.Result{}, err
	}
	video, err := c.gray(c.length)
	if err != nil {
		return nodes.Result{}, err
	}
	first, last := 0, 0
	if start != nil {
		frames, err := c.first("start_image", start)
		if err != nil {
			return nodes.Result{}, err
		}
		copy(video.Data, frames.Data)
		first = frames.Dim(0)
	}
	if end != nil {
		if err := c.check("end_image", end); err != nil {
			return nodes.Result{}, err
		}
		frames, err := c.scaled("end_image", end.Slice(max(end.Dim(0)-c.length, 0), end.Dim(0)), "bilinear")
		if err != nil {
			return nodes.Result{}, err
		}
		last = frames.Dim(0)
		copy(video.Data[len(video.Data)-len(frames.Data):], frames.Data)
	}
	image, err := c.encode(ctx, video)
	if err != nil {
		return nodes.Result{}, err
	}
	s := l.Samples.Shape
	mask, err := framesMask(s[2], s[3], s[4], func(frame int) bool {
		return start != nil && frame < first+ratio-1 || frame >= s[2]*ratio-last
	})
	if err != nil {
		return nodes.Result{}, err
	}
	pos, neg = both(pos, neg, map[string]any{sampling.KeyConcatLatent: image, sampling.KeyConcatMask: mask}, visionValue(vision))
	return nodes.Out(pos, neg, l), nil
}

// Wan22ImageToVideoLatent makes video latents of Wan 2.2 5B that begin with given frames.
type Wan22ImageToVideoLatent struct {
	VAE        *engine.VAE    `in:"vae" type:"VAE"`
	Width      int            `in:"width" default:"1280" min:"32" max:"16384" step:"32"`
	Height     int            `in:"height" default:"704" min:"32" max:"16384" step:"32"`
	Length     int            `in:"length" default:"49" min:"1" max:"16384" step:"4"`
	BatchSize  int            `in:"batch_size" default:"1" min:"1" max:"4096"`
	StartImage *tensor.Tensor `in:"start_image" type:"IMAGE" optional:"true"`
}

// Spec implements nodes.Node.
func (*Wan22ImageToVideoLatent) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "Wan22ImageToVideoLatent", Category: "model/conditioning/wan",
		Module: module, V3: true,
		Outputs: nodes.Outputs("LATENT"),
		Uses:    nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*Wan22ImageToVideoLatent) Sizes(s *nodes.Sizing) nodes.Images {
	return latent.VideoSizes(s, "length")
}

// Run implements nodes.Node. Without frames the latent is empty, and one row as upstream has it.
func (n *Wan22ImageToVideoLatent) Run(ctx *nodes.Context) (nodes.Result, error) {
	const channels, cell = 48, 16
	c := canvas{n.VAE, n.Width, n.Height, n.Length}
	rows := n.BatchSize
	if n.StartImage == nil {
		rows = 1
	}
	l, err := c.emptyOf(rows, channels, cell, 0)
	if err != nil || n.StartImage == nil {
		return nodes.Out(l), err
	}
	z, err := c.encoded(ctx, "start_image", n.StartImage)
	if err != nil {
		return nodes.Result{}, err
	}
	if l.Samples, err = blank(l.Samples.Shape, 1); err != nil {
		return nodes.Result{}, err
	}
	if err := lay(l.Samples, z, 0); err != nil {
		return nodes.Result{}, err
	}
	s := l.Samples.Shape
	l.NoiseMask = tensor.New(s[0], 1, s[2], s[3], s[4])
	for row := range s[0] {
		to := l.NoiseMask.Index(row).Data
		for i := min(z.Dim(2)*s[3]*s[4], len(to)); i < len(to); i++ {
			to[i] = 1
		}
	}
	return nodes.Out(l), nil
}
