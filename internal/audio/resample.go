// Package audio reads and writes uncompressed and FLAC audio and does the signal processing of audio nodes: sample rate conversion and
// equalizer filters, with the values of torchaudio.
//
// It knows nothing of nodes, files' places or other codecs; package ffmpeg reads those.
package audio

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync"

	"comfygo/engine/tensor"
	"comfygo/engine/vec"
	"comfygo/internal/imaging"
)

// Filter is the low-pass filter of a conversion.
type Filter struct {
	// Width is half the length of the window in zero crossings, Rolloff the cut-off frequency as a part of the Nyquist frequency.
	Width, Rolloff float64
	// Beta is that of a Kaiser window; 0 means a Hann window.
	Beta float64
}

// standard is the filter of torchaudio.functional.resample's defaults.
var standard = Filter{Width: 6, Rolloff: 0.99}

// maxKernel bounds the number of filter weights; sample rates of broken files would need more.
const maxKernel = 1 << 26

// Resample converts a waveform [...,T] from one sample rate to another, both in Hz, by windowed sinc interpolation (Hann window).
// Source: torchaudio.functional.resample with its defaults. The result has ceil(T*to/from) samples.
func Resample(ctx context.Context, waveform *tensor.Tensor, from, to int) (*tensor.Tensor, error) {
	return standard.Resample(ctx, waveform, from, to)
}

// Resample is the function of this name with another filter.
func (f Filter) Resample(ctx context.Context, waveform *tensor.Tensor, from, to int) (*tensor.Tensor, error) {
	if from <= 0 || to <= 0 {
		return nil, fmt.Errorf("resampling audio from %d Hz to %d Hz: sample rates must be positive", from, to)
	}
	if from == to {
		return waveform, nil
	}
	g := gcd(from, to)
	k, err := f.kernel(from/g, to/g)
	if err != nil {
		return nil, err
	}
	shape := append([]int(nil), waveform.Shape...)
	length := shape[len(shape)-1]
	if length > math.MaxInt/k.new {
		return nil, fmt.Errorf("resampling audio from %d Hz to %d Hz: %d samples are too many", from, to, length)
	}
	shape[len(shape)-1] = (length*k.new + k.orig - 1) / k.orig
	if err := imaging.CheckSize("resampled audio", shape...); err != nil {
		return nil, err
	}
	out := tensor.New(shape...)
	rows, n := tensor.Count(shape[:len(shape)-1]), shape[len(shape)-1]
	for r := range rows {
		if err := k.apply(ctx, out.Data[r*n:(r+1)*n], waveform.Data[r*length:(r+1)*length]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// kernel holds the weights of the filters by phase. Output sample q*new+p is the sum of weights[p][i]*in[q*orig+first[p]+i].
type kernel struct {
	orig, new int
	first     []int
	weights   [][]float32
	padded    [][]float32 // weights with zeros behind them, a multiple of vectorLength
}

// vectorLength is the number of products that a vector takes.
const vectorLength = 8

// kernel computes the weights with torchaudio's single precision steps. Of each filter it keeps the span within the window: beyond it
// torchaudio's weights are below 1e-20.
func (f Filter) kernel(orig, to int) (*kernel, error) {
	base := float64(min(orig, to)) * f.Rolloff
	width := int(math.Ceil(f.Width * float64(orig) / base))
	if most := 2 * f.Width * float64(orig) / base * float64(to); most > maxKernel {
		return nil, fmt.Errorf("resampling audio: the ratio of %d to %d needs more than %d filter weights; choose sample rates with a larger common divisor", orig, to, maxKernel)
	}
	k := &kernel{orig: orig, new: to, first: make([]int, to), weights: make([][]float32, to), padded: make([][]float32, to)}
	scale := float32(base / float64(orig))
	for p := range to {
		centre := float64(p) / float64(to) * float64(orig) // where the filter has its peak, in input samples
		reach := f.Width * float64(orig) / base
		from := max(int(math.Floor(centre-reach))-1, -width)
		until := min(int(math.Ceil(centre+reach))+1, width+orig-1)
		shift := float32(-p) / float32(to)
		n := until - from + 1
		w := make([]float32, 0, (n+vectorLength-1)/vectorLength*vectorLength)
		for i := from; i <= until; i++ {
			w = append(w, f.weight(shift, float32(i)/float32(orig), float32(base), scale))
		}
		k.first[p], k.weights[p], k.padded[p] = from, w, w[:cap(w)]
	}
	return k, nil
}

// weight is one filter weight, at shift+at in units of the input's period times orig.
func (f Filter) weight(shift, at, base, scale float32) float32 {
	t := float32(shift+at) * base
	wide := float32(f.Width)
	t = max(-wide, min(t, wide))
	window := f.window(t)
	t *= float32(math.Pi)
	s := float32(1)
	if t != 0 {
		s = float32(math.Sin(float64(t))) / t
	}
	return s * float32(window*scale)
}

// window is the value of the window at t zero crossings from its middle.
func (f Filter) window(t float32) float32 {
	if f.Beta != 0 {
		part := float64(t) / f.Width
		return float32(bessel(f.Beta*math.Sqrt(max(0, 1-part*part))) / bessel(f.Beta))
	}
	c := float32(math.Cos(float64(float32(t*float32(math.Pi)) / float32(f.Width) / 2)))
	return float32(c * c)
}

// bessel is the modified Bessel function of the first kind of order 0, by its power series.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > sum*1e-17; k++ {
		term *= x * x / (4 * k * k)
		sum += term
	}
	return sum
}

// chunk is the number of output samples that one goroutine takes at a time.
const chunk = 1 << 15

// apply filters one row. The samples before and behind it count as zeros.
func (k *kernel) apply(ctx context.Context, out, in []float32) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for from := 0; from < len(out); from += chunk {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		slots <- struct{}{}
		wg.Go(func() {
			k.span(out, in, from, min(from+chunk, len(out)))
			<-slots
		})
	}
	return nil
}

// span computes output samples [from, to).
func (k *kernel) span(out, in []float32, from, to int) {
	for p := range k.new {
		// Of this phase, the samples whose filters lie within the input, from first on.
		first, until := (from-p+k.new-1)/k.new, (to-p+k.new-1)/k.new
		inside, beyond := max(first, ceil(-k.first[p], k.orig)), until
		if room := len(in) - k.first[p] - len(k.padded[p]); room < 0 {
			beyond = 0
		} else {
			beyond = min(beyond, room/k.orig+1)
		}
		done := inside < beyond && vec.Filter(out[inside*k.new+p:], in[inside*k.orig+k.first[p]:], k.padded[p], beyond-inside, k.new, k.orig)
		for q := first; q < until; q++ {
			if done && q == inside {
				q = beyond - 1
				continue
			}
			out[q*k.new+p] = k.sample(in, p, q*k.orig+k.first[p])
		}
	}
}

// ceil is the quotient rounded up.
func ceil(a, b int) int {
	if a <= 0 {
		return 0
	}
	return (a + b - 1) / b
}

// sample is the sum of a phase's weights and the input from at on.
func (k *kernel) sample(in []float32, p, at int) float32 {
	w := k.weights[p]
	if skip := -at; skip > 0 {
		w, at = w[min(skip, len(w)):], 0
	}
	if over := at + len(w) - len(in); over > 0 {
		w = w[:max(0, len(w)-over)]
	}
	if len(w) == 0 {
		return 0
	}
	return dot(w, in[at:at+len(w)])
}

func dot(a, b []float32) float32 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float32
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return (s0 + s2) + (s1 + s3)
}
