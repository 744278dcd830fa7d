// Package ltxaudio is the audio VAE of LTX-Video 2, which works on mel spectrograms, with the vocoder that converts them to
// audio.
package ltxaudio

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/family"
	"comfygo/engine/family/stableaudio"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/internal/audio"
	"comfygo/internal/audio/spectrum"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "LTX-Video 2 audio VAE" }

// Rank implements family.Family.
func (kind) Rank() int { return 208 }

const (
	// stereo is the number of channels of the audio.
	stereo = 2
	// rate is the sample rate of the audio that is given to the VAE, and upstream cuts it to multiples of hop samples: the defaults of its
	// class for VAEs.
	rate, hop = 44100, 4096
	// pace is the number of frames of a spectrogram per latent value.
	pace = 4
	// pieceValues is the number of latent values that are decoded or encoded at once, pieceFrames is the number of frames of a spectrogram
	// that become audio at once.
	pieceValues, pieceFrames = 128, 256
)

// The layer names that identify the parts of a file.
const (
	keyVocoder = "vocoder."
)

// Read implements family.VAE.
func (kind) Read(src weights.Source) (family.Autoencoder, error) {
	s := weights.NewScope(src)
	var coder string
	for _, prefix := range []string{"audio_vae.", "autoencoder."} {
		if s.Has(prefix+"per_channel_statistics.mean-of-means") && (s.Has(prefix+"decoder.conv_in.conv.weight") || s.Has(prefix+"encoder.conv_in.conv.weight")) {
			coder = prefix
		}
	}
	if coder == "" {
		return nil, nil
	}
	if !s.Has("vocoder.conv_pre.weight") && !s.Has("vocoder.vocoder.conv_pre.weight") {
		return nil, fmt.Errorf("the file holds an audio VAE without its vocoder: take the checkpoint of LTX-Video 2, which has both")
	}
	c, err := readConfig(src)
	if err != nil {
		return nil, err
	}
	return newVAE(src, coder, c)
}

// vae is an audio VAE that was read from a file.
type vae struct {
	config
	// coder are the tensors of the autoencoder, sound those of the vocoder.
	coder, sound     weights.Source
	encoder, decoder *coderConfig
	bins             int
	mean, deviation  []float32
	mel              spectrum.Mel
	// piece and frames are pieceValues and pieceFrames.
	piece, frames int

	activations family.Activations
}

var _ family.Autoencoder = (*vae)(nil)

func newVAE(src weights.Source, prefix string, c config) (*vae, error) {
	p := c.VAE.Model.Params
	v := &vae{config: c, coder: weights.Sub(src, prefix), sound: stableaudio.Factors(weights.Sub(src, keyVocoder)), encoder: p.Encoder, decoder: p.Decoder, piece: pieceValues, frames: pieceFrames}
	v.bins = p.Encoder.Bands / pace
	first := c.Vocoder.First
	if first == nil {
		first = &c.Vocoder.generatorConfig
	}
	const bands = 64 // a channel, which upstream's vocoder is made for
	if p.Decoder.Out != stereo || p.Encoder.In != stereo || !on(first.Stereo) || p.Encoder.Bands != bands || p.Decoder.levels() > pace/2 || p.Encoder.pace() != pace {
		return nil, fmt.Errorf("the config describes audio of %d and %d channels with %d mel bands and %d frames a latent value: known are %d channels with %d bands and %d frames",
			p.Encoder.In, p.Decoder.Out, p.Encoder.Bands, p.Encoder.pace(), stereo, bands, pace)
	}
	var err error
	values := p.Decoder.Latent * v.bins
	if v.mean, err = statistics(v.coder, "per_channel_statistics.mean-of-means", values); err != nil {
		return nil, err
	}
	if v.deviation, err = statistics(v.coder, "per_channel_statistics.std-of-means", values); err != nil {
		return nil, err
	}
	// The floor has the filters sum magnitudes and is too small to be seen.
	v.mel = spectrum.Mel{Rate: float64(p.Rate), High: float64(p.Rate) / 2, Window: c.VAE.Preprocessing.STFT.Window, Hop: c.VAE.Preprocessing.STFT.Hop, Bands: bands, Floor: 1e-30}
	return v, nil
}

// statistics reads a number a latent value.
func statistics(src weights.Source, name string, n int) ([]float32, error) {
	e, ok := src.Lookup(name)
	if !ok || e.Count() != n {
		return nil, fmt.Errorf("reading %s: it is missing or has not %d values", name, n)
	}
	out := make([]float32, n)
	if e.Described() {
		return out, nil // a list of names and shapes
	}
	return out, weights.Range(out, e, 0)
}

