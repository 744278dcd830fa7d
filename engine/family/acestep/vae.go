package acestep

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/internal/audio/spectrum"
)

func init() { family.Register(vaeKind{}) }

// vaeKind is the family of ACE-Step's VAE of music: an autoencoder of spectrograms, and a vocoder.
type vaeKind struct{}

// Name implements family.Family.
func (vaeKind) Name() string { return "ACE-Step VAE" }

// Rank implements family.Family.
func (vaeKind) Rank() int { return 206 }

const (
	stereo = 2
	// rate is in Hz; hop the number of samples per frame of a spectrogram, reach the number of frames per latent.
	rate, hop, reach = 44100, 512, 8
	keyVocoder       = "vocoder.backbone.channel_layers.0.0.bias"
)

// mel is the spectrogram that the VAE reads; its first window is centred before the first sample, as the padding puts it.
var mel = spectrum.Mel{Rate: rate, Low: 40, High: 16000, Window: 2048, Hop: hop, Bands: 128, Floor: 1e-6}

// The range of logarithms of bands, and of latents.
const (
	lowest, highest = -11, 3
	scale, shift    = 0.1786, -1.9091
)

// vae is a VAE that was read from a file.
type vae struct {
	src weights.Source
	// down and up are the levels of the encoder and the decoder, in the order of their names.
	down, up []level
	voice    vocoder
	encodes  bool

	activations family.Activations
}

var _ family.Autoencoder = (*vae)(nil)

// level is one resolution of the autoencoder.
type level struct {
	channels int
	blocks   []blockKind
}

// blockKind is what a block of a level is.
type blockKind int

const (
	resBlock blockKind = iota
	attentionBlock
	resizeBlock
)

// Read implements family.VAE. Upstream: sd.py VAE, ldm/ace/vae/music_dcae_pipeline.py MusicDCAE.
func (vaeKind) Read(src weights.Source) (family.Autoencoder, error) {
	if _, ok := src.Lookup(keyVocoder); !ok {
		return nil, nil
	}
	v := &vae{src: weights.WeightNorm(src)}
	s := weights.NewScope(v.src)
	var err error
	if v.up, err = readLevels(s.At("dcae", "decoder", "up_blocks")); err != nil {
		return nil, err
	}
	if v.encodes = s.Has("dcae.encoder.conv_in.weight"); v.encodes {
		if v.down, err = readLevels(s.At("dcae", "encoder", "down_blocks")); err != nil {
			return nil, err
		}
	}
	if dim(s, "dcae.decoder.conv_in.weight", 1) != channels || dim(s, "dcae.decoder.conv_out.weight", 0) != stereo || len(v.up) != levels || v.encodes && len(v.down) != levels {
		return nil, fmt.Errorf("its shapes make no VAE: conv_in is %v, conv_out %v, %d levels: wanted %d channels of latents, %d of audio and %d levels",
			s.Shape("dcae.decoder.conv_in.weight"), s.Shape("dcae.decoder.conv_out.weight"), len(v.up), channels, stereo, levels)
	}
	v.voice, err = readVocoder(s.At("vocoder"))
	return v, err
}

// levels is their number: a latent has eight frames and eight bands.
const levels = 4

func readLevels(s *weights.Scope) ([]level, error) {
	var out []level
	for i := 0; s.Index(i).HasAny(""); i++ {
		l := level{}
		for k := 0; ; k++ {
			b := s.Index(i).Index(k)
			switch {
			case b.Has("conv1.weight"):
				l.blocks, l.channels = append(l.blocks, resBlock), dim(b, "conv1.weight", 0)
			case b.Has("attn.to_q.weight"):
				l.blocks, l.channels = append(l.blocks, attentionBlock), dim(b, "attn.to_q.weight", 1)
			case b.Has("conv.weight"):
				l.blocks = append(l.blocks, resizeBlock)
			default:
				k = -1
			}
			if k < 0 {
				break
			}
		}
		if l.channels == 0 {
			return nil, fmt.Errorf("its shapes make no VAE: %s%d has no blocks", s.Prefix(), i)
		}
		out = append(out, l)
	}
	return out, nil
}

