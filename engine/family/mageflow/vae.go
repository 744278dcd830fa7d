package mageflow

import (
	"context"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(vaeKind{}) }

// vaeKind registers the VAE.
type vaeKind struct{}

// Name implements family.Family.
func (vaeKind) Name() string { return "Mage-Flow VAE" }

// Rank implements family.Family.
func (vaeKind) Rank() int { return 67 }

// The names of the halves in a file.
const (
	encoderPrefix = "student.dconv_encoder."
	decoderPrefix = "pipeline."
)

// vae is a VAE that was read from a file: both halves are diffusion models that are run for one step, from zeros at the
// timestep zero. Upstream: ldm/mage_flow/vae.py MageVAE.
type vae struct {
	encoder, decoder weights.Source
	// channels are the channels of a latent, patch is the number of pixels of a cell along one side.
	channels, patch int
	// width is the width of the decoder's blocks, pixel that of the network that decodes each pixel of a cell.
	width, pixel int
	activations  family.Activations
}

// Read implements family.VAE.
func (vaeKind) Read(src weights.Source) (family.Autoencoder, error) {
	s := weights.NewScope(src)
	if !s.Has(encoderPrefix + "proj_out.weight") {
		return nil, nil
	}
	v := &vae{encoder: weights.Sub(src, encoderPrefix), decoder: weights.Sub(src, decoderPrefix)}
	in, z, pixel := s.Shape(encoderPrefix+"patch_cond_embed.weight"), s.Shape(decoderPrefix+"y_embedder.decoder.conv_in.weight"), s.Shape(decoderPrefix+"final_layer.linear.weight")
	if len(in) != 4 || len(z) != 4 || len(pixel) != 2 || in[1] != rgb || pixel[0] != rgb || in[2] == 0 || in[2] != in[3] {
		return nil, fmt.Errorf("reading the VAE's shape: patch_cond_embed.weight is %v, y_embedder.decoder.conv_in.weight %v, final_layer.linear.weight %v", in, z, pixel)
	}
	v.channels, v.patch, v.width, v.pixel = z[1], in[2], z[0], pixel[1]
	return v, nil
}

// rgb is the number of channels of an image.
const rgb = 3

// Info implements family.Autoencoder.
func (v *vae) Info() family.VAEInfo {
	return family.VAEInfo{Channels: v.channels, Downscale: v.patch, CanEncode: true, CanDecode: true}
}

// Weights implements family.Autoencoder.
func (v *vae) Weights() []weights.Source { return []weights.Source{v.encoder, v.decoder} }

// DecodeMemory implements family.Autoencoder.
func (v *vae) DecodeMemory(latent []int) int64 {
	h, w := latent[len(latent)-2], latent[len(latent)-1]
	return v.activations.Of(v.decoding(), map[string]int{"B": latent[0], "h": h, "w": w, "rows": windows(h), "cols": windows(w)})
}

// EncodeMemory implements family.Autoencoder.
func (v *vae) EncodeMemory(pixels []int) int64 {
	return v.activations.Of(v.encoding(), map[string]int{"B": pixels[0], "H": pixels[len(pixels)-2], "W": pixels[len(pixels)-1]})
}

func (v *vae) decoding() family.Graph {
	return family.Graph{Part: "vae decoder", Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("mage vae decoder", v.decoder, func(b *nn.Builder, s *weights.Scope) { writer{b}.decoder(s, v) })
	}}
}

func (v *vae) encoding() family.Graph {
	return family.Graph{Part: "vae encoder", Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("mage vae encoder", v.encoder, func(b *nn.Builder, s *weights.Scope) { writer{b}.encoder(s, v) })
	}}
}

// windows is the number of windows of attention that cover n cells.
func windows(n int) int { return (n + window - 1) / window }

// time is the embedding of the timestep zero, [1,256].
func time() family.Value {
	const frequencies = 256
	out := tensor.New(1, frequencies)
	for i := range frequencies / 2 {
		out.Data[i] = 1
	}
	return family.Floats("time", out)
}

// Decode implements family.Autoencoder.
func (v *vae) Decode(ctx context.Context, run family.Runner, z *tensor.Tensor) (*tensor.Tensor, error) {
	if len(z.Shape) != 4 || z.Dim(1) != v.channels {
		return nil, fmt.Errorf("decoding a latent of shape %v: the VAE reads %d channels", z.Shape, v.channels)
	}
	h, w := z.Dim(2), z.Dim(3)
	in := []family.Value{family.Floats("z", z), time(), family.Floats("places", dit.PixelPlaces(v.patch, frequencies, frequencies))}
	for _, axis := range []struct {
		name string
		n    int
	}{{"rows", h}, {"cols", w}} {
		padded := windows(axis.n) * window
		in = append(in, edge(axis.name, padded, axis.n), edge(axis.name+"_back", axis.n, axis.n))
	}
	out, err := run.Run(ctx, v.decoding(), in, "out")
	if err != nil {
		return nil, err
	}
	shape := []int{z.Dim(0), rgb, h * v.patch, w * v.patch}
	return dit.Unpatchify(out["out"], dit.GridOf(shape, v.patch), tensor.ChannelsLast)
}

// edge returns n places along an axis of the given size; the last place is repeated.
func edge(name string, n, size int) family.Value {
	out := make([]int64, n)
	for i := range out {
		out[i] = int64(min(i, size-1))
	}
	return family.Ints(name, out, n)
}

// Encode implements family.Autoencoder.
func (v *vae) Encode(ctx context.Context, run family.Runner, x *tensor.Tensor) (*tensor.Tensor, error) {
	if len(x.Shape) != 4 || x.Dim(1) != rgb || x.Dim(2) < v.patch || x.Dim(3) < v.patch {
		return nil, fmt.Errorf("encoding images of shape %v: the VAE reads three channels of at least %d by %d pixels", x.Shape, v.patch, v.patch)
	}
	out, err := run.Run(ctx, v.encoding(), []family.Value{family.Floats("pixels", x), time(), family.Floats("zeros", tensor.New(1, 1, v.channels))}, "z")
	if err != nil {
		return nil, err
	}
	return out["z"], nil
}

// frequencies is the number of frequencies of a place along one axis.
const frequencies = 8
