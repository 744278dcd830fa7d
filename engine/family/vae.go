package family

import (
	"context"
	"fmt"

	"comfygo/engine/tensor"
	"comfygo/engine/torchrand"
	"comfygo/engine/weights"
)

// VAE is a family of VAEs.
type VAE interface {
	Family
	// Read reads a VAE's config. src shows the VAE's tensors without the prefix of a checkpoint. It returns nil if the file
	// holds none of this family.
	Read(src weights.Source) (Autoencoder, error)
}

// Autoencoder is a VAE that was read from a file: it decodes latents to images or video frames and encodes them.
type Autoencoder interface {
	// Info describes the latents.
	Info() VAEInfo
	// Decode decodes one latent [1,C,h,w] to [1,3,H,W], or one video latent [1,C,T,h,w] to [T',3,H,W], in the range that
	// VAEInfo.Output reads.
	Decode(ctx context.Context, run Runner, z *tensor.Tensor) (*tensor.Tensor, error)
	// Encode encodes one image [1,3,H,W] in -1…1 to [1,C,h,w], or the frames [T,3,H,W] of one video to [1,C,T',h,w]. The
	// result is the mean of the posterior.
	Encode(ctx context.Context, run Runner, x *tensor.Tensor) (*tensor.Tensor, error)
	// DecodeMemory estimates the bytes of activations for decoding one latent of shape [1,C,axes…], EncodeMemory for
	// encoding images of shape [T,3,H,W].
	DecodeMemory(latent []int) int64
	EncodeMemory(pixels []int) int64
	// Weights lists the sources of the networks' tensors.
	Weights() []weights.Source
}

// Sequential is implemented by VAEs of images that decode the rows of a latent as the frames of one video.
type Sequential interface {
	Autoencoder
	// DecodeSequence decodes latents [T,C,h,w] and calls frame with each decoded frame [1,3,H,W] once, in order.
	DecodeSequence(ctx context.Context, run Runner, z *tensor.Tensor, frame func(i int, y *tensor.Tensor)) error
	// SequenceMemory estimates the bytes that decoding latents of shape [T,C,h,w] takes, on the device and on the host.
	SequenceMemory(latent []int) int64
}

// Normalized is implemented by VAEs that normalise each channel of a latent to mean zero and standard deviation one.
type Normalized interface {
	Autoencoder
	// Statistics are the mean and the deviation of each channel before that.
	Statistics() (mean, deviation []float32)
}

// Streamed is implemented by VAEs of videos that decode in chunks, whose memory does not grow with the number of frames.
type Streamed interface {
	Autoencoder
	// DecodeStream decodes a video latent [1,C,T,h,w] and calls emit with the frames [T',3,H,W] of each chunk, in order.
	DecodeStream(ctx context.Context, run Runner, z *tensor.Tensor, emit func(frames *tensor.Tensor) error) error
}

// Volumetric is implemented by VAEs of 3D shapes.
type Volumetric interface {
	Autoencoder
	// DecodeVolume decodes a latent [1,C,L] to a volume [N,N,N] of N = resolution + 1 values in 0…1 along each axis, of which those above a half lie
	// inside the shape. At most the given number of points are computed together.
	DecodeVolume(ctx context.Context, run Runner, z *tensor.Tensor, resolution, points int) (*tensor.Tensor, error)
}

// Splatter is implemented by VAEs that decode latents to Gaussian splats.
type Splatter interface {
	Autoencoder
	// PerPoint is the number of Gaussians that each point of the decoder gives.
	PerPoint() int
	// DecodeSplats decodes latents [B,L,C] to about the given number of Gaussians each, a multiple of PerPoint, of points that lie in the cells of an octree of
	// the given depth, MostDepth at most. random draws them.
	DecodeSplats(ctx context.Context, run Runner, z *tensor.Tensor, gaussians, depth int, random *torchrand.Generator) ([]Splats, error)
	// MostDepth is the depth of the octree that the network was trained with.
	MostDepth() int
	// SplatMemory estimates the bytes of activations of a call for latents of L vectors.
	SplatMemory(length, gaussians int) int64
}

// Splats are Gaussians in the space of viewers, y up: positions and scales [N,3], rotations [N,4] as quaternions w, x, y, z, opacities [N] in 0…1, and
// colors [N,3] as coefficients of the constant spherical harmonic.
type Splats struct{ Positions, Scales, Rotations, Opacities, Colors []float32 }

