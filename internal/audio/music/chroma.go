package music

import (
	"context"
	"math"
	"math/cmplx"
	"slices"

	"comfygo/internal/audio/spectrum"
)

// Constants of the chromagram: lines of an octave, octaves, and the lowest pitch (C1) in Hz.
const (
	lines, octaves = 36, 7
	lowest         = 32.70319566257483
	pitches        = 12
)

// Chroma returns how strong each of the twelve pitch classes is each Hop samples, quantized, smoothed over 41 frames and of
// length 1 (CENS), [frames][12].
func Chroma(ctx context.Context, samples []float32, rate int) ([][]float32, error) {
	tuning, err := tuningOf(ctx, samples, rate)
	if err != nil {
		return nil, err
	}
	raw, err := constantQ(ctx, samples, rate, lowest*math.Exp2(tuning/lines))
	if err != nil {
		return nil, err
	}
	quantized := make([][pitches]float32, len(raw))
	for i, frame := range raw {
		sum := float32(0)
		for _, v := range frame {
			sum += v
		}
		sum = max(sum, math.SmallestNonzeroFloat32*(1<<23))
		for p, v := range frame {
			for _, step := range [...]float32{0.4, 0.2, 0.1, 0.05} {
				if v/sum > step {
					quantized[i][p] += 0.25
				}
			}
		}
	}
	const smooth = 41
	var window [smooth + 2]float64
	total := 0.0
	for i := range window {
		window[i] = 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/(smooth+1))
		total += window[i]
	}
	out := make([][]float32, len(raw))
	for i := range out {
		out[i] = make([]float32, pitches)
		length := 0.0
		for p := range pitches {
			sum := 0.0
			for k, w := range window {
				if at := i + k - len(window)/2; at >= 0 && at < len(quantized) {
					sum += w / total * float64(quantized[at][p])
				}
			}
			out[i][p] = float32(sum)
			length += sum * sum
		}
		length = math.Sqrt(length)
		for p, v := range out[i] {
			if length > 0 {
				out[i][p] = float32(float64(v) / length)
			}
		}
	}
	return out, nil
}

// line is the spectrum of a wavelet: what is left of it at some frequencies.
type line struct {
	at     []int
	values []complex128
	pitch  int
	scale  float64
}

// constantQ returns the sums over octaves of the sizes of constant-Q transforms, by pitch class.
func constantQ(ctx context.Context, samples []float32, rate int, lowest float64) ([][pitches]float32, error) {
	var freqs [lines * octaves]float64
	for i := range freqs {
		freqs[i] = lowest * math.Exp2(float64(i)/lines)
	}
	out := make([][pitches]float32, 1+len(samples)/Hop)
	y, sr, hop := samples, float64(rate), Hop
	for octave := range octaves {
		from := len(freqs) - lines*(octave+1)
		wavelets, size := waveletsOf(freqs[:], from, sr, float64(rate))
		f := spectrum.New(size)
		for i := range out {
			if err := context.Cause(ctx); err != nil {
				return nil, err
			}
			start := i*hop - size/2
			spectrum := f.Run(func(k int) complex128 {
				if at := start + k; at >= 0 && at < len(y) {
					return complex(float64(y[at]), 0)
				}
				return 0
			})
			for _, w := range wavelets {
				var sum complex128
				for k, at := range w.at {
					sum += w.values[k] * spectrum[at]
				}
				out[i][w.pitch] += float32(cmplx.Abs(sum) * w.scale)
			}
		}
		if hop%2 == 0 {
			var err error
			if y, err = halved(ctx, y); err != nil {
				return nil, err
			}
			hop, sr = hop/2, sr/2
		}
	}
	return out, nil
}

// waveletsOf builds the wavelets of an octave in frequencies, as wide as their distance requires, without the smallest
// hundredth.
func waveletsOf(freqs []float64, from int, sr, rate float64) ([]line, int) {
	q := func(i int) float64 { // periods of a wavelet
		lo, hi := max(i-1, 0), min(i+1, len(freqs)-1)
		perOctave := float64(hi-lo) / (math.Log2(freqs[hi]) - math.Log2(freqs[lo]))
		r := math.Exp2(2 / perOctave)
		return (r + 1) / (r - 1)
	}
	longest := 0.0
	for i := from; i < from+lines; i++ {
		longest = max(longest, q(i)*sr/freqs[i])
	}
	size := int(math.Exp2(math.Ceil(math.Log2(longest))))
	f := spectrum.New(size)
	out := make([]line, lines)
	for i := range out {
		freq := freqs[from+i]
		length := q(from+i) * sr / freq
		first, end := int(math.Floor(-length/2)), int(math.Floor(length/2))
		n := end - first
		w := spectrum.Hann(n)
		sum := 0.0
		for _, v := range w {
			sum += v
		}
		pad := (size - n) / 2
		spectrum := f.Run(func(k int) complex128 {
			if k < pad || k >= pad+n {
				return 0
			}
			t := float64(first + k - pad)
			return cmplx.Rect(w[k-pad]/sum*length/float64(size), 2*math.Pi*freq*t/sr)
		})[:size/2+1]
		out[i] = sparse(spectrum)
		out[i].pitch = (from + i + 1) % lines / (lines / pitches)
		out[i].scale = math.Sqrt(rate/sr) / math.Sqrt(q(from+i)*rate/freq)
	}
	return out, size
}

