package spectrum

import (
	"context"
	"math"
)

// Filter is a triangle over the lines of a spectrum, which begins at line From.
type Filter struct {
	From    int
	Weights []float32
}

// Mel describes a spectrogram in mel bands.
type Mel struct {
	// Rate is the sample rate, Low and High bound the bands, in Hz each.
	Rate, Low, High float64
	// Window is the number of samples of a window (Hann), Hop the distance of windows, Bands the number of bands.
	Window, Hop, Bands int
	// Floor, if above zero, makes bands sum the roots of power plus Floor over lines; otherwise they sum power.
	Floor float64
}

// toMel converts a frequency to Slaney's scale, which is linear below 1 kHz.
func toMel(hz float64) float64 {
	if hz >= logFrom {
		return logFrom/linear + math.Log(hz/logFrom)/logStep
	}
	return hz / linear
}

func toHz(mel float64) float64 {
	if mel >= logFrom/linear {
		return logFrom * math.Exp(logStep*(mel-logFrom/linear))
	}
	return linear * mel
}

// Constants of Slaney's scale; logStep is log(6.4)/27.
const linear, logFrom, logStep = 200.0 / 3, 1000.0, 1.8562979903656263 / 27

// Filters are the bands' triangles over the lines of a spectrum, each of the area one (Slaney's norm).
func (m Mel) Filters() []Filter {
	edges := make([]float64, m.Bands+2)
	bottom, top := toMel(m.Low), toMel(m.High)
	for i := range edges {
		edges[i] = toHz(bottom + (top-bottom)*float64(i)/float64(m.Bands+1))
	}
	out := make([]Filter, m.Bands)
	for b := range out {
		lo, mid, hi := edges[b], edges[b+1], edges[b+2]
		for k := range m.Window/2 + 1 {
			hz := float64(k) * m.Rate / float64(m.Window)
			v := min((hz-lo)/(mid-lo), (hi-hz)/(hi-mid))
			if !(v > 0) {
				continue
			}
			if out[b].Weights == nil {
				out[b].From = k
			}
			out[b].Weights = append(out[b].Weights, float32(float64(float32(v))*(2/(hi-lo))))
		}
	}
	return out
}

// Spectrogram calls each with the bands of every window. The first window is centred at offset, the next ones Hop samples on, count of them. Samples outside are those that are
// mirrored at the ends. The bands are overwritten by the next call.
func (m Mel) Spectrogram(ctx context.Context, samples []float32, offset, count int, each func(i int, bands []float32)) error {
	f, w, filters := New(m.Window), Hann(m.Window), m.Filters()
	lines, out := make([]float64, m.Window/2+1), make([]float32, m.Bands)
	for i := range count {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		from := offset + i*m.Hop - m.Window/2
		for k, c := range f.Run(func(k int) complex128 { return complex(float64(samples[mirrored(from+k, len(samples))])*w[k], 0) })[:len(lines)] {
			lines[k] = Square(c)
			if m.Floor > 0 {
				lines[k] = math.Sqrt(lines[k] + m.Floor)
			}
		}
		for b, filter := range filters {
			sum := 0.0
			for k, weight := range filter.Weights {
				sum += float64(weight) * lines[filter.From+k]
			}
			out[b] = float32(sum)
		}
		each(i, out)
	}
	return nil
}

// mirrored returns the index below n that i becomes when it is reflected at the first and the last one.
func mirrored(i, n int) int {
	if n == 1 {
		return 0
	}
	period := 2 * (n - 1)
	i = ((i % period) + period) % period
	return min(i, period-i)
}
