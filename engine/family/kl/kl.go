// Package kl is the family of the VAE of Stable Diffusion and its successors: AutoencoderKL for images.
package kl

import (
	"context"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/engine/weights/layout"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

func (kind) Name() string { return "AutoencoderKL" }
func (kind) Rank() int    { return rank }

// rank puts the family after those that are detected by their own keys.
const rank = 100

// Config describes a VAE of this kind. The block structure is read off the keys.
type Config struct {
	// LatentChannels is the number of channels of a latent.
	LatentChannels int
	// Downscale is the number of pixels per latent cell along one side.
	Downscale int
	// HasEncoder is false for files that hold only the decoder.
	HasEncoder bool
	// Folded reports that a latent cell holds two by two cells of the networks, normalised (Flux.2). LatentChannels and
	// Downscale are the networks' own.
	Folded bool
}

// Read implements family.VAE.
func (kind) Read(src weights.Source) (family.Autoencoder, error) {
	v, err := Read(src)
	if v == nil {
		return nil, err
	}
	return v, err
}

// Read reads a VAE of this kind, or one whose networks have further layers; nil when src holds none.
func Read(src weights.Source) (*VAE, error) {
	src = layout.VAE(src)
	e, ok := src.Lookup("decoder.conv_in.weight")
	if !ok || len(e.Shape) != 4 {
		return nil, nil
	}
	if _, kl := src.Lookup("decoder.mid.block_1.norm1.weight"); !kl {
		return nil, nil
	}
	s := weights.NewScope(src)
	levels := s.Count("decoder.up")
	const most = 8
	if levels == 0 || levels > most {
		return nil, fmt.Errorf("reading the VAE's shape: %d decoder levels", levels)
	}
	f, err := readFolding(src, e.Shape[1])
	if err != nil {
		return nil, err
	}
	return &VAE{Config: Config{
		LatentChannels: e.Shape[1], Downscale: 1 << (levels - 1), HasEncoder: s.Has("encoder.conv_in.weight"), Folded: f != nil,
	}, src: src}, nil
}

// VAE is a VAE that was read from a file.
type VAE struct {
	Config
	src         weights.Source
	activations family.Activations
}

var _ family.Autoencoder = (*VAE)(nil)

// Info implements family.Autoencoder.
func (v *VAE) Info() family.VAEInfo {
	channels, side := v.LatentChannels, v.Downscale
	if v.Folded {
		channels, side = channels*fold*fold, side*fold
	}
	return family.VAEInfo{Channels: channels, Downscale: side, CanEncode: v.HasEncoder, CanDecode: true}
}

// Weights implements family.Autoencoder.
func (v *VAE) Weights() []weights.Source { return []weights.Source{v.src} }

// Decode implements family.Autoencoder.
func (v *VAE) Decode(ctx context.Context, run family.Runner, z *tensor.Tensor) (*tensor.Tensor, error) {
	if v.Folded {
		var err error
		if z, err = unfolded(v.src, z); err != nil {
			return nil, err
		}
	}
	out, err := run.Run(ctx, v.Decoder(), []family.Value{family.Floats("z", z)}, "out")
	if err != nil {
		return nil, err
	}
	return out["out"], nil
}

// Decoder is the graph of the decoder.
func (v *VAE) Decoder() family.Graph {
	return family.Graph{Part: "vae decoder", Build: func(s family.Spec) (*onnx.Graph, error) {
		return DecoderGraph(v.src, v.Config, s)
	}}
}

// Encoder is the graph of the encoder.
func (v *VAE) Encoder() family.Graph {
	return family.Graph{Part: "vae encoder", Build: func(s family.Spec) (*onnx.Graph, error) {
		return EncoderGraph(v.src, s)
	}}
}

// Encode implements family.Autoencoder.
func (v *VAE) Encode(ctx context.Context, run family.Runner, x *tensor.Tensor) (*tensor.Tensor, error) {
	out, err := run.Run(ctx, v.Encoder(), []family.Value{family.Floats("pixels", x)}, "moments")
	if err != nil {
		return nil, err
	}
	m := out["moments"]
	z := tensor.New(m.Dim(0), v.LatentChannels, m.Dim(2), m.Dim(3))
	for b := range m.Dim(0) {
		copy(z.Index(b).Data, m.Index(b).Data)
	}
	if v.Folded {
		return folded(v.src, z)
	}
	return z, nil
}

// DecodeMemory implements family.Autoencoder.
func (v *VAE) DecodeMemory(latent []int) int64 {
	h, w := latent[len(latent)-2], latent[len(latent)-1]
	if v.Folded {
		h, w = h*fold, w*fold
	}
	return v.activations.Of(v.Decoder(), map[string]int{"B": latent[0], "H": h, "W": w})
}

// EncodeMemory implements family.Autoencoder.
func (v *VAE) EncodeMemory(pixels []int) int64 {
	if !v.HasEncoder {
		return 0
	}
	return v.activations.Of(v.Encoder(), map[string]int{"B": pixels[0], "H": pixels[len(pixels)-2], "W": pixels[len(pixels)-1]})
}
