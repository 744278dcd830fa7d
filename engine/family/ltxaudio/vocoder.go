package ltxaudio

import (
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family/stableaudio"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// The slopes of leaky rectifiers: of residual blocks, and of the last one, which is torch's default.
const (
	slope     = 0.1
	lastSlope = 0.01
)

// generator writes a network that converts a mel spectrogram to audio.
type generator struct {
	*nn.Builder
	*generatorConfig
}

// write writes the layers at s for x [B,C,L]: audio [B,channels,L·factor] is the result.
func (g *generator) write(s *weights.Scope, x *onnx.Value) *onnx.Value {
	x = g.conv(s.At("conv_pre"), x, g.Width, 7, 1)
	for i, rate := range g.Rates {
		if g.Block != blockAlias {
			x = g.LeakyRelu(x, slope)
		}
		kernel := g.UpKernels[i]
		pad := []int{(kernel - rate) / 2}
		x = g.ConvTranspose(s.At("ups").Index(i), x, g.Width>>(i+1), []int{kernel}, 1, onnx.WindowND{Stride: []int{rate}, Before: pad, After: pad})
		var sum *onnx.Value
		for k := range g.Kernels {
			y := g.block(s.At("resblocks").Index(i*len(g.Kernels)+k), x, g.Kernels[k], g.Dilations[k])
			if sum == nil {
				sum = y
			} else {
				sum = g.Add(sum, y)
			}
		}
		x = g.Div(sum, g.Const(float32(len(g.Kernels))))
	}
	if g.Block == blockAlias {
		x = g.smooth(s.At("act_post"), x)
	} else {
		x = g.LeakyRelu(x, lastSlope)
	}
	x = g.conv(s.At("conv_post"), x, g.channels(), 7, 1)
	switch {
	case !on(g.Final):
		return x
	case on(g.Tanh):
		return g.Builder.Tanh(x)
	}
	return g.Clip(x, -1, 1)
}

// conv is a convolution with an odd kernel that keeps the length.
func (g *generator) conv(s *weights.Scope, x *onnx.Value, out, kernel, dilation int) *onnx.Value {
	pad := []int{(kernel - 1) / 2 * dilation}
	return g.Conv1d(s, x, out, kernel, 1, onnx.WindowND{Dilation: []int{dilation}, Before: pad, After: pad})
}

// block is a residual block. Upstream: ResBlock1, ResBlock2, AMPBlock1.
func (g *generator) block(s *weights.Scope, x *onnx.Value, kernel int, dilations []int) *onnx.Value {
	n := x.Dim(1).N
	if g.Block == blockTwo {
		for i, d := range dilations[:2] {
			x = g.Add(x, g.conv(s.At("convs").Index(i), g.LeakyRelu(x, slope), n, kernel, d))
		}
		return x
	}
	for i, d := range dilations[:3] {
		first, second := g.LeakyRelu(x, slope), func(y *onnx.Value) *onnx.Value { return g.LeakyRelu(y, slope) }
		if g.Block == blockAlias {
			first = g.smooth(s.At("acts1").Index(i), x)
			second = func(y *onnx.Value) *onnx.Value { return g.smooth(s.At("acts2").Index(i), y) }
		}
		y := g.conv(s.At("convs1").Index(i), first, n, kernel, d)
		x = g.Add(x, g.conv(s.At("convs2").Index(i), second(y), n, kernel, 1))
	}
	return x
}

// filterTaps is the number of weights of the filters around an activation.
const filterTaps = 12

// smooth is a periodic activation at twice the rate, between low-pass filters. Upstream: Activation1d, Snake, SnakeBeta.
func (g *generator) smooth(s *weights.Scope, x *onnx.Value) *onnx.Value {
	act, n := s.At("act"), x.Dim(1).N
	factor := func(name string) *onnx.Value { return g.Table(act.Weight(name, 1, n, 1)) }
	inverse := stableaudio.InverseAlpha
	if g.Activation == "snakebeta" {
		inverse = stableaudio.InverseBeta
	}
	const pad = filterTaps/2 - 1
	x = g.rows(x, func(x *onnx.Value) *onnx.Value {
		x = g.PadAxes(x, onnx.Edge, []int{0, 0, pad}, []int{0, 0, pad})
		const cut = 2*pad + (filterTaps-2)/2
		y := g.Graph.ConvTranspose(x, g.filter(s.At("upsample")), nil, 1, onnx.WindowND{Stride: []int{2}, Before: []int{cut}, After: []int{cut}})
		return g.Mul(y, g.Const(2))
	})
	y := g.Sin(g.Mul(x, factor(stableaudio.ExpAlpha)))
	x = g.Add(x, g.Mul(factor(inverse), g.Mul(y, y)))
	return g.rows(x, func(x *onnx.Value) *onnx.Value {
		x = g.PadAxes(x, onnx.Edge, []int{0, 0, pad}, []int{0, 0, pad + 1})
		return g.Graph.ConvND(x, g.filter(s.At("downsample", "lowpass")), nil, 1, onnx.WindowND{Stride: []int{2}})
	})
}

// rows has f work on the channels of x [B,C,L] as rows [B·C,1,L].
func (g *generator) rows(x *onnx.Value, f func(*onnx.Value) *onnx.Value) *onnx.Value {
	y := f(g.Reshape(x, x.Dim(0).Times(x.Dim(1)), onnx.D(1), x.Dim(2)))
	return g.Reshape(y, x.Dim(0), x.Dim(1), y.Dim(2))
}

// filter is a low-pass filter [1,1,12] for half the rate: the one of the file, or the one that upstream computes if the file has
// none.
func (g *generator) filter(s *weights.Scope) *onnx.Value {
	if !s.Has("filter") {
		return g.Cast(g.Floats(kaiser(), 1, 1, filterTaps), g.Target.Compute)
	}
	return g.Table(s.Weight("filter", 1, 1, filterTaps))
}

// kaiser is the low-pass filter of BigVGAN for twice the rate: a windowed sinc. Upstream: kaiser_sinc_filter1d.
func kaiser() []float32 {
	const (
		cutoff, halfWidth = 0.25, 0.3
		half              = filterTaps / 2
	)
	a := 2.285*(half-1)*math.Pi*4*halfWidth + 7.95
	beta := 0.0
	switch {
	case a > 50:
		beta = 0.1102 * (a - 8.7)
	case a >= 21:
		beta = 0.5842*math.Pow(a-21, 0.4) + 0.07886*(a-21)
	}
	values, sum := make([]float64, filterTaps), 0.0
	for i := range values {
		at := 2*float64(i)/(filterTaps-1) - 1
		t := float64(i-half) + 0.5
		values[i] = 2 * cutoff * bessel(beta*math.Sqrt(1-at*at)) / bessel(beta) * sinc(2*cutoff*t)
		sum += values[i]
	}
	out := make([]float32, filterTaps)
	for i, v := range values {
		out[i] = float32(v / sum)
	}
	return out
}

// bessel is the modified Bessel function of the first kind, of order zero.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > 1e-17*sum; k++ {
		term *= x * x / (4 * k * k)
		sum += term
	}
	return sum
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// reach limits the number of frames of the spectrogram on each side that a sample depends on.
func (g *generatorConfig) reach() int {
	const edge, smoothed = 8, 8
	n, samples := float64(edge), 1
	for i, rate := range g.Rates {
		n += float64(g.UpKernels[i]) / float64(rate*samples)
		samples *= rate
		most := 0
		for k, kernel := range g.Kernels {
			far := 0
			for _, d := range g.Dilations[k] {
				far += (kernel-1)/2*(d+1) + 2*smoothed
			}
			most = max(most, far)
		}
		n += float64(most) / float64(samples)
	}
	return int(math.Ceil(n + edge/float64(samples)))
}

