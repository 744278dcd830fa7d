package music

import (
	"context"
	"math"
	"slices"

	"comfygo/internal/audio/spectrum"
)

// defaultTempo is the tempo of audio that is too short to estimate one.
const defaultTempo = 120.0

// Tempo estimates the beats per minute of samples.
func Tempo(ctx context.Context, samples []float32, rate int) (float64, error) {
	const least = 10 * Hop
	if len(samples) < least {
		return defaultTempo, nil
	}
	b, err := MelBands(ctx, samples, rate)
	if err != nil {
		return 0, err
	}
	return TempoOf(ctx, b.Decibels(0).Onsets(), rate, defaultTempo)
}

// TempoOf estimates the beats per minute of onsets, which are taken to be near to start.
func TempoOf(ctx context.Context, onsets []float32, rate int, start float64) (float64, error) {
	const least, seconds, fastest = 20, 8.0, 320.0
	if len(onsets) < least {
		return defaultTempo, nil
	}
	n := min(int(math.RoundToEven(seconds*float64(rate)/Hop)), len(onsets))
	if n < 2 {
		return defaultTempo, nil
	}
	mean, err := tempogram(ctx, onsets, n)
	if err != nil {
		return 0, err
	}
	bpm := func(k int) float64 { return 60 * float64(rate) / (Hop * float64(k)) }
	first := 1
	for first < n && bpm(first) >= fastest {
		first++
	}
	if first == n {
		first = 1
	}
	best, most := 1, math.Inf(-1)
	for k := first; k < n; k++ {
		d := math.Log2(bpm(k)) - math.Log2(start)
		if v := math.Log1p(1e6*max(mean[k], 0)) - 0.5*d*d; v > most {
			best, most = k, v
		}
	}
	return bpm(best), nil
}

// tempogram returns how much the onsets around each frame resemble those some frames later, in the mean; n frames are looked
// at.
func tempogram(ctx context.Context, onsets []float32, n int) ([]float64, error) {
	pad := n / 2
	padded := make([]float64, 0, len(onsets)+2*pad)
	first, last := float64(onsets[0]), float64(onsets[len(onsets)-1])
	for i := range pad { // ramps from 0 and to it
		padded = append(padded, first*float64(i)/float64(pad))
	}
	for _, v := range onsets {
		padded = append(padded, float64(v))
	}
	for i := range pad {
		padded = append(padded, last*float64(pad-1-i)/float64(pad))
	}
	size := 1
	for size < 2*n {
		size *= 2
	}
	f, w := spectrum.New(size), spectrum.Hann(n)
	mean, power := make([]float64, n), make([]complex128, size)
	for i := range onsets {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		for k, c := range f.Run(func(k int) complex128 {
			if k >= n || i+k >= len(padded) {
				return 0
			}
			return complex(padded[i+k]*w[k], 0)
		}) {
			power[k] = complex(spectrum.Square(c), 0)
		}
		same := f.Run(func(k int) complex128 { return power[k] })[:n] // powers are symmetric: the transform is its inverse
		most := 0.0
		for _, c := range same {
			most = max(most, math.Abs(real(c)))
		}
		if most == 0 {
			continue
		}
		for k, c := range same {
			mean[k] += real(c) / most
		}
	}
	for k := range mean {
		mean[k] /= float64(len(onsets))
	}
	return mean, nil
}

// Peaks returns the frames in which onsets are at their highest: none is higher close before, and the mean around is lower by
// seven hundredths of the range.
func Peaks(onsets []float32, rate int) []int {
	frames := func(seconds float64) int { return int(seconds * float64(rate) / Hop) }
	before, around, after, wait := frames(0.03), frames(0.10), frames(0.10)+1, frames(0.03)
	lo, hi := slices.Min(onsets), slices.Max(onsets)
	v := make([]float64, len(onsets))
	for i, o := range onsets {
		v[i] = float64(o - lo)
		if hi > lo {
			v[i] = float64((o - lo) / (hi - lo))
		}
	}
	var out []int
	for n := 0; n < len(v); n++ {
		part := v[max(0, n-around):min(n+after, len(v))]
		sum := 0.0
		for _, p := range part {
			sum += p
		}
		const above = 0.07
		if v[n] == slices.Max(v[max(0, n-before):n+1]) && v[n] >= sum/float64(len(part))+above {
			out = append(out, n)
			n += wait
		}
	}
	return out
}