// Info implements family.Autoencoder.
func (v *vae) Info() family.VAEInfo {
	return family.VAEInfo{
		Channels: v.decoder.Latent, Downscale: hop, CanEncode: v.has("encoder"), CanDecode: v.has("decoder"), Untiled: true,
		Audio: &family.AudioInfo{
			Channels: stereo, Rate: rate, Hop: hop, OutputRate: v.outputRate(),
			Bins: v.bins, PerSecond: float64(v.VAE.Model.Params.Rate) / float64(v.mel.Hop) / pace,
		},
	}
}

func (v *vae) has(half string) bool {
	_, ok := v.coder.Lookup(half + ".conv_in.conv.weight")
	return ok
}

// Weights implements family.Autoencoder.
func (v *vae) Weights() []weights.Source { return []weights.Source{v.coder, v.sound} }

func (v *vae) encoderGraph() family.Graph {
	return v.graph("vae encoder", v.coder, func(b *nn.Builder, s *weights.Scope) { writeEncoder(b, s.At("encoder"), v.encoder) })
}

func (v *vae) decoderGraph() family.Graph {
	return v.graph("vae decoder", v.coder, func(b *nn.Builder, s *weights.Scope) { writeDecoder(b, s.At("decoder"), v.decoder, v.bins) })
}

// vocoderGraph is the graph of the vocoder, the first one of two.
func (v *vae) vocoderGraph() (family.Graph, *generatorConfig) {
	path, g := "", &v.Vocoder.generatorConfig
	if v.Vocoder.Second != nil {
		path, g = "vocoder", v.Vocoder.First
	}
	return v.graph("vae vocoder", v.sound, func(b *nn.Builder, s *weights.Scope) { writeVocoder(b, s.At(path), g, stereo*v.mel.Bands) }), g
}

func (v *vae) widerGraph() family.Graph {
	w := *v.Vocoder.Second
	none := false
	w.Final = &none
	return v.graph("vae bandwidth", v.sound, func(b *nn.Builder, s *weights.Scope) { writeWider(b, s, &w) })
}

func (*vae) graph(part string, src weights.Source, write func(b *nn.Builder, s *weights.Scope)) family.Graph {
	return family.Graph{Part: part, Build: func(s family.Spec) (*onnx.Graph, error) { return s.Build("ltx audio "+part, src, write) }}
}

// Decode implements family.Autoencoder: a latent [1,C,T,F] becomes audio [1,2,samples].
func (v *vae) Decode(ctx context.Context, run family.Runner, z *tensor.Tensor) (*tensor.Tensor, error) {
	if len(z.Shape) != 4 || z.Dim(0) != 1 || z.Dim(1) != v.decoder.Latent || z.Dim(3) != v.bins || z.Dim(2) < 1 {
		return nil, fmt.Errorf("decoding a latent of shape %v: the VAE reads audio latents [1,%d,length,%d]", z.Shape, v.decoder.Latent, v.bins)
	}
	if !v.has("decoder") {
		return nil, fmt.Errorf("decoding audio: the file holds only the VAE's encoder")
	}
	if err := run.Check("decoding the audio", v.DecodeMemory(z.Shape)); err != nil {
		return nil, err
	}
	mel, err := v.spectrogram(ctx, run, z)
	if err != nil {
		return nil, err
	}
	graph, g := v.vocoderGraph()
	low, err := inPieces(mel, v.frames, g.reach(), g.reach(), g.factor(), stereo, func(x *tensor.Tensor, _, _ int) (*tensor.Tensor, error) {
		y, err := run.Run(ctx, graph, []family.Value{family.Floats("mel", x)}, "out")
		return y["out"], err
	})
	if err != nil || v.Vocoder.Second == nil {
		return low, err
	}
	return v.wider(ctx, run, low)
}