// writeVocoder writes a vocoder alone: input mel [1,C,M], the bands of all channels, output out [1,channels,M·factor].
func writeVocoder(b *nn.Builder, s *weights.Scope, g *generatorConfig, bands int) {
	mel := b.Input("mel", dtype.F32, onnx.D(1), onnx.D(bands), onnx.Sym("M"))
	y := (&generator{b, g}).write(s, b.Cast(mel, b.Target.Compute))
	b.Output("out", b.Cast(y, dtype.F32))
}

// writeWider writes the network that widens the band of audio: input audio [2,1,(M-1)·hop+window], M windows of each channel, and skip [1,2,M·factor], the audio at
// the new rate; output out [1,2,M·factor]. Upstream: VocoderWithBWE, MelSTFT.
func writeWider(b *nn.Builder, s *weights.Scope, w *widerConfig) {
	const least = 1e-5
	m, lines := onnx.Sym("M"), w.Window/2+1
	channels := w.channels()
	samples := m.Minus(onnx.D(1)).Times(onnx.D(w.Hop)).Plus(onnx.D(w.Window))
	audio := b.Cast(b.Input("audio", dtype.F32, onnx.D(channels), onnx.D(1), samples), b.Target.Compute)
	skip := b.Cast(b.Input("skip", dtype.F32, onnx.D(1), onnx.D(channels), m.Times(onnx.D(w.factor()))), b.Target.Compute)
	stft := s.At("mel_stft")
	parts := b.Graph.ConvND(audio, b.Table(stft.Weight("stft_fn.forward_basis", 2*lines, 1, w.Window)), nil, 1, onnx.WindowND{Stride: []int{w.Hop}})
	parts = b.Declare(parts, onnx.Shape{onnx.D(channels), onnx.D(2 * lines), m})
	halves := b.Split(parts, 1, lines, lines)
	size := b.Sqrt(b.Add(b.Mul(halves[0], halves[0]), b.Mul(halves[1], halves[1])))
	bands := b.MatMul(b.Table(stft.Weight("mel_basis", w.Bands, lines)), size) // [channels,bands,M]
	x := b.Reshape(b.Log(b.Max(bands, b.Const(least))), onnx.D(1), onnx.D(channels*w.Bands), m)
	y := (&generator{b, &w.generatorConfig}).write(s.At("bwe_generator"), x)
	y = b.Declare(y, skip.Shape)
	b.Output("out", b.Cast(b.Clip(b.Add(y, skip), -1, 1), dtype.F32))
}

