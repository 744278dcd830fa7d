package conditioning

import (
	"fmt"

	"comfygo/engine"
	"comfygo/engine/family"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
	"comfygo/nodes/latent"
)

const moduleHunyuan = "comfy_extras.nodes_hunyuan"

func init() {
	nodes.Register(&HunyuanVideo15ImageToVideo{})
	nodes.Register(&HunyuanVideo15SuperResolution{})
	nodes.Register(&HunyuanImageToVideo{})
	nodes.Register(&TextEncodeHunyuanVideoImage{})
}

// startFrames encodes start images in a size to a video latent [1,C,T,h,w] and returns the number of images.
func startFrames(ctx *nodes.Context, vae *engine.VAE, images *tensor.Tensor, most, width, height int) (z *tensor.Tensor, frames int, err error) {
	switch {
	case vae == nil:
		return nil, 0, nodes.Errorf("AttributeError", "encoding the start images: there is no VAE: connect the VAE of the model")
	case len(images.Shape) != 4 || images.Dim(3) < 3 || images.Len() == 0:
		return nil, 0, nodes.Errorf("ValueError", "encoding the start images: start_image has shape %v, wanted pixels of three channels", images.Shape)
	}
	images = images.Slice(0, min(images.Dim(0), most))
	pixels, err := imaging.UpscaleImage(images, width, height, "bilinear", "center")
	if err != nil {
		return nil, 0, fmt.Errorf("encoding the start images: %w", err)
	}
	if z, err = vae.Encode(ctx, pixels); err != nil {
		return nil, 0, err
	}
	if len(z.Shape) != 5 {
		return nil, 0, nodes.Errorf("ValueError", "encoding the start images: the VAE makes latents of shape %v, which are no videos: connect the VAE of the model", z.Shape)
	}
	return z, images.Dim(0), nil
}

// putFrames copies the frames of one video z [1,c,t,h,w] to channels [at, at+c) of each row of x [B,C,T,h,w], up to the number of x's
// frames.
func putFrames(x, z *tensor.Tensor, at int) error {
	if z.Dim(3) != x.Dim(3) || z.Dim(4) != x.Dim(4) || at+z.Dim(1) > x.Dim(1) || z.Dim(2) > x.Dim(2) {
		return nodes.Errorf("RuntimeError", "putting start images into a video latent: their latent has shape %v, the video's %v", z.Shape, x.Shape)
	}
	size := x.Dim(3) * x.Dim(4)
	for b := range x.Dim(0) {
		for c := range z.Dim(1) {
			copy(x.Data[(b*x.Dim(1)+at+c)*x.Dim(2)*size:], z.Data[c*z.Dim(2)*size:(c+1)*z.Dim(2)*size])
		}
	}
	return nil
}

// toMake returns a mask [1,1,T,h,w] of ones, with zeros in the first latent frames, to which the given number of frames were encoded.
func toMake(shape []int, frames int) *tensor.Tensor {
	const ratio = 4
	mask := tensor.New(1, 1, shape[2], shape[3], shape[4])
	for i := latent.VideoFrames(frames, ratio) * shape[3] * shape[4]; i < len(mask.Data); i++ {
		mask.Data[i] = 1
	}
	return mask
}

// HunyuanVideo15ImageToVideo gives conditionings of HunyuanVideo 1.5 the first frames of a video.
type HunyuanVideo15ImageToVideo struct {
	Positive   engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative   engine.Conditioning `in:"negative" type:"CONDITIONING"`
	VAE        *engine.VAE         `in:"vae" type:"VAE"`
	Width      int                 `in:"width" default:"848" min:"16" max:"16384" step:"16"`
	Height     int                 `in:"height" default:"480" min:"16" max:"16384" step:"16"`
	Length     int                 `in:"length" default:"33" min:"1" max:"16384" step:"4"`
	BatchSize  int                 `in:"batch_size" default:"1" min:"1" max:"4096"`
	StartImage *tensor.Tensor      `in:"start_image" type:"IMAGE" optional:"true"`
	Vision     any                 `in:"clip_vision_output" type:"CLIP_VISION_OUTPUT" optional:"true"`
}

// Spec implements nodes.Node.
func (*HunyuanVideo15ImageToVideo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "HunyuanVideo15ImageToVideo", Category: "model/conditioning/hunyuan video", Module: moduleHunyuan, V3: true, Uses: nodes.UsesDevice,
		Outputs: []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}, {Type: "LATENT", Name: "latent"}},
	}
}

// Sizes implements nodes.Sizer.
func (*HunyuanVideo15ImageToVideo) Sizes(s *nodes.Sizing) nodes.Images {
	return latent.VideoSizes(s, "length")
}