// Collect decodes a video latent [1,C,T,h,w] to all its frames [T',3,H,W]; see Autoencoder.Decode.
func Collect(ctx context.Context, run Runner, v Streamed, z *tensor.Tensor) (*tensor.Tensor, error) {
	var out *tensor.Tensor
	err := v.DecodeStream(ctx, run, z, func(frames *tensor.Tensor) error {
		if out == nil {
			out = &tensor.Tensor{Shape: append([]int{0}, frames.Shape[1:]...)}
		}
		out.Shape[0] += frames.Dim(0)
		out.Data = append(out.Data, frames.Data...)
		return nil
	})
	if err == nil && out == nil {
		err = fmt.Errorf("decoding a latent of shape %v: it has no frames", z.Shape)
	}
	return out, err
}

// VAEInfo describes the latents of a VAE.
type VAEInfo struct {
	// Channels is the number of channels of a latent.
	Channels int
	// Downscale is the number of pixels per latent cell along one side.
	Downscale int
	// Pixels is the number of channels of images, 0 for three; images without the fourth one are opaque.
	Pixels int
	// Upscale, when set, is the number of pixels per latent cell along one side of decoded images, where it is not Downscale.
	Upscale int
	// CanEncode and CanDecode are false for files that hold only half of the VAE.
	CanEncode, CanDecode bool
	// Video reports that latents have a time axis: [B,C,T,h,w].
	Video bool
	// Apart reports that each of several images is encoded as a video of one frame.
	Apart bool
	// Pace is the number of frames per latent frame after the first one, 0 for VAEs of images.
	Pace int
	// Frames returns the number of decoded frames of a latent of n frames; nil for VAEs of images.
	Frames func(n int) int
	// Output maps a decoded value to 0…1; nil is for networks that decode to -1…1, whose values are clamped.
	Output func(v float32) float32
	// Approximate reports that it approximates a VAE, at lower quality.
	Approximate bool
	// Audio, when set, reports that it is a VAE of audio: Decode converts one latent [1,C,axes…] to audio [1,C,T], Encode the other
	// way round.
	Audio *AudioInfo
	// Untiled reports that the network takes latents of any size whole.
	Untiled bool
	// Volume reports that it is a VAE of 3D shapes: it implements Volumetric or Splatter and decodes latents by that alone.
	Volume bool
	// Uncropped reports that it encodes images of any size itself: they are not cut to the latent grid.
	Uncropped bool
	// InnerRamps reports that tiles of videos hold all frames and are blended by cosines, at the sides only where a neighbour is.
	InnerRamps bool
}

// AudioInfo describes the audio of a VAE.
type AudioInfo struct {
	// Channels is the number of audio channels, Rate the sample rate that is encoded in Hz, Hop the number of samples per latent value.
	Channels, Rate, Hop int
	// OutputRate is the sample rate of decoded audio, where it is another one.
	OutputRate int
	// Bins, when set, is the number of frequencies of latents [B,C,L,bins], of which there are PerSecond along L.
	Bins      int
	PerSecond float64
}

// Fitted returns audio [B,·,T] with the given number of channels, repeating the last one if there are fewer, cropped around its
// middle to whole latent values.
func (a *AudioInfo) Fitted(x *tensor.Tensor) *tensor.Tensor {
	n := x.Dim(2) / a.Hop * a.Hop
	skip := x.Dim(2) % a.Hop / 2
	out := tensor.New(x.Dim(0), a.Channels, n)
	for b := range x.Dim(0) {
		for c := range a.Channels {
			copy(out.Index(b).Data[c*n:(c+1)*n], x.Index(b).Data[min(c, x.Dim(1)-1)*x.Dim(2)+skip:])
		}
	}
	return out
}

// PixelChannels is the number of channels of images.
func (i VAEInfo) PixelChannels() int {
	if i.Pixels == 0 {
		return 3
	}
	return i.Pixels
}

// Approximate is implemented by VAE families that approximate other VAEs, which the names of their files state.
type Approximate interface {
	VAE
	// Names lists the names of those whose halves are stored in two files, NAME_encoder and NAME_decoder.
	Names() []string
	// Join returns the VAE called name from its two files.
	Join(name string, encoder, decoder weights.Source) (Autoencoder, error)
	// Preview returns a VAE that decodes latents with the given number of channels as the diffusion model reads them, or nil if
	// the file holds no decoder of this family.
	Preview(decoder weights.Source, channels int) (Autoencoder, error)
}
