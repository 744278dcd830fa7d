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
	nodes.Register(&WanFunControlToVideo{})
	nodes.Register(&Wan22FunControlToVideo{})
	nodes.Register(&WanFunInpaintToVideo{})
	nodes.Register(&WanCameraImageToVideo{})
}

// WanFunControlToVideo gives conditionings of Wan 2.1 Fun Control a control video and the first frames.
type WanFunControlToVideo struct {
	Positive     engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative     engine.Conditioning `in:"negative" type:"CONDITIONING"`
	VAE          *engine.VAE         `in:"vae" type:"VAE"`
	Width        int                 `in:"width" default:"832" min:"16" max:"16384" step:"16"`
	Height       int                 `in:"height" default:"480" min:"16" max:"16384" step:"16"`
	Length       int                 `in:"length" default:"81" min:"1" max:"16384" step:"4"`
	BatchSize    int                 `in:"batch_size" default:"1" min:"1" max:"4096"`
	VisionOutput any                 `in:"clip_vision_output" type:"CLIP_VISION_OUTPUT" optional:"true"`
	StartImage   *tensor.Tensor      `in:"start_image" type:"IMAGE" optional:"true"`
	ControlVideo *tensor.Tensor      `in:"control_video" type:"IMAGE" optional:"true"`
}

// Spec implements nodes.Node.
func (*WanFunControlToVideo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "WanFunControlToVideo", Category: "model/conditioning/wan/fun control",
		Module: module, V3: true,
		Outputs: []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}, {Type: "LATENT", Name: "latent"}},
		Uses:    nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*WanFunControlToVideo) Sizes(s *nodes.Sizing) nodes.Images {
	return latent.VideoSizes(s, "length")
}

// Run implements nodes.Node.
func (n *WanFunControlToVideo) Run(ctx *nodes.Context) (nodes.Result, error) {
	c := canvas{n.VAE, n.Width, n.Height, n.Length}
	l, err := c.empty(n.BatchSize, 0)
	if err != nil {
		return nodes.Result{}, err
	}
	concat, err := c.controls(ctx, l.Samples.Shape, n.ControlVideo, n.StartImage)
	if err != nil {
		return nodes.Result{}, err
	}
	pos, neg := both(n.Positive, n.Negative, map[string]any{sampling.KeyConcatLatent: concat}, visionValue(n.VisionOutput))
	return nodes.Out(pos, neg, l), nil
}

// controls are a control video and, in the channels behind it, the first frames, both zero where they end.
func (c canvas) controls(ctx context.Context, shape []int, control, start *tensor.Tensor) (*tensor.Tensor, error) {
	concat, err := blank(shape, 2)
	if err != nil {
		return nil, err
	}
	for i, given := range []*tensor.Tensor{control, start} {
		if given == nil {
			continue
		}
		z, err := c.encoded(ctx, []string{"control_video", "start_image"}[i], given)
		if err == nil {
			err = lay(concat, z, i*shape[1])
		}
		if err != nil {
			return nil, err
		}
	}
	return concat, nil
}

// Wan22FunControlToVideo gives conditionings of Wan 2.2 Fun Control a control video and a reference image.
type Wan22FunControlToVideo struct {
	Positive     engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative     engine.Conditioning `in:"negative" type:"CONDITIONING"`
	VAE          *engine.VAE         `in:"vae" type:"VAE"`
	Width        int                 `in:"width" default:"832" min:"16" max:"16384" step:"16"`
	Height       int                 `in:"height" default:"480" min:"16" max:"16384" step:"16"`
	Length       int                 `in:"length" default:"81" min:"1" max:"16384" step:"4"`
	BatchSize    int                 `in:"batch_size" default:"1" min:"1" max:"4096"`
	RefImage     *tensor.Tensor      `in:"ref_image" type:"IMAGE" optional:"true"`
	ControlVideo *tensor.Tensor      `in:"control_video" type:"IMAGE" optional:"true"`
}

// Spec implements nodes.Node.
func (*Wan22FunControlToVideo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "Wan22FunControlToVideo", Category: "model/conditioning/wan/fun control",
		Module: module, V3: true,
		Outputs: []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}, {Type: "LATENT", Name: "latent"}},
		Uses:    nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*Wan22FunControlToVideo) Sizes(s *nodes.Sizing) nodes.Images {
	return latent.VideoSizes(s, "length")
}

// Run implements nodes.Node.
func (n *Wan22FunControlToVideo) Run(ctx *nodes.Context) (nodes.Result, error) {
	c := canvas{n.VAE, n.Width, n.Height, n.Length}
	if c.vae == nil {
		return nodes.Result{}, c.check("control_video", tensor.New(0))
	}
	l, err := c.emptyOf(n.BatchSize, c.vae.LatentChannels(), c.vae.Downscale(), 0)
	if err != nil {
		return nodes.Result{}, err
	}
	concat, err := c.controls(ctx, l.Samples.Shape, n.ControlVideo, nil)
	if err != nil {
		return nodes.Result{}, err
	}
	s := l.Samples.Shape
	mask, err := framesMask(s[2], s[3], s[4], func(int) bool { return false })
	if err != nil {
		return nodes.Result{}, err
	}
	pos, neg := both(n.Positive, n.Negative, map[string]any{
		sampling.KeyConcatLatent: concat, sampling.KeyConcatMask: mask, sampling.KeyConcatMaskIndex: s[1],
	})
	if n.RefImage != nil {
		if err := c.check("ref_image", n.RefImage); err != nil {
			return nodes.Result{}, err
		}
		ref, err := c.encoded(ctx, "ref_image", n.RefImage.Slice(0, 1))
		if err != nil {
			return nodes.Result{}, err
		}
		pos, neg = pos.Append(sampling.KeyReferences, []any{ref}), neg.Append(sampling.KeyReferences, []any{ref})
	}
	return nodes.Out(pos, neg, l), nil
}

