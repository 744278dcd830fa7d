package gemma4

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/tensor"
	"comfygo/internal/audio"
)

// The figures of features: samples of a frame and between frames, length of the Fourier transform, bands of frequencies.
const (
	sampleRate = 16000
	frame      = 320
	hop        = 160
	spectrum   = 512
	bands      = 128
)

// resampling is the filter of conversions to sampleRate (upstream: Gemma4_Tokenizer._resample_16k).
var resampling = audio.Filter{Width: 121, Rolloff: 0.9568384289091556, Beta: 21.01531462440614}

// mono returns the samples of a waveform [1,C,T] at sampleRate, its channels averaged.
func mono(ctx context.Context, waveform *tensor.Tensor, rate int) ([]float32, error) {
	if len(waveform.Shape) != 3 || waveform.Dim(0) != 1 || waveform.Dim(1) < 1 || waveform.Dim(2) < 1 {
		return nil, fmt.Errorf("encoding a sound: it has the shape %v, wanted one of channels and samples", waveform.Shape)
	}
	channels, n := waveform.Dim(1), waveform.Dim(2)
	x := tensor.New(1, n)
	for c := range channels {
		for i, v := range waveform.Data[c*n : (c+1)*n] {
			x.Data[i] += v
		}
	}
	for i := range x.Data {
		x.Data[i] /= float32(channels)
	}
	out, err := resampling.Resample(ctx, x, rate, sampleRate)
	if err != nil {
		return nil, fmt.Errorf("encoding a sound: %w", err)
	}
	return out.Data, nil
}

// melFeatures are the logarithms of the energies in bands of frequencies of each frame, and after them 1 for frames of the sound, 0 for those
// of the silence that fills it up: [frames,bands+1] (upstream: Gemma4_Tokenizer._extract_audio_features).
func melFeatures(samples []float32) *tensor.Tensor {
	const round = 128
	n := len(samples)
	padded := make([]float32, hop+(n+round-1)/round*round) // half a frame of silence before the sound
	copy(padded[hop:], samples)
	frames := max((len(padded)-(frame+1))/hop+1, 1)
	if short := frame + 1 - len(padded); short > 0 {
		padded = append(padded, make([]float32, short)...)
	}
	out := tensor.New(frames, bands+1)
	window, cos, sin, filters := make([]float32, frame), make([]float64, spectrum), make([]float64, spectrum), melFilters()
	for i := range window {
		window[i] = float32(0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/frame))
	}
	for i := range cos {
		sin[i], cos[i] = math.Sincos(2 * math.Pi * float64(i) / spectrum)
	}
	magnitudes := make([]float64, spectrum/2+1)
	x := make([]float64, frame)
	for t := range frames {
		if end := t*hop + frame; end < hop || end-hop >= n {
			continue
		}
		for i := range x {
			x[i] = float64(padded[t*hop+i] * window[i])
		}
		for k := range magnitudes {
			var re, im float64
			for i, v := range x {
				at := k * i % spectrum
				re += v * cos[at]
				im -= v * sin[at]
			}
			magnitudes[k] = math.Hypot(re, im)
		}
		row := out.Index(t).Data
		for b, f := range filters {
			sum := 0.0
			for k, w := range f {
				sum += w * magnitudes[k]
			}
			row[b] = float32(math.Log(sum + 0.001))
		}
		row[bands] = 1
	}
	return out
}

// melFilters are the triangles of the bands over the frequencies of the spectrum, by HTK's scale.
func melFilters() [][]float64 {
	const top = sampleRate / 2
	last := 2595 * math.Log10(1+top/700.0)
	centres := make([]float64, bands+2)
	for i := range centres {
		centres[i] = 700 * (math.Pow(10, last*float64(i)/float64(bands+1)/2595) - 1)
	}
	out := make([][]float64, bands)
	for b := range out {
		out[b] = make([]float64, spectrum/2+1)
		for k := range out[b] {
			f := float64(top) * float64(k) / (spectrum / 2)
			up, down := (f-centres[b])/(centres[b+1]-centres[b]), (centres[b+2]-f)/(centres[b+2]-centres[b+1])
			out[b][k] = max(0, min(up, down))
		}
	}
	return out
}
