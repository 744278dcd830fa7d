package conditioning

import (
	"fmt"

	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
	"comfygo/nodes/latent"
)

const moduleKandinsky5 = "comfy_extras.nodes_kandinsky5"

func init() {
	nodes.Register(&Kandinsky5ImageToVideo{})
	nodes.Register(&CLIPTextEncodeKandinsky5{})
}

// Kandinsky5ImageToVideo gives conditionings of Kandinsky 5 the first frames of a video.
type Kandinsky5ImageToVideo struct {
	Positive   engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative   engine.Conditioning `in:"negative" type:"CONDITIONING"`
	VAE        *engine.VAE         `in:"vae" type:"VAE"`
	Width      int                 `in:"width" default:"768" min:"16" max:"16384" step:"16"`
	Height     int                 `in:"height" default:"512" min:"16" max:"16384" step:"16"`
	Length     int                 `in:"length" default:"121" min:"1" max:"16384" step:"4"`
	BatchSize  int                 `in:"batch_size" default:"1" min:"1" max:"4096"`
	StartImage *tensor.Tensor      `in:"start_image" type:"IMAGE" optional:"true"`
}

// Spec implements nodes.Node.
func (*Kandinsky5ImageToVideo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "Kandinsky5ImageToVideo", Category: "model/conditioning/kandinsky", Module: moduleKandinsky5, V3: true,
		Outputs: []nodes.Output{
			{Type: "CONDITIONING", Name: "positive"},
			{Type: "CONDITIONING", Name: "negative"},
			{Type: "LATENT", Name: "latent", Tooltip: "An empty video latent."},
			{Type: "LATENT", Name: "cond_latent", Tooltip: "The encoded start images, without noise, to replace the start of the sampled latents with."},
		},
		Uses: nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*Kandinsky5ImageToVideo) Sizes(s *nodes.Sizing) nodes.Images {
	return latent.VideoSizes(s, "length")
}

// Run implements nodes.Node.
func (n *Kandinsky5ImageToVideo) Run(ctx *nodes.Context) (nodes.Result, error) {
	const ratio, cell, channels = 4, 8, 16
	empty, err := latent.Empty("video latents", engine.Latent{}, n.BatchSize, channels, latent.VideoFrames(n.Length, ratio), n.Height/cell, n.Width/cell)
	if err != nil {
		return nodes.Result{}, err
	}
	video, _ := empty.Values[0].(engine.Latent)
	if n.StartImage == nil {
		return nodes.Out(n.Positive, n.Negative, video, engine.Latent{}), nil
	}
	encoded, frames, err := n.start(ctx)
	if err != nil {
		return nodes.Result{}, err
	}
	shape := video.Samples.Shape
	mask := tensor.New(1, 1, shape[2], shape[3], shape[4])
	for i := range mask.Data {
		if i >= latent.VideoFrames(frames, ratio)*shape[3]*shape[4] {
			mask.Data[i] = 1
		}
	}
	values := map[string]any{"time_dim_replace": encoded, sampling.KeyConcatMask: mask}
	return nodes.Out(n.Positive.With(values), n.Negative.With(values), video, engine.Latent{Samples: encoded}), nil
}

// start encodes the start images and returns their number.
func (n *Kandinsky5ImageToVideo) start(ctx *nodes.Context) (encoded *tensor.Tensor, frames int, err error) {
	if n.VAE == nil {
		return nil, 0, nodes.Errorf("ValueError", "encoding the start images: there is no VAE")
	}
	if len(n.StartImage.Shape) != 4 || n.StartImage.Dim(3) < 3 || n.StartImage.Len() == 0 {
		return nil, 0, nodes.Errorf("ValueError", "encoding the start images: start_image has shape %v, wanted pixels of three channels", n.StartImage.Shape)
	}
	images := n.StartImage.Slice(0, min(n.StartImage.Dim(0), n.Length))
	if images, err = imaging.UpscaleImage(images, n.Width, n.Height, "bilinear", "center"); err != nil {
		return nil, 0, fmt.Errorf("encoding the start images: %w", err)
	}
	encoded, err = n.VAE.Encode(ctx, images)
	return encoded, images.Dim(0), err
}

// CLIPTextEncodeKandinsky5 encodes a prompt for each of Kandinsky 5's text encoders.
type CLIPTextEncodeKandinsky5 struct {
	CLIP     *engine.CLIP `in:"clip" type:"CLIP"`
	TextL    string       `in:"clip_l" multiline:"true" dynamicPrompts:"true"`
	TextQwen string       `in:"qwen25_7b" multiline:"true" dynamicPrompts:"true"`
}

// Spec implements nodes.Node.
func (*CLIPTextEncodeKandinsky5) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CLIPTextEncodeKandinsky5", DisplayName: "CLIP Text Encode (Kandinsky 5)", Category: "model/conditioning/kandinsky",
		Module: moduleKandinsky5, V3: true, Outputs: nodes.Outputs("CONDITIONING"), Uses: nodes.UsesDevice,
		SearchAliases: []string{"kandinsky prompt"},
	}
}

// Run implements nodes.Node.
func (n *CLIPTextEncodeKandinsky5) Run(ctx *nodes.Context) (nodes.Result, error) {
	c, err := encodeEach(ctx, n.CLIP, map[string]string{"clip_l": n.TextL, "qwen25_7b": n.TextQwen})
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(c), nil
}