// WanFunInpaintToVideo gives conditionings of Wan Fun Inpaint the first and the last frames of a video.
type WanFunInpaintToVideo struct {
	Positive     engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative     engine.Conditioning `in:"negative" type:"CONDITIONING"`
	VAE          *engine.VAE         `in:"vae" type:"VAE"`
	Width        int                 `in:"width" default:"832" min:"16" max:"16384" step:"16"`
	Height       int                 `in:"height" default:"480" min:"16" max:"16384" step:"16"`
	Length       int                 `in:"length" default:"81" min:"1" max:"16384" step:"4"`
	BatchSize    int                 `in:"batch_size" default:"1" min:"1" max:"4096"`
	VisionOutput any                 `in:"clip_vision_output" type:"CLIP_VISION_OUTPUT" optional:"true"`
	StartImage   *tensor.Tensor      `in:"start_image" type:"IMAGE" optional:"true"`
	EndImage     *tensor.Tensor      `in:"end_image" type:"IMAGE" optional:"true"`
}

// Spec implements nodes.Node.
func (*WanFunInpaintToVideo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "WanFunInpaintToVideo", Category: "model/conditioning/wan/fun inpaint",
		Module: module, V3: true,
		Outputs: []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}, {Type: "LATENT", Name: "latent"}},
		Uses:    nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*WanFunInpaintToVideo) Sizes(s *nodes.Sizing) nodes.Images {
	return latent.VideoSizes(s, "length")
}

// Run implements nodes.Node.
func (n *WanFunInpaintToVideo) Run(ctx *nodes.Context) (nodes.Result, error) {
	return between(ctx, canvas{n.VAE, n.Width, n.Height, n.Length}, n.BatchSize, n.Positive, n.Negative, n.StartImage, n.EndImage, n.VisionOutput)
}

// WanCameraImageToVideo adds the first frames of a video and the camera's path to conditionings of Wan Fun Camera.
type WanCameraImageToVideo struct {
	Positive         engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative         engine.Conditioning `in:"negative" type:"CONDITIONING"`
	VAE              *engine.VAE         `in:"vae" type:"VAE"`
	Width            int                 `in:"width" default:"832" min:"16" max:"16384" step:"16"`
	Height           int                 `in:"height" default:"480" min:"16" max:"16384" step:"16"`
	Length           int                 `in:"length" default:"81" min:"1" max:"16384" step:"4"`
	BatchSize        int                 `in:"batch_size" default:"1" min:"1" max:"4096"`
	VisionOutput     any                 `in:"clip_vision_output" type:"CLIP_VISION_OUTPUT" optional:"true"`
	StartImage       *tensor.Tensor      `in:"start_image" type:"IMAGE" optional:"true"`
	CameraConditions any                 `in:"camera_conditions" type:"WAN_CAMERA_EMBEDDING" optional:"true"`
}

// Spec implements nodes.Node.
func (*WanCameraImageToVideo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "WanCameraImageToVideo", Category: "model/conditioning/wan/camera",
		Module: module, V3: true,
		Outputs: []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}, {Type: "LATENT", Name: "latent"}},
		Uses:    nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*WanCameraImageToVideo) Sizes(s *nodes.Sizing) nodes.Images {
	return latent.VideoSizes(s, "length")
}

// Run implements nodes.Node.
func (n *WanCameraImageToVideo) Run(ctx *nodes.Context) (nodes.Result, error) {
	c := canvas{n.VAE, n.Width, n.Height, n.Length}
	l, err := c.empty(n.BatchSize, 0)
	if err != nil {
		return nodes.Result{}, err
	}
	pos, neg := n.Positive, n.Negative
	if n.StartImage != nil {
		z, err := c.encoded(ctx, "start_image", n.StartImage)
		if err != nil {
			return nodes.Result{}, err
		}
		s := l.Samples.Shape
		concat, err := blank(s, 1)
		if err == nil {
			err = lay(concat, z, 0)
		}
		if err != nil {
			return nodes.Result{}, err
		}
		given := min(n.StartImage.Dim(0), n.Length) + ratio - 1
		mask, err := framesMask(s[2], s[3], s[4], func(frame int) bool { return frame < given })
		if err != nil {
			return nodes.Result{}, err
		}
		pos, neg = both(pos, neg, map[string]any{sampling.KeyConcatLatent: concat, sampling.KeyConcatMask: mask})
	}
	if n.CameraConditions != nil {
		pos, neg = both(pos, neg, map[string]any{"camera_conditions": n.CameraConditions})
	}
	pos, neg = both(pos, neg, visionValue(n.VisionOutput))
	return nodes.Out(pos, neg, l), nil
}
