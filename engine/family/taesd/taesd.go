// Package taesd is the family of TAESD, small approximations of the VAEs of image models
// (https://github.com/madebyollin/taesd). Its images are in 0…1, its latents are those of the diffusion model.
package taesd

import (
	"context"
	"fmt"
	"slices"

	"comfygo/engine/family"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

func (kind) Name() string { return "TAESD" }
func (kind) Rank() int    { return 20 }

// The keys by which the halves are known: the first convolution that a block does not hold, and one inside a block.
const (
	encoderFirst, encoderBlock, encoderLast = "0.weight", "1.conv.0.weight", "14.weight"
	decoderFirst, decoderBlock              = "1.weight", "3.conv.0.weight"
)

// stand is an approximation by its name.
type stand struct {
	name         string
	scale, shift float32
	folded       bool
}

// names are the names of the approximations whose halves are stored in two files, NAME_encoder and NAME_decoder, with the
// scale and shift of the model family that each represents: its network reads (latent - shift)*scale (upstream:
// VAELoader.image_taes, load_taesd).
var names = []stand{
	{"taesd", 0.18215, 0, false},
	{"taesdxl", 0.13025, 0, false},
	{"taesd3", 1.5305, 0.0609, false},
	{"taef1", 0.3611, 0.1159, false},
	{"taef2", 1, 0, true},
}

// foldedChannels is the number of channels of the only latents that hold several of TAESD's pixels in one, those of Flux 2.
const foldedChannels = 128

// Read implements family.VAE: a TAESD with both halves in one file, or one half alone.
func (kind) Read(src weights.Source) (family.Autoencoder, error) {
	v := take(weights.Sub(src, "taesd_encoder."), weights.Sub(src, "taesd_decoder."))
	if v == nil {
		if v = take(src, src); v == nil {
			return nil, nil
		}
		return v, nil
	}
	return v, v.readScale(src)
}

// Names implements family.Approximate.
func (kind) Names() []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = n.name
	}
	return out
}

// Join implements family.Approximate.
func (kind) Join(name string, encoder, decoder weights.Source) (family.Autoencoder, error) {
	e, d := take(encoder, none{encoder}), take(none{decoder}, decoder)
	switch {
	case e == nil:
		return nil, fmt.Errorf("loading %s: the file holds no encoder of a TAESD", encoder.Path())
	case d == nil:
		return nil, fmt.Errorf("loading %s: the file holds no decoder of a TAESD", decoder.Path())
	case e.channels != d.channels:
		return nil, fmt.Errorf("loading the TAESD %s: %s makes latents of %d channels, %s reads %d", name, encoder.Path(), e.channels, decoder.Path(), d.channels)
	}
	e.decoder, e.hasDecoder, e.scale = d.decoder, true, 1
	if i := slices.IndexFunc(names, func(s stand) bool { return s.name == name }); i >= 0 {
		e.scale, e.shift, e.folded = names[i].scale, names[i].shift, names[i].folded
	}
	return e, nil
}

// Preview implements family.Approximate.
func (kind) Preview(decoder weights.Source, channels int) (family.Autoencoder, error) {
	v := take(none{decoder}, decoder)
	if v == nil {
		return nil, nil
	}
	v.folded = channels == foldedChannels
	return v, nil
}

// none shows no tensors.
type none struct{ weights.Source }

func (none) Names() []string                     { return nil }
func (none) Lookup(string) (weights.Entry, bool) { return weights.Entry{}, false }

// VAE is a TAESD that was read from a file or two.
type VAE struct {
	encoder, decoder       weights.Source
	hasEncoder, hasDecoder bool
	channels               int
	// scale and shift lead from a VAE's latents to the network's, which TAESD works on: (latent - shift)*scale.
	scale, shift float32
	// folded reports that a latent cell holds two by two of TAESD's.
	folded      bool
	activations family.Activations
}

var _ family.Autoencoder = (*VAE)(nil)