// sparse leaves out the smallest values, which have a hundredth of the sum.
func sparse(spectrum []complex128) line {
	sizes := make([]float64, len(spectrum))
	total := 0.0
	for i, c := range spectrum {
		sizes[i] = cmplx.Abs(c)
		total += sizes[i]
	}
	sorted := slices.Sorted(slices.Values(sizes))
	least, sum := sorted[0], 0.0
	for _, v := range sorted {
		const small = 0.01
		if sum += v / total; sum >= small {
			least = v
			break
		}
	}
	var l line
	for i, c := range spectrum {
		if sizes[i] >= least {
			l.at, l.values = append(l.at, i), append(l.values, c)
		}
	}
	return l
}

// halved returns samples of half the rate, through a low-pass filter (a sinc in a Kaiser window).
func halved(ctx context.Context, y []float32) ([]float32, error) {
	const reach, cutoff, beta = 160, 0.48, 6.5
	var h [2*reach + 1]float64
	sum := 0.0
	for i := range h {
		x := float64(i - reach)
		s := 1.0
		if x != 0 {
			s = math.Sin(math.Pi*cutoff*x) / (math.Pi * cutoff * x)
		}
		r := x / reach
		h[i] = s * bessel(beta*math.Sqrt(max(1-r*r, 0)))
		sum += h[i]
	}
	for i := range h {
		h[i] *= math.Sqrt2 / sum
	}
	out := make([]float32, (len(y)+1)/2)
	for i := range out {
		const part = 1 << 14 // some milliseconds of work
		if i%part == 0 {
			if err := context.Cause(ctx); err != nil {
				return nil, err
			}
		}
		v := 0.0
		for k := max(0, 2*i-reach); k <= min(len(y)-1, 2*i+reach); k++ {
			v += h[2*i-k+reach] * float64(y[k])
		}
		out[i] = float32(v)
	}
	return out, nil
}

// bessel is the modified Bessel function of the first kind of order 0.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > 1e-17*sum; k++ {
		term *= x * x / (4 * k * k)
		sum += term
	}
	return sum
}

// tuningOf returns by how much of a line samples are off the usual pitch, -0.5 to 0.49: the most frequent of the pitches that
// stand out.
func tuningOf(ctx context.Context, samples []float32, rate int) (float64, error) {
	if len(samples) < width {
		return 0, nil
	}
	f, w := spectrum.New(width), spectrum.Hann(width)
	var found, sizes []float32
	s := make([]float32, width/2+1)
	for i := range 1 + len(samples)/Hop {
		if err := context.Cause(ctx); err != nil {
			return 0, err
		}
		most := float32(0)
		for k, c := range f.Run(framed(samples, i, w))[:len(s)] {
			s[k] = float32(cmplx.Abs(c))
			most = max(most, s[k])
		}
		const part, from, to = 0.1, 150.0, 4000.0
		ref := part * most
		loud := func(k int) float32 {
			if s[k] > ref {
				return s[k]
			}
			return 0
		}
		for k := 1; k < len(s)-1; k++ {
			hz := float64(k) * float64(rate) / width
			if hz < from || hz >= min(to, float64(rate)/2) || !(loud(k) > loud(k-1) && loud(k) >= loud(k+1)) {
				continue
			}
			a, b := s[k+1]+s[k-1]-2*s[k], (s[k+1]-s[k-1])/2
			shift := float32(0)
			if abs(b) < abs(a) {
				shift = -b / a
			}
			if p := float32((float64(k) + float64(shift)) * float64(rate) / width); p > 0 {
				found, sizes = append(found, p), append(sizes, s[k]+0.5*b*shift)
			}
		}
	}
	if len(found) == 0 {
		return 0, nil
	}
	return commonTuning(found, sizes), nil
}

func abs(v float32) float32 { return max(v, -v) }

func commonTuning(found, sizes []float32) float64 {
	sorted := slices.Sorted(slices.Values(sizes))
	least := (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
	const bins = 100
	var counts [bins]int
	edge := func(i int) float64 { return -0.5 + float64(i)/bins }
	for i, p := range found {
		if sizes[i] < least {
			continue
		}
		octave := float32(math.Log2(float64(float32(float64(p) / (440.0 / 16)))))
		r := float64(lines * octave)
		if r -= math.Floor(r); r >= 0.5 {
			r--
		}
		k := min(max(int((r+0.5)*bins), 0), bins-1)
		if k > 0 && r < edge(k) {
			k--
		} else if k < bins-1 && r >= edge(k+1) {
			k++
		}
		counts[k]++
	}
	best := 0
	for k, c := range counts {
		if c > counts[best] {
			best = k
		}
	}
	return edge(best)
}