// Info implements family.Autoencoder.
func (v *vae) Info() family.VAEInfo {
	return family.VAEInfo{
		Channels: channels, Downscale: reach * hop, CanEncode: v.encodes, CanDecode: true, Untiled: true,
		Audio: &family.AudioInfo{Channels: stereo, Rate: rate, Hop: reach * hop},
	}
}

// Weights implements family.Autoencoder.
func (v *vae) Weights() []weights.Source { return []weights.Source{v.src} }

// The sizes of pieces, in latents, for the layers with a limited reach, and their reach: the blocks of the levels without
// attention, and the vocoder.
const (
	piece       = 64
	blockReach  = 10
	voiceReach  = 14
	frameHeight = 128
)

// pieces calls f for each piece [from, to) of n latents and what surrounds it, [left, right).
func pieces(n, around int, f func(from, to, left, right int) error) error {
	for from := 0; from < n; from += piece {
		to := min(from+piece, n)
		if err := f(from, to, max(from-around, 0), min(to+around, n)); err != nil {
			return err
		}
	}
	return nil
}

// span returns [from, to) of the last axis of x.
func span(x *tensor.Tensor, from, to int) *tensor.Tensor {
	n := x.Shape[len(x.Shape)-1]
	out := tensor.New(append(slices.Clone(x.Shape[:len(x.Shape)-1]), to-from)...)
	for r := range x.Len() / n {
		copy(out.Data[r*(to-from):(r+1)*(to-from)], x.Data[r*n+from:])
	}
	return out
}

// place copies elements of the last axis of y, from skip on, to [from, to) of the last axis of out.
func place(out, y *tensor.Tensor, from, to, skip int) {
	n, m := out.Shape[len(out.Shape)-1], y.Shape[len(y.Shape)-1]
	for r := range out.Len() / n {
		copy(out.Data[r*n+from:r*n+to], y.Data[r*m+skip:])
	}
}

