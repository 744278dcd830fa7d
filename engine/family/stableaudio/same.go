package stableaudio

import (
	"context"
	"errors"
	"fmt"
	"math"

	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/torchrand"
	"comfygo/engine/weights"
)

func init() { family.Register(sameKind{}) }

// sameKind is the family of VAEs of Stable Audio 3: transformers over latents and, for each latent, its patches of samples. Upstream:
// ldm/audio/vae_sa3.py.
type sameKind struct{}

// Name implements family.Family.
func (sameKind) Name() string { return "Stable Audio 3 VAE (audio)" }

// Rank implements family.Family.
func (sameKind) Rank() int { return 207 }

const (
	// samePatch is the number of samples of a patch, samePatches the number of patches of a latent, sameGroup the number of
	// tokens of a latent.
	samePatch   = 256
	samePatches = 16
	sameGroup   = samePatches + 1
	sameHop     = samePatch * samePatches
	sameHead    = 64
	// deepLayers is the minimum number of layers for attention to surrounding tokens; with fewer layers the tokens of two
	// latents attend to each other.
	deepLayers = 12
	// wavyLayers is one more than the number of last layers with periodic activations in such a decoder.
	wavyLayers = 8
	// samePiece is the number of latents that are decoded or encoded at once.
	samePiece = 32
)

// same is a VAE that was read from a file.
type same struct {
	src                     weights.Source
	channels, width, layers int
	encodes                 bool
	activations             family.Activations
}

var _ family.Autoencoder = (*same)(nil)

// Read implements family.VAE.
func (sameKind) Read(src weights.Source) (family.Autoencoder, error) {
	s := weights.NewScope(src)
	const marker = "decoder.layers.3.transformers"
	if !s.Has(marker + ".0.pre_norm.alpha") {
		return nil, nil
	}
	v := &same{src: weights.WeightNorm(src), channels: dim(s, "decoder.layers.1.weight", 1), width: dim(s, "decoder.layers.1.weight", 0), layers: s.Count(marker)}
	if v.channels == 0 || v.width == 0 || v.width%sameHead != 0 {
		return nil, fmt.Errorf("its shapes make no VAE: decoder.layers.1.weight is %v, wanted a multiple of %d channels", s.Shape("decoder.layers.1.weight"), sameHead)
	}
	v.encodes = s.Has("encoder.layers.2.weight")
	return v, nil
}

// deep reports that tokens attend to a window around them.
func (v *same) deep() bool { return v.layers >= deepLayers }

// around is the number of latents on either side that the result of a latent depends on; each layer attends to one further
// latent.
func (v *same) around() int {
	if v.deep() {
		return v.layers
	}
	return 2
}

// multiple is the number that divides the number of latents.
func (v *same) multiple() int {
	if v.deep() {
		return 1
	}
	return 2
}

// Info implements family.Autoencoder.
func (v *same) Info() family.VAEInfo {
	const rate = 44100
	return family.VAEInfo{
		Channels: v.channels, Downscale: sameHop, CanEncode: v.encodes, CanDecode: true, Untiled: true,
		Audio: &family.AudioInfo{Channels: stereo, Rate: rate, Hop: sameHop},
	}
}

// Weights implements family.Autoencoder.
func (v *same) Weights() []weights.Source { return []weights.Source{v.src} }

// factors reads values that have one for each channel, or one for all.
func (v *same) factors(name string) ([]float32, error) {
	e, ok := v.src.Lookup(name)
	if !ok || e.Count() != v.channels && e.Count() != 1 {
		return nil, fmt.Errorf("reading %s: it is missing or has neither 1 nor %d values", name, v.channels)
	}
	out := make([]float32, e.Count())
	if e.Described() {
		return out, nil // a list of names and shapes
	}
	return out, weights.Range(out, e, 0)
}

// Decode implements family.Autoencoder: a latent [1,C,L] becomes audio [1,2,L·4096], where L is rounded up to an even number for small VAEs. Noise is added by a
// generator that begins anew each time: upstream's depends on all that ran before.
func (v *same) Decode(ctx context.Context, run family.Runner, z *tensor.Tensor) (*tensor.Tensor, error) {
	if len(z.Shape) != 3 || z.Dim(0) != 1 || z.Dim(1) != v.channels || z.Dim(2) < 1 {
		return nil, fmt.Errorf("decoding a latent of shape %v: the VAE reads audio latents [1,%d,length]", z.Shape, v.channels)
	}
	if err := run.Check("decoding the audio", v.DecodeMemory(z.Shape)); err != nil {
		return nil, err
	}
	deviation, err := v.factors("bottleneck.running_std")
	if err != nil {
		return nil, err
	}
	const share = 1e-3
	noise := make([]float32, z.Len())
	torchrand.New(0).Randn(noise)
	n := (z.Dim(2) + v.multiple() - 1) / v.multiple() * v.multiple()
	x := tensor.New(1, v.channels, n)
	for c := range v.channels {
		by := deviation[c%len(deviation)]
		for i, value := range z.Data[c*z.Dim(2) : (c+1)*z.Dim(2)] {
			x.Data[c*n+i] = value*by + noise[c*z.Dim(2)+i]*by*share
		}
	}
	out := tensor.New(1, stereo, n*sameHop)
	return out, v.pieces(n, func(from, to, left, right int) error {
		in := append(v.tokens(right-left), family.Floats("z", span(x, left, right)))
		y, err := run.Run(ctx, v.graph("vae decoder", v.writeDecoder), in, "out")
		if err != nil {
			return err
		}
		place(out, samples(y["out"]), from*sameHop, to*sameHop, (from-left)*sameHop)
		return nil
	})
}