// spectrogram decodes a latent to the mel bands of all channels [1,2·bands,frames].
func (v *vae) spectrogram(ctx context.Context, run family.Runner, z *tensor.Tensor) (*tensor.Tensor, error) {
	x, n, size := z.Clone(), z.Dim(2), v.bins
	for i, value := range x.Data {
		at := i/(n*size)*size + i%size
		x.Data[i] = value*v.deviation[at] + v.mean[at]
	}
	count := n * pace
	if v.decoder.axis(axisTime) != axisNone {
		count -= pace - 1
	}
	out := tensor.New(1, stereo*v.mel.Bands, count)
	at := 0 // frames that are made
	step, reach := n, 0
	if v.decoder.local() {
		step, reach = v.piece, v.decoder.reach()
	}
	for from := 0; from < n; from += step {
		to, left := min(from+step, n), max(from-reach, 0)
		y, err := run.Run(ctx, v.decoderGraph(), []family.Value{family.Floats("z", times(x, left, to))}, "out")
		if err != nil {
			return nil, err
		}
		made := y["out"]
		keep := made.Dim(2)
		if from > 0 { // those before are there, from a piece that ended with them
			keep = (to - from) * v.decoder.pace()
		}
		for c := range stereo {
			for f := range min(v.mel.Bands, made.Dim(3)) {
				row := out.Data[(c*v.mel.Bands+f)*count:]
				for t := 0; t < keep && at+t < count; t++ {
					row[at+t] = made.Data[(c*made.Dim(2)+made.Dim(2)-keep+t)*made.Dim(3)+f]
				}
			}
		}
		at += keep
	}
	return out, nil
}

// times returns [from, to) of the third axis of x [1,C,T,F].
func times(x *tensor.Tensor, from, to int) *tensor.Tensor {
	out := tensor.New(1, x.Dim(1), to-from, x.Dim(3))
	size := (to - from) * x.Dim(3)
	for c := range x.Dim(1) {
		copy(out.Data[c*size:(c+1)*size], x.Data[(c*x.Dim(2)+from)*x.Dim(3):])
	}
	return out
}

// inPieces applies f to pieces of x [1,C,L] with left and right context, and joins the results, which have the given channels and factor values
// for each one of x.
func inPieces(x *tensor.Tensor, size, before, after, factor, channels int, f func(x *tensor.Tensor, left, right int) (*tensor.Tensor, error)) (*tensor.Tensor, error) {
	n := x.Dim(2)
	out := tensor.New(1, channels, n*factor)
	for from := 0; from < n; from += size {
		to := min(from+size, n)
		left, right := max(from-before, 0), min(to+after, n)
		part := tensor.New(1, x.Dim(1), right-left)
		for c := range x.Dim(1) {
			copy(part.Data[c*(right-left):(c+1)*(right-left)], x.Data[c*n+left:])
		}
		y, err := f(part, left, right)
		if err != nil {
			return nil, err
		}
		for c := range channels {
			copy(out.Data[c*n*factor+from*factor:c*n*factor+to*factor], y.Data[c*y.Dim(2)+(from-left)*factor:])
		}
	}
	return out, nil
}

// wider widens the band of audio [1,2,T] and returns it at its new rate.
func (v *vae) wider(ctx context.Context, run family.Runner, low *tensor.Tensor) (*tensor.Tensor, error) {
	w := v.Vocoder.Second
	samples := low.Dim(2)
	count := (samples + w.Hop - 1) / w.Hop
	lead := w.Window - w.Hop
	padded := tensor.New(stereo, lead+count*w.Hop)
	skip := tensor.New(1, stereo, count*w.factor())
	for c := range stereo {
		row := padded.Index(c).Data
		copy(row[lead:], low.Data[c*samples:(c+1)*samples])
		copy(skip.Data[c*skip.Dim(2):], resampled(row[lead:], w.Rate/w.InputRate))
	}
	graph, factor := v.widerGraph(), w.factor()
	windows := tensor.New(1, 1, count) // pieces are counted in windows
	reach := w.reach()
	out, err := inPieces(windows, v.frames, reach, reach, factor, stereo, func(_ *tensor.Tensor, left, right int) (*tensor.Tensor, error) {
		n := (right-left-1)*w.Hop + w.Window
		part, beside := tensor.New(stereo, 1, n), tensor.New(1, stereo, (right-left)*factor)
		for c := range stereo {
			copy(part.Data[c*n:(c+1)*n], padded.Index(c).Data[left*w.Hop:])
			copy(beside.Data[c*beside.Dim(2):(c+1)*beside.Dim(2)], skip.Data[c*skip.Dim(2)+left*factor:])
		}
		y, err := run.Run(ctx, graph, []family.Value{family.Floats("audio", part), family.Floats("skip", beside)}, "out")
		return y["out"], err
	})
	if err != nil {
		return nil, err
	}
	n := samples * w.Rate / w.InputRate
	cut := tensor.New(1, stereo, n)
	for c := range stereo {
		copy(cut.Data[c*n:(c+1)*n], out.Data[c*out.Dim(2):])
	}
	return cut, nil
}