// Beats returns the frames of a regular beat through onsets at a tempo, by dynamic programming (Ellis 2007).
func Beats(ctx context.Context, onsets []float32, tempo float64, rate int) ([]int, error) {
	period := math.RoundToEven(float64(rate) / Hop * 60 / tempo)
	if !(period > 0) || len(onsets) < 2 {
		return nil, nil
	}
	score := beatScores(onsets, period)
	total, back, err := beatChain(ctx, score, int(period))
	if err != nil {
		return nil, err
	}
	var beats []int
	seen := make([]bool, len(score))
	for n := lastBeat(total); n >= 0 && !seen[n]; n = back[n] {
		seen[n] = true
		beats = append(beats, n)
	}
	slices.Reverse(beats)
	return trimmed(beats, score), nil
}

// beatScores smooths onsets over a beat.
func beatScores(onsets []float32, period float64) []float64 {
	mean, variance := 0.0, 0.0
	for _, o := range onsets {
		mean += float64(o) / float64(len(onsets))
	}
	for _, o := range onsets {
		variance += (float64(o) - mean) * (float64(o) - mean) / float64(len(onsets)-1)
	}
	scale := 1.0
	if variance > 0 {
		scale = 1 / math.Sqrt(variance)
	}
	p := int(period)
	window := make([]float64, 2*p+1)
	for i := range window {
		d := float64(i-p) * 32 / period
		window[i] = math.Exp(-0.5 * d * d)
	}
	out := make([]float64, len(onsets))
	for i := range out {
		for k := max(0, i-p); k <= min(len(onsets)-1, i+p); k++ {
			out[i] += float64(onsets[k]) * scale * window[i-k+p]
		}
	}
	return out
}

// beatChain returns the best sum of scores up to each frame, and the beat before it, or -1.
func beatChain(ctx context.Context, score []float64, period int) (total []float64, back []int, err error) {
	const tightness, weak = 100, 0.01
	total, back = make([]float64, len(score)), make([]int, len(score))
	least := weak * slices.Max(score)
	total[0], back[0] = score[0], -1
	first := true
	costs := make([]float64, 2*period+1)
	for d := 1; d <= 2*period; d++ {
		l := math.Log(float64(d)) - math.Log(float64(period))
		costs[d] = tightness * l * l
	}
	for i := 1; i < len(score); i++ {
		const often = 1024
		if i%often == 0 {
			if err := context.Cause(ctx); err != nil {
				return nil, nil, err
			}
		}
		best, place := math.Inf(-1), -1
		for d := int(math.RoundToEven(float64(period) / 2)); d <= 2*period && d <= i; d++ {
			if d == 0 {
				continue
			}
			if v := total[i-d] - costs[d]; v > best {
				best, place = v, i-d
			}
		}
		total[i] = score[i]
		if place >= 0 {
			total[i] += best
		}
		if back[i] = place; first && score[i] < least {
			back[i] = -1
		} else {
			first = false
		}
	}
	return total, back, nil
}

// lastBeat returns the last peak of sums that is at least half as high as peaks are in the middle.
func lastBeat(total []float64) int {
	n := len(total)
	var peaks []int
	var heights []float64
	for i := 1; i < n; i++ {
		if total[i] > total[i-1] && (i == n-1 || total[i] >= total[i+1]) {
			peaks, heights = append(peaks, i), append(heights, total[i])
		}
	}
	if len(peaks) == 0 {
		return n - 1
	}
	least := 0.5 * middle(heights)
	for i := len(peaks) - 1; i >= 0; i-- {
		if total[peaks[i]] >= least {
			return peaks[i]
		}
	}
	return -1
}

// middle is the median.
func middle(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// trimmed omits beats before and behind the part that is loud enough.
func trimmed(beats []int, score []float64) []int {
	if len(beats) == 0 {
		return beats
	}
	at := func(i int) float64 {
		if i < 0 || i >= len(beats) {
			return 0
		}
		return score[beats[i]]
	}
	sum := 0.0
	n := min(len(beats)+2, len(score))
	for i := range n { // by a window of 0, 1/2, 1, 1/2, 0
		v := at(i-1)/2 + at(i) + at(i+1)/2
		sum += v * v
	}
	least := 0.5 * math.Sqrt(sum/float64(n))
	from, to := 0, len(score)-1
	for from < len(score) && score[from] <= least {
		from++
	}
	for to >= 0 && score[to] <= least {
		to--
	}
	return slices.DeleteFunc(beats, func(b int) bool { return b < from || b > to })
}