// resampled is x times ratio samples: torchaudio's filter with the ends repeated. Upstream: UpSample1d with a Hann window.
func resampled(x []float32, ratio int) []float32 {
	const rolloff, width = 0.99, 6
	reach := int(math.Ceil(width / rolloff))
	taps := make([]float64, 2*reach*ratio+1)
	for i := range taps {
		t := (float64(i)/float64(ratio) - float64(reach)) * rolloff
		edge := math.Cos(max(-width, min(width, t)) * math.Pi / width / 2)
		taps[i] = sinc(t) * edge * edge * rolloff
	}
	out := make([]float32, len(x)*ratio)
	for i := range out {
		sum, at := 0.0, i+2*reach*ratio // the place in the result before its ends are cut off
		for k := at % ratio; k < len(taps); k += ratio {
			from := min(max((at-k)/ratio-reach, 0), len(x)-1)
			sum += taps[k] * float64(x[from])
		}
		out[i] = float32(sum)
	}
	return out
}

// BigVGAN is a network of the kind of BigVGAN that converts C values [B,C,L] to audio of one channel in -1…1, whose periodic activations run at twice the
// rate.
type BigVGAN struct {
	// Width is the number of channels before the first of the layers that raise the rate by Rates with UpKernels; each halves it.
	Width            int
	Rates, UpKernels []int
	// Kernels and Dilations are those of the residual blocks after each of these layers.
	Kernels   []int
	Dilations [][]int
}

// Write writes the layers at s, whose source is one of stableaudio.Factors: [B,1,L·factor] is the result.
func (v BigVGAN) Write(b *nn.Builder, s *weights.Scope, x *onnx.Value) *onnx.Value {
	none := false
	return (&generator{b, &generatorConfig{
		Kernels: v.Kernels, Rates: v.Rates, UpKernels: v.UpKernels, Dilations: v.Dilations, Width: v.Width,
		Stereo: &none, Block: blockAlias, Activation: "snakebeta", Tanh: &none,
	}}).write(s, x)
}
