package cascade

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/engine/weights/layout"
)

func init() {
	family.Register(vaeKind{name: "Stable Cascade stage A", rank: 70, read: readStageA})
	family.Register(vaeKind{name: "Stable Cascade stage C encoder and previewer", rank: 71, read: readCoder})
}

// vaeKind is one of the family's kinds of VAEs.
type vaeKind struct {
	name string
	rank int
	read func(src weights.Source) (family.Autoencoder, error)
}

// Name implements family.Family.
func (k vaeKind) Name() string { return k.name }

// Rank implements family.Family.
func (k vaeKind) Rank() int { return k.rank }

// Read implements family.VAE. Upstream: sd.py VAE.
func (k vaeKind) Read(src weights.Source) (family.Autoencoder, error) { return k.read(src) }

const rgb = 3

// autoencoder is a VAE whose halves are one graph each.
type autoencoder struct {
	info family.VAEInfo
	// floats are the float32 values that a decoded pixel takes while the decoder runs, and an encoded one the encoder.
	decodeFloats, encodeFloats int
	sources                    []weights.Source
	decoder, encoder           func(spec family.Spec) (*onnx.Graph, error)
}

var _ family.Autoencoder = (*autoencoder)(nil)

// Info implements family.Autoencoder.
func (v *autoencoder) Info() family.VAEInfo { return v.info }

// Weights implements family.Autoencoder.
func (v *autoencoder) Weights() []weights.Source { return v.sources }

// Decode implements family.Autoencoder.
func (v *autoencoder) Decode(ctx context.Context, run family.Runner, z *tensor.Tensor) (*tensor.Tensor, error) {
	if v.decoder == nil {
		return nil, errors.New("decoding: the file holds no decoder, only the encoder for stage C: decode the latent of stage B with the VAE of stage A")
	}
	if len(z.Shape) != 4 || z.Dim(1) != v.info.Channels {
		return nil, fmt.Errorf("decoding a latent of shape %v: the VAE reads %d channels", z.Shape, v.info.Channels)
	}
	out, err := run.Run(ctx, family.Graph{Part: "vae decoder", Build: v.decoder}, []family.Value{family.Floats("z", z)}, "out")
	return out["out"], err
}

// Encode implements family.Autoencoder.
func (v *autoencoder) Encode(ctx context.Context, run family.Runner, x *tensor.Tensor) (*tensor.Tensor, error) {
	if v.encoder == nil {
		return nil, errors.New("encoding: the file holds no encoder")
	}
	out, err := run.Run(ctx, family.Graph{Part: "vae encoder", Build: v.encoder}, []family.Value{family.Floats("pixels", x)}, "out")
	return out["out"], err
}

// DecodeMemory implements family.Autoencoder.
func (v *autoencoder) DecodeMemory(latent []int) int64 {
	side := v.info.Downscale
	if v.info.Upscale > 0 {
		side = v.info.Upscale
	}
	return family.Product(latent[2], side, latent[3], side, v.decodeFloats, 4)
}

// EncodeMemory implements family.Autoencoder.
func (v *autoencoder) EncodeMemory(pixels []int) int64 {
	return family.Product(pixels[2], pixels[3], v.encodeFloats, 4)
}

// half writes one half of a VAE: features [B,channels,k·H,k·W] of the input called name lead to the output "out".
func half(part string, src weights.Source, name string, channels, k int, write func(w *layers, s *weights.Scope, x *onnx.Value) *onnx.Value) func(family.Spec) (*onnx.Graph, error) {
	return func(spec family.Spec) (*onnx.Graph, error) {
		return spec.Build(part, foldedNorms(src), func(b *nn.Builder, s *weights.Scope) {
			w := &layers{writer{Builder: b}}
			x := w.Input(name, dtype.F32, onnx.Sym("B"), onnx.D(channels), onnx.Sym("H").Times(onnx.D(k)), onnx.Sym("W").Times(onnx.D(k)))
			w.Output("out", w.Cast(write(w, s, w.Cast(x, w.Target.Compute)), dtype.F32))
		})
	}
}

// layers writes the layers of the VAEs.
type layers struct{ writer }

// plain is a convolution with odd kernel sizes that keeps the size.
func (w *layers) plain(s *weights.Scope, x *onnx.Value) *onnx.Value { return w.strided(s, x, 1) }

// strided is a convolution of any kernel size with half of it as padding.
func (w *layers) strided(s *weights.Scope, x *onnx.Value, stride int) *onnx.Value {
	k := 1
	if sh := s.Shape("weight"); len(sh) == 4 {
		k = sh[3]
	}
	p := (k - 1) / 2
	return w.conv(s, x, k, onnx.Window{Stride: stride, Pads: [4]int{p, p, p, p}})
}

// transposed is a transposed convolution that doubles the size.
func (w *layers) transposed(s *weights.Scope, x *onnx.Value) *onnx.Value {
	out, k := x.Dim(1).N, 2
	if sh := s.Shape("weight"); len(sh) == 4 {
		out, k = sh[1], sh[3]
	}
	p := (k - 2) / 2
	return w.ConvTranspose(s, x, out, []int{k, k}, 1, onnx.WindowND{Stride: []int{2, 2}, Before: []int{p, p}, After: []int{p, p}})
}

// batchNorm normalises the channels of x [B,C,H,W] by the statistics of the training: a factor and a summand each, which are
// computed with the weights.
func (w *layers) batchNorm(s *weights.Scope, x *onnx.Value) *onnx.Value {
	c := x.Dim(1).N
	for _, name := range []string{"running_mean", "running_var", "weight", "bias"} {
		s.Weight(name, c) // all missing ones are reported together
	}
	n, ok := foldedNorms(s.Source()).Norm(strings.TrimSuffix(s.Prefix(), "."))
	if !ok || n.Channels() != c {
		return x
	}
	vector := func(what string) *onnx.Value {
		e := n.Vector(s.Prefix()+what, what, 1, c, 1, 1)
		return w.Table(&weights.Ref{Name: e.Name, Entry: e})
	}
	return w.Add(w.Mul(x, vector(layout.Factors)), vector(layout.Summands))
}