// Run implements nodes.Node.
func (n *HunyuanVideo15ImageToVideo) Run(ctx *nodes.Context) (nodes.Result, error) {
	const ratio, cell, channels = 4, 16, 32
	empty, err := latent.Empty("video latents", engine.Latent{}, n.BatchSize, channels, latent.VideoFrames(n.Length, ratio), n.Height/cell, n.Width/cell)
	if err != nil {
		return nodes.Result{}, err
	}
	video, _ := empty.Values[0].(engine.Latent)
	values := map[string]any{}
	if n.StartImage != nil {
		z, frames, err := startFrames(ctx, n.VAE, n.StartImage, n.Length, n.Width, n.Height)
		if err != nil {
			return nodes.Result{}, err
		}
		image := tensor.New(video.Samples.Shape...)
		if err := putFrames(image, z, 0); err != nil {
			return nodes.Result{}, err
		}
		values[sampling.KeyConcatLatent], values[sampling.KeyConcatMask] = image, toMake(image.Shape, frames)
	}
	if n.Vision != nil {
		values[sampling.KeyVisionOutput] = n.Vision
	}
	return nodes.Out(n.Positive.With(values), n.Negative.With(values), video), nil
}

// HunyuanVideo15SuperResolution gives conditionings of the super-resolution of HunyuanVideo 1.5 the video that is upscaled.
type HunyuanVideo15SuperResolution struct {
	Positive   engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative   engine.Conditioning `in:"negative" type:"CONDITIONING"`
	VAE        *engine.VAE         `in:"vae" type:"VAE" optional:"true"`
	StartImage *tensor.Tensor      `in:"start_image" type:"IMAGE" optional:"true"`
	Vision     any                 `in:"clip_vision_output" type:"CLIP_VISION_OUTPUT" optional:"true"`
	Latent     engine.Latent       `in:"latent" type:"LATENT"`
	Noise      float64             `in:"noise_augmentation" default:"0.70" min:"0.0" max:"1.0" step:"0.01" advanced:"true"`
}

// Spec implements nodes.Node.
func (*HunyuanVideo15SuperResolution) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "HunyuanVideo15SuperResolution", DisplayName: "Hunyuan Video 1.5 Super Resolution", Category: "model/conditioning/hunyuan video", Module: moduleHunyuan, V3: true, Uses: nodes.UsesDevice,
		Outputs: []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}, {Type: "LATENT", Name: "latent"}},
	}
}

// Sizes implements nodes.Sizer.
func (*HunyuanVideo15SuperResolution) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node.
func (n *HunyuanVideo15SuperResolution) Run(ctx *nodes.Context) (nodes.Result, error) {
	const cell = 16
	s := n.Latent.Samples
	if s == nil || len(s.Shape) != 5 || s.Len() == 0 {
		return nodes.Result{}, nodes.Errorf("ValueError", "preparing the upscaling: the input latent is no video latent [batch, channels, frames, height, width]")
	}
	channels, size := s.Dim(1), tensor.Count(s.Shape[2:])
	if err := imaging.CheckSize("latent", s.Dim(0), 2*channels+2, s.Dim(2), s.Dim(3), s.Dim(4)); err != nil {
		return nodes.Result{}, err
	}
	both := tensor.New(s.Dim(0), 2*channels+2, s.Dim(2), s.Dim(3), s.Dim(4))
	for b := range s.Dim(0) {
		row := both.Index(b).Data
		copy(row[(channels+1)*size:], s.Index(b).Data)
		for i := (2*channels + 1) * size; i < len(row); i++ {
			row[i] = 1
		}
	}
	if n.StartImage != nil {
		z, _, err := startFrames(ctx, n.VAE, n.StartImage, n.StartImage.Dim(0), s.Dim(4)*cell, s.Dim(3)*cell)
		if err != nil {
			return nodes.Result{}, err
		}
		if err := putFrames(both, z, 0); err != nil {
			return nodes.Result{}, err
		}
		for b := range s.Dim(0) { // upstream marks the first channel of the latent, not the mask
			row := both.Index(b).Data[(channels+1)*size:]
			for i := range s.Dim(3) * s.Dim(4) {
				row[i] = 1
			}
		}
	}
	values := map[string]any{sampling.KeyConcatLatent: both, sampling.KeyNoiseAugment: n.Noise}
	if n.Vision != nil {
		values[sampling.KeyVisionOutput] = n.Vision
	}
	return nodes.Out(n.Positive.With(values), n.Negative.With(values), n.Latent), nil
}

