package sampling

import (
	"context"

	"comfygo/engine/tensor"
)

// Network is a denoising network.
type Network interface {
	// Predict runs the network once: x is [N,C,H,W] (or of more dimensions for video) after ModelSampling.Input, t holds a
	// timestep for each row, the result is the raw prediction in the shape of x.
	Predict(ctx context.Context, x *tensor.Tensor, t []float32, in Inputs) (*tensor.Tensor, error)
}

// Inputs are the conditions of one run of a network. Each is nil or has N rows.
type Inputs struct {
	// Context is the text encoding [N,tokens,width].
	Context *tensor.Tensor
	// Y is the vector [N,width] of models with a label embedding.
	Y *tensor.Tensor
	// Concat are channels [N,C',H,W] that the network reads beside x.
	Concat *tensor.Tensor
	// Control, when set, is the rows' Cond.Control; Sigma is their noise level and Entries how many entries' rows they are.
	Control any
	Sigma   float32
	Entries int
	// Parts, when set, says that x holds packed rows of a nested latent: the shapes of the parts, to Unpack it by.
	Parts [][]int
	// Options are the run's Params.Options, for networks that know them.
	Options map[string]any
}

// LatentFormat relates the VAE's latents to those that the network reads. Upstream: comfy.latent_formats.
type LatentFormat struct {
	// Channels of a latent.
	Channels int
	// Scale and Shift: the network reads (latent - Shift)*Scale.
	Scale, Shift float32
	// Downscale is the factor between the sizes of picture and latent.
	Downscale int
	// Video says that latents have a time axis: [B,C,T,H,W].
	Video bool
	// Mean and Deviation, when set, have one value a channel: the network reads (latent - Mean)*Scale/Deviation.
	Mean, Deviation []float32
	// RGB, when set, has a row a channel: how much red, green and blue a value of the network's latent gives. RGBBias is
	// added. Previews are made with them.
	RGB     [][3]float32
	RGBBias [3]float32
	// TinyVAE, when set, is how the name of the small decoder's file in models/vae_approx begins.
	TinyVAE string
}

// SD15Latent is the latent format of Stable Diffusion 1.x and 2.x.
var SD15Latent = LatentFormat{
	Channels: 4, Scale: 0.18215, Downscale: 8, TinyVAE: "taesd_decoder",
	RGB: [][3]float32{{0.3512, 0.2297, 0.3227}, {0.3250, 0.4974, 0.2350}, {-0.2829, 0.1762, 0.2721}, {-0.2120, -0.2616, -0.7177}},
}

// Playground25Latent is the latent format of Playground v2.5.
var Playground25Latent = LatentFormat{
	Channels: 4, Scale: 0.5, Downscale: 8,
	Mean: []float32{-1.6574, 1.886, -1.383, 2.5155}, Deviation: []float32{8.4927, 5.9022, 6.5498, 5.2299}, TinyVAE: "taesdxl_decoder",
	RGB: [][3]float32{{0.3920, 0.4054, 0.4549}, {-0.2634, -0.0196, 0.0653}, {0.0568, 0.1687, -0.0755}, {-0.3112, -0.2359, -0.2076}},
}

// In returns a VAE's latent as the network reads it.
func (f LatentFormat) In(x *tensor.Tensor) *tensor.Tensor {
	if f.Mean == nil {
		return apply(x, func(v float32) float32 { return (v - f.Shift) * f.Scale })
	}
	return f.channels(x, func(v, mean, deviation float32) float32 { return float32((v-mean)*f.Scale) / deviation })
}

// Out is the inverse of In.
func (f LatentFormat) Out(x *tensor.Tensor) *tensor.Tensor {
	if f.Mean == nil {
		return apply(x, func(v float32) float32 { return v/f.Scale + f.Shift })
	}
	return f.channels(x, func(v, mean, deviation float32) float32 { return float32(v*deviation)/f.Scale + mean })
}

// channels applies a function with each channel's mean and deviation.
func (f LatentFormat) channels(x *tensor.Tensor, fn func(v, mean, deviation float32) float32) *tensor.Tensor {
	out := like(x)
	cells := tensor.Count(x.Shape[2:])
	for i, v := range x.Data {
		c := min(i/cells%x.Shape[1], len(f.Mean)-1)
		out.Data[i] = fn(v, f.Mean[c], f.Deviation[c])
	}
	return out
}

// Concat says which channels a network reads beside the latent.
type Concat int

// The kinds of additional channels.
const (
	// ConcatNone is an ordinary network.
	ConcatNone Concat = iota
	// ConcatInpaint is a mask and the latent of the masked picture (9 channels in all for Stable Diffusion).
	ConcatInpaint
	// ConcatEdit is the latent of the picture to edit (InstructPix2Pix, 8 channels in all).
	ConcatEdit
)