// Decode implements family.Autoencoder: a latent [1,8,16,L] becomes audio [1,2,L·4096].
//
// The deepest level of the decoder attends to the whole of the music; the following layers read a few frames, and run in pieces.
func (v *vae) Decode(ctx context.Context, run family.Runner, z *tensor.Tensor) (*tensor.Tensor, error) {
	if len(z.Shape) != 4 || z.Dim(0) != 1 || z.Dim(1) != channels || z.Dim(2) != height || z.Dim(3) < 1 {
		return nil, fmt.Errorf("decoding a latent of shape %v: the VAE reads audio latents [1,%d,%d,length]", z.Shape, channels, height)
	}
	if err := run.Check("decoding the audio", v.DecodeMemory(z.Shape)); err != nil {
		return nil, err
	}
	x := tensor.New(z.Shape...)
	for i, value := range z.Data {
		x.Data[i] = value/scale + shift
	}
	deep, err := run.Run(ctx, v.graph("vae decoder deep", v.writeDeepDecoder), []family.Value{family.Floats("z", x)}, "out")
	if err != nil {
		return nil, err
	}
	n := z.Dim(3)
	frames := tensor.New(stereo, frameHeight, n*reach)
	err = pieces(n, blockReach, func(from, to, left, right int) error {
		y, err := run.Run(ctx, v.graph("vae decoder", v.writeDecoder), []family.Value{family.Floats("x", span(deep["out"], left, right))}, "out")
		if err != nil {
			return err
		}
		place(frames, y["out"], from*reach, to*reach, (from-left)*reach)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, value := range frames.Data {
		frames.Data[i] = (value*0.5+0.5)*(highest-lowest) + lowest
	}
	out := tensor.New(1, stereo, n*reach*hop)
	return out, pieces(n, voiceReach, func(from, to, left, right int) error {
		y, err := run.Run(ctx, v.graph("vae vocoder", v.voice.write), []family.Value{family.Floats("mel", span(frames, left*reach, right*reach))}, "out")
		if err != nil {
			return err
		}
		place(out, y["out"], from*reach*hop, to*reach*hop, (from-left)*reach*hop)
		return nil
	})
}

// Encode implements family.Autoencoder: audio [1,2,T] becomes a latent [1,8,16,T/4096].
func (v *vae) Encode(ctx context.Context, run family.Runner, x *tensor.Tensor) (*tensor.Tensor, error) {
	if !v.encodes {
		return nil, errors.New("encoding audio: the file holds only the VAE's decoder")
	}
	if len(x.Shape) != 3 || x.Dim(0) != 1 || x.Dim(1) != stereo || x.Dim(2) < reach*hop {
		return nil, fmt.Errorf("encoding audio of shape %v: the VAE reads [1,%d,samples], at least %d samples", x.Shape, stereo, reach*hop)
	}
	if err := run.Check("encoding the audio", v.EncodeMemory(x.Shape)); err != nil {
		return nil, err
	}
	frames, err := spectrogram(ctx, x)
	if err != nil {
		return nil, err
	}
	n := x.Dim(2) / (reach * hop)
	deep := tensor.New(1, v.down[levels-1].channels, height, n)
	err = pieces(n, blockReach, func(from, to, left, right int) error {
		y, err := run.Run(ctx, v.graph("vae encoder", v.writeEncoder), []family.Value{family.Floats("mel", span(frames, left*reach, right*reach))}, "out")
		if err != nil {
			return err
		}
		place(deep, y["out"], from, to, from-left)
		return nil
	})
	if err != nil {
		return nil, err
	}
	z, err := run.Run(ctx, v.graph("vae encoder deep", v.writeDeepEncoder), []family.Value{family.Floats("x", deep)}, "out")
	if err != nil {
		return nil, err
	}
	out := z["out"]
	for i, value := range out.Data {
		out.Data[i] = (value - shift) * scale
	}
	return out, nil
}

// spectrogram is the spectrogram of whole latents of audio [1,2,T], in -1…1: [1,2,128,T/512]. Upstream: music_log_mel.py
// LogMelSpectrogram.
func spectrogram(ctx context.Context, x *tensor.Tensor) (*tensor.Tensor, error) {
	n := x.Dim(2) / (reach * hop) * reach
	out := tensor.New(1, stereo, frameHeight, n)
	for c := range stereo {
		to, samples := out.Data[c*frameHeight*n:(c+1)*frameHeight*n], x.Index(0).Index(c).Data[:n*hop]
		const offset = mel2 - (mel2*2-hop)/2
		err := mel.Spectrogram(ctx, samples, offset, n, func(i int, bands []float32) {
			for k, v := range bands {
				l := math.Log(max(float64(v), 1e-5))
				to[k*n+i] = float32(((l-lowest)/(highest-lowest) - 0.5) / 0.5)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// mel2 is half a window.
const mel2 = 1024

func (v *vae) graph(part string, write func(b *nn.Builder, s *weights.Scope)) family.Graph {
	return family.Graph{Part: part, Build: func(s family.Spec) (*onnx.Graph, error) { return s.Build("ace-step "+part, v.src, write) }}
}

// DecodeMemory implements family.Autoencoder: of the deepest level for the whole, or of the longest piece.
func (v *vae) DecodeMemory(latent []int) int64 {
	n := latent[len(latent)-1]
	return max(
		v.activations.Of(v.graph("vae decoder deep", v.writeDeepDecoder), map[string]int{"L": n}),
		v.activations.Of(v.graph("vae decoder", v.writeDecoder), map[string]int{"L": min(n, piece+2*blockReach)}),
		v.activations.Of(v.graph("vae vocoder", v.voice.write), map[string]int{"L": min(n, piece+2*voiceReach)}),
	)
}

// EncodeMemory implements family.Autoencoder; see DecodeMemory.
func (v *vae) EncodeMemory(pixels []int) int64 {
	n := max(pixels[len(pixels)-1]/(reach*hop), 1)
	if !v.encodes {
		return 0
	}
	return max(
		v.activations.Of(v.graph("vae encoder deep", v.writeDeepEncoder), map[string]int{"L": n}),
		v.activations.Of(v.graph("vae encoder", v.writeEncoder), map[string]int{"L": min(n, piece+2*blockReach)}),
	)
}
