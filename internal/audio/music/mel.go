package music

import (
	"context"
	"math"
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
	f, w := newTransform(width), hann(width)
	filters := melFilters(float64(rate))
	out := make(Bands, 1+len(samples)/Hop)
	power := make([]float32, width/2+1)
	for i := range out {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		for k, c := range f.run(framed(samples, i, w))[:width/2+1] {
			power[k] = float32(square(c))
		}
		out[i] = make([]float32, bands)
		for m, filter := range filters {
			sum := 0.0
			for k, weight := range filter.weights {
				sum += float64(weight) * float64(power[filter.from+k])
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

// filter is a triangle over the lines of a spectrum.
type filter struct {
	from    int
	weights []float32
}

func melFilters(rate float64) []filter {
	const linear, logFrom, logStep = 200.0 / 3, 1000.0, 1.8562979903656263 / 27 // log(6.4)
	toMel := func(hz float64) float64 {
		if hz >= logFrom {
			return logFrom/linear + math.Log(hz/logFrom)/logStep
		}
		return hz / linear
	}
	toHz := func(mel float64) float64 {
		if mel >= logFrom/linear {
			return logFrom * math.Exp(logStep*(mel-logFrom/linear))
		}
		return linear * mel
	}
	var edges [bands + 2]float64
	top := toMel(rate / 2)
	for i := range edges {
		edges[i] = toHz(top * float64(i) / (bands + 1))
	}
	out := make([]filter, bands)
	for m := range out {
		lo, mid, hi := edges[m], edges[m+1], edges[m+2]
		for k := range width/2 + 1 {
			hz := float64(k) * rate / width
			v := min((hz-lo)/(mid-lo), (hi-hz)/(hi-mid))
			if !(v > 0) {
				continue
			}
			if out[m].weights == nil {
				out[m].from = k
			}
			out[m].weights = append(out[m].weights, float32(float64(float32(v))*(2/(hi-lo))))
		}
	}
	return out
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
