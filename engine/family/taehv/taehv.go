// Package taehv is the family of TAEHV, small approximations of the VAEs of video models
// (https://github.com/madebyollin/taehv). Latents are [B,C,T,h,w].
package taehv

import (
	"context"
	"fmt"
	"strconv"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/taesd"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

func (kind) Name() string { return "TAEHV" }
func (kind) Rank() int    { return 10 }

// Config describes a TAEHV.
type Config struct {
	// LatentChannels is the number of channels of a latent.
	LatentChannels int
	// Scale leads from a VAE's latents to the network's.
	Scale float32
	// Patch is the side of the squares of pixels that its networks take for one.
	Patch int
	// Shrink and Grow are the factors by which each of the three levels of the encoder and the decoder changes the number of
	// frames.
	Shrink, Grow [3]int
	// Leaky reports that its activations have a slope of 0.2 below zero.
	Leaky bool
}

// The places of the layers that change the number of frames, in a torch Sequential.
var (
	poolLayers = [3]int{2, 7, 12}
	growLayers = [3]int{7, 13, 19}
)

// MiniMax H3's videos are coded in pieces; its latents are identified by their number of channels.
const (
	minimaxChannels = 24
	minimaxFrames   = 17 // of a piece of video
	minimaxLead     = 3  // frames before a piece
	minimaxLatents  = 5  // of a piece
)

// Read implements family.VAE. The two halves of a TAEHV are stored in one file.
func (kind) Read(src weights.Source) (family.Autoencoder, error) {
	first, ok := src.Lookup("decoder.1.weight")
	last, found := src.Lookup("decoder.22.bias")
	if _, whole := src.Lookup("encoder.17.weight"); !ok || !found || !whole || len(first.Shape) != 4 || len(last.Shape) != 1 {
		return nil, nil
	}
	c := Config{LatentChannels: first.Shape[1], Scale: 1, Patch: 1}
	for c.Patch < 4 && 3*c.Patch*c.Patch < last.Shape[0] {
		c.Patch *= 2
	}
	v := &VAE{encoder: weights.Sub(src, "encoder."), decoder: weights.Sub(src, "decoder.")}
	for i := range 3 {
		c.Shrink[i] = ratioOf(v.encoder, poolLayers[i], 1)
		c.Grow[i] = ratioOf(v.decoder, growLayers[i], 0)
	}
	c.Leaky = c.LatentChannels == 32 // that of HunyuanVideo 1.5
	if c.LatentChannels == 16 && first.DType == dtype.F16 {
		c.Scale = 0.476986 // VAE of HunyuanVideo; the others are stored wider and need none
	}
	if c.Leaky {
		c.Scale = 1.03682
	}
	v.Config = c
	return v, nil
}

// ratioOf returns the ratio of a 1x1 convolution's channels: the axis divided by the other one.
func ratioOf(half weights.Source, layer, axis int) int {
	e, ok := half.Lookup(strconv.Itoa(layer) + ".conv.weight")
	if !ok || len(e.Shape) != 4 || e.Shape[1-axis] == 0 {
		return 1
	}
	return max(1, e.Shape[axis]/e.Shape[1-axis])
}

// VAE is a TAEHV that was read from a file.
type VAE struct {
	Config
	encoder, decoder weights.Source
}

var _ family.Autoencoder = (*VAE)(nil)

// Info implements family.Autoencoder.
func (v *VAE) Info() family.VAEInfo {
	return family.VAEInfo{
		Channels: v.LatentChannels, Downscale: 8 * v.Patch, CanEncode: true, CanDecode: true, Video: true, Frames: v.frames,
		Output: v.output, Approximate: true, Untiled: true,
	}
}

// Weights implements family.Autoencoder.
func (v *VAE) Weights() []weights.Source { return []weights.Source{v.encoder, v.decoder} }

// product3 multiplies the ratios of three levels.
func product3(r [3]int) int { return r[0] * r[1] * r[2] }

// frames returns the number of decoded frames of a latent of n frames.
func (v *VAE) frames(n int) int {
	grow := product3(v.Grow)
	if v.LatentChannels == minimaxChannels && n > 1 {
		pieces := (n*grow + minimaxLatents*grow - 1) / (minimaxLatents * grow)
		return max(pieces*(minimaxLatents*grow-(grow-1))-minimaxLead*grow, 0)
	}
	return n*grow - (grow - 1)
}

// Decode implements family.Autoencoder.
func (v *VAE) Decode(ctx context.Context, run family.Runner, z *tensor.Tensor) (*tensor.Tensor, error) {
	x := taesd.Mapped(swapped(z.Index(0)), func(f float32) float32 { return f * v.Scale })
	n := x.Dim(0)
	out, err := run.Run(ctx, family.Graph{Part: "video decoder", Variant: family.Digest(n), Build: func(s family.Spec) (*onnx.Graph, error) {
		return DecoderGraph(v.decoder, v.Config, n, s)
	}}, []family.Value{family.Floats("z", x)}, "out")
	if err != nil {
		return nil, err
	}
	return v.kept(spreadPixels(out["out"], v.Patch), n), nil
}

// kept are the frames that remain of those decoded of n latent frames.
func (v *VAE) kept(y *tensor.Tensor, n int) *tensor.Tensor {
	grow := product3(v.Grow)
	if v.LatentChannels != minimaxChannels || n == 1 {
		return y.Slice(grow-1, y.Dim(0))
	}
	piece := minimaxLatents * grow
	var kept []*tensor.Tensor
	for from := 0; from < y.Dim(0); from += piece {
		padded := padFrames(y.Slice(from, min(from+piece, y.Dim(0))), 0, piece, false)
		kept = append(kept, padded.Slice(grow-1, piece))
	}
	all := joinFrames(kept)
	return all.Slice(0, max(all.Dim(0)-minimaxLead*grow, 0))
}

// output maps the network's output to 0…1. Only some families bound it.
func (v *VAE) output(f float32) float32 {
	switch {
	case v.Leaky:
		return min(max((f+1)/2, 0), 1)
	case v.LatentChannels == minimaxChannels:
		return min(max(f, 0), 1)
	}
	return f
}

// Encode implements family.Autoencoder.
func (v *VAE) Encode(ctx context.Context, run family.Runner, x *tensor.Tensor) (*tensor.Tensor, error) {
	if !v.Leaky {
		x = taesd.Mapped(x, func(f float32) float32 { return (f + 1) / 2 })
	}
	single, shrink := x.Dim(0) == 1, product3(v.Shrink)
	var parts []*tensor.Tensor
	if v.LatentChannels == minimaxChannels {
		whole := (x.Dim(0) + minimaxFrames - 1) / minimaxFrames * minimaxFrames
		x = padFrames(x, 0, whole, true)
		for from := 0; from < whole; from += minimaxFrames {
			parts = append(parts, padFrames(x.Slice(from, from+minimaxFrames), minimaxLead, minimaxFrames+minimaxLead, false))
		}
	} else {
		parts = append(parts, padFrames(x, 0, (x.Dim(0)+shrink-1)/shrink*shrink, true))
	}
	var latents []*tensor.Tensor
	for _, p := range parts {
		z, err := v.encodeFrames(ctx, run, p)
		if err != nil {
			return nil, err
		}
		latents = append(latents, z)
	}
	z := joinFrames(latents)
	if v.LatentChannels == minimaxChannels {
		keep := z.Dim(0) - minimaxLead
		if single {
			keep = 1
		}
		z = z.Slice(0, max(keep, 0))
	}
	out := swapped(z)
	return &tensor.Tensor{Shape: append([]int{1}, out.Shape...), Data: out.Data}, nil
}

// encodeFrames turns frames [T,3,H,W] into latents [T',C,H',W'].
func (v *VAE) encodeFrames(ctx context.Context, run family.Runner, x *tensor.Tensor) (*tensor.Tensor, error) {
	n := x.Dim(0)
	out, err := run.Run(ctx, family.Graph{Part: "video encoder", Variant: family.Digest(n), Build: func(s family.Spec) (*onnx.Graph, error) {
		return EncoderGraph(v.encoder, v.Config, n, s)
	}}, []family.Value{family.Floats("pixels", gatherPixels(x, v.Patch))}, "moments")
	if err != nil {
		return nil, fmt.Errorf("encoding %d frames: %w", n, err)
	}
	return taesd.Mapped(out["moments"], func(f float32) float32 { return f / v.Scale }), nil
}

// DecodeMemory implements family.Autoencoder: the frames in float32, with three sets of features at full size.
func (v *VAE) DecodeMemory(latent []int) int64 {
	side := 8 * v.Patch
	return family.Product(v.frames(latent[2]), latent[3], side, latent[4], side, 3, 4, 4)
}

// EncodeMemory implements family.Autoencoder; see DecodeMemory.
func (v *VAE) EncodeMemory(pixels []int) int64 {
	return family.Product(pixels[0], pixels[2], pixels[3], 3, 4, 4)
}