// Encode implements family.Autoencoder: audio [1,2,T] at 44.1 kHz becomes a latent [1,C,L,F].
func (v *vae) Encode(ctx context.Context, run family.Runner, x *tensor.Tensor) (*tensor.Tensor, error) {
	if !v.has("encoder") {
		return nil, fmt.Errorf("encoding audio: the file holds only the VAE's decoder")
	}
	if len(x.Shape) != 3 || x.Dim(0) != 1 || x.Dim(1) != stereo || x.Dim(2) < 1 {
		return nil, fmt.Errorf("encoding audio of shape %v: the VAE reads [1,%d,samples]", x.Shape, stereo)
	}
	if err := run.Check("encoding the audio", v.EncodeMemory(x.Shape)); err != nil {
		return nil, err
	}
	wave, err := audio.Resample(ctx, x, rate, v.VAE.Model.Params.Rate)
	if err != nil {
		return nil, err
	}
	const least = 1e-5
	n := wave.Dim(2)
	count := 1 + n/v.mel.Hop
	mel := tensor.New(1, stereo, count, v.mel.Bands)
	for c := range stereo {
		to := mel.Data[c*count*v.mel.Bands:]
		err = v.mel.Spectrogram(ctx, wave.Data[c*n:(c+1)*n], 0, count, func(i int, bands []float32) {
			for f, b := range bands {
				to[i*v.mel.Bands+f] = float32(math.Log(max(float64(b), least)))
			}
		})
		if err != nil {
			return nil, err
		}
	}
	z, err := v.latent(ctx, run, mel)
	if err != nil {
		return nil, err
	}
	for i, value := range z.Data {
		at := i/(z.Dim(2)*v.bins)*v.bins + i%v.bins
		z.Data[i] = (value - v.mean[at]) / v.deviation[at]
	}
	return z, nil
}

// latent encodes a spectrogram [1,2,M,bands] in pieces.
func (v *vae) latent(ctx context.Context, run family.Runner, mel *tensor.Tensor) (*tensor.Tensor, error) {
	m := mel.Dim(2)
	size, reach := m, 0
	if v.encoder.local() {
		size, reach = v.piece*pace, v.encoder.reach()*pace
	}
	var parts []*tensor.Tensor
	total := 0
	for from := 0; from < m; from += size {
		to, left := min(from+size, m), max(from-reach, 0)
		y, err := run.Run(ctx, v.encoderGraph(), []family.Value{family.Floats("mel", times(mel, left, to))}, "out")
		if err != nil {
			return nil, err
		}
		part := times(y["out"], (from-left)/pace, y["out"].Dim(2))
		if part.Dim(3) != v.bins {
			return nil, fmt.Errorf("encoding audio: the encoder makes %d frequencies a value, wanted %d", part.Dim(3), v.bins)
		}
		parts, total = append(parts, part), total+part.Dim(2)
	}
	out := tensor.New(1, v.encoder.Latent, total, v.bins)
	at := 0
	for _, p := range parts {
		for c := range v.encoder.Latent {
			copy(out.Data[(c*total+at)*v.bins:], p.Data[c*p.Dim(2)*v.bins:(c+1)*p.Dim(2)*v.bins])
		}
		at += p.Dim(2)
	}
	return out, nil
}

// DecodeMemory implements family.Autoencoder: of the network that takes most, on its longest piece.
func (v *vae) DecodeMemory(latent []int) int64 {
	n := latent[2]
	values := n
	if v.decoder.local() {
		values = min(n, v.piece+v.decoder.reach())
	}
	graph, g := v.vocoderGraph()
	around := func(total, reach int) map[string]int { return map[string]int{"M": min(total, v.frames+2*reach)} }
	most := max(v.activations.Of(v.decoderGraph(), map[string]int{"L": values}), v.activations.Of(graph, around(n*pace, g.reach())))
	if w := v.Vocoder.Second; w != nil {
		most = max(most, v.activations.Of(v.widerGraph(), around(n*pace*g.factor()/w.Hop+1, w.reach())))
	}
	return most
}

// EncodeMemory implements family.Autoencoder; see DecodeMemory.
func (v *vae) EncodeMemory(pixels []int) int64 {
	count := 1 + pixels[len(pixels)-1]*v.VAE.Model.Params.Rate/rate/v.mel.Hop
	if v.encoder.local() {
		count = min(count, (v.piece+v.encoder.reach())*pace)
	}
	return v.activations.Of(v.encoderGraph(), map[string]int{"M": count})
}