// HunyuanImageToVideo gives a conditioning of HunyuanVideo the first frames of a video.
type HunyuanImageToVideo struct {
	Positive   engine.Conditioning `in:"positive" type:"CONDITIONING"`
	VAE        *engine.VAE         `in:"vae" type:"VAE"`
	Width      int                 `in:"width" default:"848" min:"16" max:"16384" step:"16"`
	Height     int                 `in:"height" default:"480" min:"16" max:"16384" step:"16"`
	Length     int                 `in:"length" default:"53" min:"1" max:"16384" step:"4"`
	BatchSize  int                 `in:"batch_size" default:"1" min:"1" max:"4096"`
	Guidance   string              `in:"guidance_type" options:"v1 (concat)|v2 (replace)|custom" advanced:"true"`
	StartImage *tensor.Tensor      `in:"start_image" type:"IMAGE" optional:"true"`
}

// Spec implements nodes.Node.
func (*HunyuanImageToVideo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "HunyuanImageToVideo", Category: "model/conditioning/hunyuan video", Module: moduleHunyuan, V3: true, Uses: nodes.UsesDevice,
		Outputs: []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "LATENT", Name: "latent"}},
	}
}

// Sizes implements nodes.Sizer.
func (*HunyuanImageToVideo) Sizes(s *nodes.Sizing) nodes.Images {
	return latent.VideoSizes(s, "length")
}

// Run implements nodes.Node.
func (n *HunyuanImageToVideo) Run(ctx *nodes.Context) (nodes.Result, error) {
	const ratio, cell, channels = 4, 8, 16
	empty, err := latent.Empty("video latents", engine.Latent{}, n.BatchSize, channels, latent.VideoFrames(n.Length, ratio), n.Height/cell, n.Width/cell)
	if err != nil {
		return nodes.Result{}, err
	}
	video, _ := empty.Values[0].(engine.Latent)
	if n.StartImage == nil {
		return nodes.Out(n.Positive, engine.Latent{Samples: video.Samples}), nil
	}
	z, frames, err := startFrames(ctx, n.VAE, n.StartImage, n.Length, n.Width, n.Height)
	if err != nil {
		return nodes.Result{}, err
	}
	out := engine.Latent{Samples: video.Samples}
	mask := toMake(out.Samples.Shape, frames)
	var values map[string]any
	switch n.Guidance {
	case "v2 (replace)":
		if err := putFrames(out.Samples, z, 0); err != nil {
			return nodes.Result{}, err
		}
		values, out.NoiseMask = map[string]any{sampling.KeyGuidingFrame: 0}, mask
	case "custom":
		values = map[string]any{sampling.KeyRefLatent: z}
	default:
		values = map[string]any{sampling.KeyConcatLatent: z, sampling.KeyConcatMask: mask}
	}
	return nodes.Out(n.Positive.With(values), out), nil
}

// TextEncodeHunyuanVideoImage encodes a prompt about an image.
type TextEncodeHunyuanVideoImage struct {
	CLIP             *engine.CLIP `in:"clip" type:"CLIP"`
	ClipVisionOutput any          `in:"clip_vision_output" type:"CLIP_VISION_OUTPUT"`
	Prompt           string       `in:"prompt" multiline:"true" dynamicPrompts:"true"`
	ImageInterleave  int          `in:"image_interleave" default:"2" min:"1" max:"512" advanced:"true" tooltip:"Every how many-th token of the image is kept beside the prompt: larger numbers give the prompt more weight."`
}

// Spec implements nodes.Node.
func (*TextEncodeHunyuanVideoImage) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "TextEncodeHunyuanVideo_ImageToVideo", Category: "model/conditioning/hunyuan video",
		Module: moduleHunyuan, V3: true,
		Outputs: nodes.Outputs("CONDITIONING"), Uses: nodes.UsesDevice,
	}
}

// videoOfImage is the template that the model was trained with for prompts about an image; its wording must not change.
const videoOfImage = "<|start_header_id|>system<|end_header_id|>\n\n<image>\nDescribe the video by detailing the following aspects according to the reference image: " +
	"1. The main content and theme of the video." +
	"2. The color, shape, size, texture, quantity, text, and spatial relationships of the objects." +
	"3. Actions, events, behaviors temporal relationships, physical movement changes of the objects." +
	"4. background environment, light, style and atmosphere." +
	"5. camera angles, movements, and transitions used in the video:<|eot_id|>\n\n" +
	"<|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|>" +
	"<|start_header_id|>assistant<|end_header_id|>\n\n"

// Run implements nodes.Node.
func (n *TextEncodeHunyuanVideoImage) Run(ctx *nodes.Context) (nodes.Result, error) {
	vision, ok := n.ClipVisionOutput.(family.ImageEncoding)
	if !ok || vision.Projected == nil {
		return nodes.Result{}, nodes.Errorf("AttributeError", "encoding a prompt about an image: clip_vision_output holds no image tokens for the text encoder: encode the image by a CLIP vision model with a projector, such as that of LLaVA Llama 3")
	}
	c, err := encodePrompt(ctx, n.CLIP, engine.Prompt{Text: n.Prompt, Template: videoOfImage, Vectors: vision.Projected, Interleave: n.ImageInterleave})
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(c), nil
}