// samples are the audio [1,2,n·256] of patches [1,2·256,n], patches the other way round.
func samples(x *tensor.Tensor) *tensor.Tensor {
	n := x.Dim(2)
	out := tensor.New(1, x.Dim(1)/samePatch, n*samePatch)
	for row := range x.Dim(1) {
		for i := range n {
			out.Data[row/samePatch*n*samePatch+i*samePatch+row%samePatch] = x.Data[row*n+i]
		}
	}
	return out
}

func patches(x *tensor.Tensor, n int) *tensor.Tensor {
	out := tensor.New(1, x.Dim(1)*samePatch, n)
	for c := range x.Dim(1) {
		for i, v := range x.Data[c*x.Dim(2) : (c+1)*x.Dim(2)] {
			out.Data[(c*samePatch+i%samePatch)*n+i/samePatch] = v
		}
	}
	return out
}

// pieces calls f for each piece [from, to) of n latents and what surrounds it, [left, right).
func (v *same) pieces(n int, f func(from, to, left, right int) error) error {
	for from := 0; from < n; from += samePiece {
		to := min(from+samePiece, n)
		if err := f(from, to, max(from-v.around(), 0), min(to+v.around(), n)); err != nil {
			return err
		}
	}
	return nil
}

// Encode implements family.Autoencoder: audio [1,2,T] becomes a latent [1,C,T/4096]; the end is padded with silence.
func (v *same) Encode(ctx context.Context, run family.Runner, x *tensor.Tensor) (*tensor.Tensor, error) {
	if !v.encodes {
		return nil, errors.New("encoding audio: the file holds only the VAE's decoder")
	}
	if len(x.Shape) != 3 || x.Dim(0) != 1 || x.Dim(1) != stereo || x.Dim(2) < 1 {
		return nil, fmt.Errorf("encoding audio of shape %v: the VAE reads [1,%d,samples]", x.Shape, stereo)
	}
	if err := run.Check("encoding the audio", v.EncodeMemory(x.Shape)); err != nil {
		return nil, err
	}
	group := sameHop * v.multiple()
	n := (x.Dim(2) + group - 1) / group * v.multiple()
	all := patches(x, n*samePatches)
	out := tensor.New(1, v.channels, n)
	err := v.pieces(n, func(from, to, left, right int) error {
		in := append(v.tokens(right-left), family.Floats("audio", span(all, left*samePatches, right*samePatches)))
		y, err := run.Run(ctx, v.graph("vae encoder", v.writeEncoder), in, "out")
		if err != nil {
			return err
		}
		place(out, y["out"], from, to, from-left)
		return nil
	})
	if err != nil {
		return nil, err
	}
	scale, err := v.factors("bottleneck.scaling_factor")
	if err != nil {
		return nil, err
	}
	bias, err := v.factors("bottleneck.bias")
	if err != nil {
		return nil, err
	}
	deviation, err := v.factors("bottleneck.running_std")
	if err != nil {
		return nil, err
	}
	for i, value := range out.Data {
		c := i / n
		out.Data[i] = (value*scale[c%len(scale)] + bias[c%len(bias)]) / deviation[c%len(deviation)]
	}
	return out, nil
}

// DecodeMemory implements family.Autoencoder: of the longest piece.
func (v *same) DecodeMemory(latent []int) int64 {
	return v.memory(v.graph("vae decoder", v.writeDecoder), latent[len(latent)-1])
}

// EncodeMemory implements family.Autoencoder; see DecodeMemory.
func (v *same) EncodeMemory(pixels []int) int64 {
	return v.memory(v.graph("vae encoder", v.writeEncoder), pixels[len(pixels)-1]/sameHop+1)
}

func (v *same) memory(g family.Graph, latents int) int64 {
	n := (min(latents, samePiece+2*v.around()) + v.multiple() - 1) / v.multiple()
	return v.activations.Of(g, map[string]int{"L": n})
}

func (v *same) graph(part string, write func(b *nn.Builder, s *weights.Scope)) family.Graph {
	return family.Graph{Part: part, Build: func(s family.Spec) (*onnx.Graph, error) { return s.Build("same "+part, v.src, write) }}
}

// tokens are the inputs that depend only on the number n of latents: the angles of the first half of a head, and the mask of tokens that do not
// attend to each other.
func (v *same) tokens(n int) []family.Value {
	length := sameGroup * n
	if !v.deep() {
		length = sameGroup * v.multiple()
	}
	freq := make([]float32, sameHead/4)
	const name = "decoder.layers.3.transformers.0.rope.inv_freq" // the same for all layers
	if e, ok := v.src.Lookup(name); ok && e.Data != nil && e.Count() == len(freq) {
		if err := weights.Range(freq, e, 0); err != nil {
			return nil
		}
	}
	cos, sin := tensor.New(1, length, len(freq)), tensor.New(1, length, len(freq))
	for i := range cos.Data {
		angle := float64(float32(i/len(freq)) * freq[i%len(freq)])
		cos.Data[i], sin.Data[i] = float32(math.Cos(angle)), float32(math.Sin(angle))
	}
	in := []family.Value{family.Floats("cos", cos), family.Floats("sin", sin)}
	if v.deep() {
		in = append(in, family.Floats("window", beyond(length, sameGroup)))
	}
	return in
}
