package music

import (
	"context"
	"math"

	"comfygo/internal/audio/spectrum"
)

// Sizes of the analysis, in samples.
const (
	Hop   = 512
	width = 2048
	bands = 128
)

// Bands are the powers of mel bands over time, [frames][128].
type Bands [][]float32

// MelBands returns the powers of samples in 128 mel bands (Slaney's scale), each Hop samples.
func MelBands(ctx context.Context, samples []float32, rate int) (Bands, error) {
	f, w := spectrum.New(width), spectrum.Hann(width)
	filters := spectrum.Mel{Rate: float64(rate), High: float64(rate) / 2, Window: width, Bands: bands}.Filters()
	out := make(Bands, 1+len(samples)/Hop)
	power := make([]float32, width/2+1)
	for i := range out {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		for k, c := range f.Run(framed(samples, i, w))[:width/2+1] {
			power[k] = float32(spectrum.Square(c))
		}
		out[i] = make([]float32, bands)
		for m, filter := range filters {
			sum := 0.0
			for k, weight := range filter.Weights {
				sum += float64(weight) * float64(power[filter.From+k])
			}
			out[i][m] = float32(sum)
		}
	}
	return out, nil
}

// framed returns the windowed samples around the i-th hop; outside they are 0.
func framed(samples []float32, i int, window []float64) func(k int) complex128 {
	from := i*Hop - len(window)/2
	return func(k int) complex128 {
		at := from + k
		if at < 0 || at >= len(samples) {
			return 0
		}
		return complex(float64(samples[at])*window[k], 0)
	}
}

// Decibels returns the powers in decibels, those below -100 cut off. A positive span cuts what is that much below the
// loudest.
func (b Bands) Decibels(span float32) Bands {
	out := make(Bands, len(b))
	most := float32(math.Inf(-1))
	for i, frame := range b {
		out[i] = make([]float32, len(frame))
		for m, v := range frame {
			out[i][m] = float32(10 * math.Log10(max(float64(v), 1e-10)))
			most = max(most, out[i][m])
		}
	}
	if span > 0 {
		for _, frame := range out {
			for m := range frame {
				frame[m] = max(frame[m], most-span)
			}
		}
	}
	return out
}

// Onsets returns how much the bands, in decibels, rise from frame to frame in the mean.
func (b Bands) Onsets() []float32 {
	const pad = 1 + width/(2*Hop)
	out := make([]float32, len(b))
	for i := pad; i < len(b); i++ {
		now, before := b[i-pad+1], b[i-pad]
		sum := 0.0
		for m := range now {
			sum += float64(max(now[m]-before[m], 0))
		}
		out[i] = float32(sum / bands)
	}
	return out
}

// MFCC returns the first cepstral coefficients of bands in decibels (an orthonormal DCT-II), [frames][count].
func (b Bands) MFCC(count int) [][]float32 {
	table := make([][bands]float64, count)
	for k := range table {
		scale := math.Sqrt(2.0 / bands)
		if k == 0 {
			scale = math.Sqrt(1.0 / bands)
		}
		for m := range bands {
			table[k][m] = scale * math.Cos(math.Pi*float64(k)*(2*float64(m)+1)/(2*bands))
		}
	}
	out := make([][]float32, len(b))
	for i, frame := range b {
		out[i] = make([]float32, count)
		for k := range table {
			sum := 0.0
			for m, v := range frame {
				sum += table[k][m] * float64(v)
			}
			out[i][k] = float32(sum)
		}
	}
	return out
}