// take takes the halves that are there; others are nil.
func take(encoder, decoder weights.Source) *VAE {
	v := &VAE{encoder: encoder, decoder: decoder, scale: 1}
	if last, ok := encoder.Lookup(encoderLast); ok && known(encoder, encoderFirst, encoderBlock) && len(last.Shape) == 4 {
		v.hasEncoder, v.channels = true, last.Shape[0]
	}
	if known(decoder, decoderFirst, decoderBlock) {
		first, _ := decoder.Lookup(decoderFirst)
		v.hasDecoder, v.channels = true, first.Shape[1]
	}
	if !v.hasEncoder && !v.hasDecoder {
		return nil
	}
	return v
}

func known(half weights.Source, first, block string) bool {
	a, ok := half.Lookup(first)
	b, found := half.Lookup(block)
	return ok && found && len(a.Shape) == 4 && len(b.Shape) == 4
}

// readScale reads the numbers that lead to the network's latents, where the file holds them.
func (v *VAE) readScale(src weights.Source) error {
	for name, to := range map[string]*float32{"vae_scale": &v.scale, "vae_shift": &v.shift} {
		e, ok := src.Lookup(name)
		if !ok {
			continue
		}
		values := make([]float32, e.Count())
		if err := weights.ToFloat32(values, e); err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		if len(values) != 1 {
			return fmt.Errorf("reading %s: it holds %d values, wanted one", name, len(values))
		}
		*to = values[0]
	}
	return nil
}

// Info implements family.Autoencoder.
func (v *VAE) Info() family.VAEInfo {
	i := family.VAEInfo{Channels: v.channels, Downscale: 8, CanEncode: v.hasEncoder, CanDecode: v.hasDecoder, Approximate: true}
	if v.folded {
		i.Channels, i.Downscale = 4*i.Channels, 2*i.Downscale
	}
	return i
}

// Weights implements family.Autoencoder.
func (v *VAE) Weights() []weights.Source { return []weights.Source{v.encoder, v.decoder} }

// Decode implements family.Autoencoder.
func (v *VAE) Decode(ctx context.Context, run family.Runner, z *tensor.Tensor) (*tensor.Tensor, error) {
	x := Mapped(z, func(f float32) float32 { return (f - v.shift) * v.scale })
	if v.folded {
		x = unfold(x)
	}
	out, err := run.Run(ctx, v.decoding(), []family.Value{family.Floats("z", x)}, "out")
	if err != nil {
		return nil, err
	}
	return Mapped(out["out"], func(f float32) float32 { return (f - 0.5) * 2 }), nil
}

// Encode implements family.Autoencoder.
func (v *VAE) Encode(ctx context.Context, run family.Runner, x *tensor.Tensor) (*tensor.Tensor, error) {
	x = Mapped(x, func(f float32) float32 { return float32(f*0.5) + 0.5 })
	out, err := run.Run(ctx, v.encoding(), []family.Value{family.Floats("pixels", x)}, "moments")
	if err != nil {
		return nil, err
	}
	z := out["moments"]
	if v.folded {
		z = fold(z)
	}
	return Mapped(z, func(f float32) float32 { return f/v.scale + v.shift }), nil
}

func (v *VAE) decoding() family.Graph {
	return family.Graph{Part: "tiny decoder", Build: func(s family.Spec) (*onnx.Graph, error) { return DecoderGraph(v.decoder, s) }}
}

func (v *VAE) encoding() family.Graph {
	return family.Graph{Part: "tiny encoder", Build: func(s family.Spec) (*onnx.Graph, error) { return EncoderGraph(v.encoder, s) }}
}

// DecodeMemory implements family.Autoencoder.
func (v *VAE) DecodeMemory(latent []int) int64 {
	if !v.hasDecoder {
		return 0
	}
	h, w := latent[len(latent)-2], latent[len(latent)-1]
	if v.folded {
		h, w = 2*h, 2*w
	}
	return v.activations.Of(v.decoding(), map[string]int{"B": latent[0], "H": h, "W": w})
}

// EncodeMemory implements family.Autoencoder.
func (v *VAE) EncodeMemory(pixels []int) int64 {
	if !v.hasEncoder {
		return 0
	}
	return v.activations.Of(v.encoding(), map[string]int{"B": pixels[0], "H": pixels[len(pixels)-2], "W": pixels[len(pixels)-1]})
}
