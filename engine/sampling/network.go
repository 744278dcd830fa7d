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

// Spread is implemented by networks that may be on several devices: the conditioning entries of a step are shared out to them, and run there at
// once.
type Spread interface {
	Network
	// Devices lists the network on each of its devices, the network itself first. Their predictions are the same.
	Devices() []Network
}

// Sequential is implemented by values of run options whose effect depends on the order of the calls of a run: they are made one after another.
type Sequential interface{ Sequential() }

// Keeper is implemented by networks that are given something else than the noised latent where a noise mask protects it.
type Keeper interface {
	// Kept returns the network's input at sigma for a protected latent, both in the network's space, or nil, which means the
	// latent at that sigma. Upstream: BaseModel.scale_latent_inpaint.
	Kept(sigma float32, latent *tensor.Tensor) *tensor.Tensor
}

// PartsKeeper is a Keeper for nested latents, whose substitute depends on the noise and on the noise mask.
type PartsKeeper interface {
	// KeptParts returns the network's input where the noise mask protects the latent, or nil, which means the latent at its sigma.
	KeptParts(k Kept) (*tensor.Tensor, error)
}

// Kept is what a noise mask protects of a nested latent: packed tensors of one shape in the network's space, and the shapes of their parts.
type Kept struct {
	Sigma float32
	// X is the noisy latent at Sigma, Latent the start without noise, Noise the noise of the run and Mask its noise mask.
	X, Latent, Noise, Mask *tensor.Tensor
	Parts                  [][]int
	Model                  *ModelSampling
}

// LatentFormat relates the VAE's latents to those that the network reads. Upstream: comfy.latent_formats.
type LatentFormat struct {
	// Channels of a latent.
	Channels int
	// Scale and Shift: the network reads (latent - Shift)*Scale.
	Scale, Shift float32
	// Downscale is the factor between the sizes of image and latent.
	Downscale int
	// Temporal is the factor between the samples of audio and latent values in time; 0 for latents whose length is never changed.
	Temporal int
	// Video reports that latents have a time axis: [B,C,T,H,W].
	Video bool
	// Line reports that latents have one axis, time, as those of audio: [B,C,L].
	Line bool
	// Mean and Deviation, when set, have one value a channel: the network reads (latent - Mean)*Scale/Deviation.
	Mean, Deviation []float32
	// RGB, when set, has a row per channel: the red, green and blue factors of the network's latent. RGBBias is added. Previews
	// use both.
	RGB     [][3]float32
	RGBBias [3]float32
	// TinyVAE, when set, is how the name of the small decoder's file in models/vae_approx begins.
	TinyVAE string
	// Along, when set, returns the shapes of the further parts of nested latents whose first part has the given shape: empty latents without
	// these parts get them.
	Along func(first []int) [][]int
	// Paired reports that two frames of the VAE's latent, the first of which is doubled, are the channels of one frame.
	Paired bool
}

// In returns a VAE's latent as the network reads it.
func (f LatentFormat) In(x *tensor.Tensor) *tensor.Tensor {
	if f.Paired && len(x.Shape) == 5 && x.Dim(2)%2 == 1 {
		x = pairFrames(x)
	}
	if f.Mean == nil {
		return apply(x, func(v float32) float32 { return (v - f.Shift) * f.Scale })
	}
	return f.channels(x, func(v, mean, deviation float32) float32 { return float32((v-mean)*f.Scale) / deviation })
}

// Out is the inverse of In.
func (f LatentFormat) Out(x *tensor.Tensor) *tensor.Tensor {
	if f.Paired && len(x.Shape) == 5 && x.Dim(1)%2 == 0 {
		x = splitFrames(x)
	}
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

// pairFrames puts frames 2i-1 and 2i of x [B,C,T,h,w] into the channels of one, the first frame twice: [B,2·C,(T+1)/2,h,w].
func pairFrames(x *tensor.Tensor) *tensor.Tensor {
	c, t, size := x.Dim(1), x.Dim(2), x.Dim(3)*x.Dim(4)
	out := tensor.New(x.Dim(0), 2*c, (t+1)/2, x.Dim(3), x.Dim(4))
	for b := range x.Dim(0) {
		for k := range 2 * c {
			for f := range (t + 1) / 2 {
				from := max(2*f-1+k/c, 0)
				copy(out.Data[((b*2*c+k)*((t+1)/2)+f)*size:], x.Data[((b*c+k%c)*t+from)*size:][:size])
			}
		}
	}
	return out
}

// splitFrames is the inverse of pairFrames.
func splitFrames(x *tensor.Tensor) *tensor.Tensor {
	c, t, size := x.Dim(1)/2, x.Dim(2), x.Dim(3)*x.Dim(4)
	out := tensor.New(x.Dim(0), c, 2*t-1, x.Dim(3), x.Dim(4))
	for b := range x.Dim(0) {
		for k := range c {
			for f := range 2*t - 1 {
				at := f + 1
				copy(out.Data[((b*c+k)*(2*t-1)+f)*size:], x.Data[((b*2*c+at%2*c+k)*t+at/2)*size:][:size])
			}
		}
	}
	return out
}
