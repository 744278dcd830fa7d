package imaging

import "math"

// The functions of this file give the numbers of torch.nn.functional.interpolate with a size, align_corners=False and
// antialias=False on the CPU in float32 (aten/src/ATen/native/UpSample.h, cpu/UpSampleKernel.cpp), whose compiler fuses
// products with the sums they go into.

// taps are the source positions and weights of every target position along one axis.
type taps struct {
	per int       // taps of one position
	idx []int     // per*n positions
	wt  []float32 // per*n weights
}

// sourceIndex returns where target position i lies in the source; it may be negative for cubic weights only.
func sourceIndex(scale float32, i int, cubic bool) float32 {
	at := fma(scale, float32(i)+0.5, -0.5)
	if !cubic && at < 0 {
		return 0
	}
	return at
}

func linearTaps(in, out int) taps {
	t := taps{per: 2, idx: make([]int, 2*out), wt: make([]float32, 2*out)}
	scale := float32(in) / float32(out)
	for i := range out {
		i0, i1, frac := i, i, float32(0)
		if in != out {
			at := sourceIndex(scale, i, false)
			i0 = min(int(at), in-1)
			frac = clamp01(at - float32(i0))
			if i1 = i0; i0 < in-1 {
				i1++
			}
		}
		t.idx[2*i], t.idx[2*i+1] = i0, i1
		t.wt[2*i], t.wt[2*i+1] = 1-frac, frac
	}
	return t
}

// cubicTaps are those of the convolution with a = -0.75.
func cubicTaps(in, out int) taps {
	t := taps{per: 4, idx: make([]int, 4*out), wt: make([]float32, 4*out)}
	scale := float32(in) / float32(out)
	for i := range out {
		at := sourceIndex(scale, i, true)
		first := min(int(math.Floor(float64(at))), in-1)
		frac := clamp01(at - float32(first))
		for j, w := range [4]float32{cubicFar(frac + 1), cubicNear(frac), cubicNear(1 - frac), cubicFar(1 - frac + 1)} {
			t.idx[4*i+j] = max(min(first+j-1, in-1), 0)
			t.wt[4*i+j] = w
		}
	}
	return t
}

const cubicA = float32(-0.75)

// cubicNear is the convolution's weight at a distance of at most 1.
func cubicNear(x float32) float32 {
	return fma(fma(cubicA+2, x, -(cubicA+3))*x, x, 1)
}

// cubicFar is the convolution's weight at a distance of 1 to 2.
func cubicFar(x float32) float32 {
	return fma(fma(fma(cubicA, x, -5*cubicA), x, 8*cubicA), x, -4*cubicA)
}

func clamp01(x float32) float32 { return min(max(x, 0), 1) }

// nearestExact returns the source position of each target position for the mode nearest-exact.
func nearestExact(in, out int) []int {
	idx := make([]int, out)
	scale := float32(in) / float32(out)
	for i := range idx {
		at := sourceIndex(scale, i, false)
		idx[i] = min(int(math.Floor(float64(at)+0.5)), in-1)
	}
	return idx
}

// weighted fills dst by separable weights: the columns are summed first, then the rows.
func weighted(dst, src view, cols, rows taps) {
	parallel(dst.n*dst.h, dst.w*dst.c*cols.per*rows.per, func(from, to int) {
		for r := from; r < to; r++ {
			n, y := r/dst.h, r%dst.h
			for c := range dst.c {
				out := dst.row(n, c, y)
				lines := [4][]float32{}
				for j := range rows.per {
					lines[j] = src.row(n, c, rows.idx[y*rows.per+j])
				}
				wts := rows.wt[y*rows.per : (y+1)*rows.per]
				for x := range dst.w {
					out[x*dst.sw] = weightedPixel(lines[:rows.per], wts, cols, x, src.sw)
				}
			}
		}
	})
}

func weightedPixel(lines [][]float32, wts []float32, cols taps, x, step int) float32 {
	idx, wt := cols.idx[x*cols.per:(x+1)*cols.per], cols.wt[x*cols.per:(x+1)*cols.per]
	var sum float32
	for j, line := range lines {
		var part float32
		for k, at := range idx {
			part = fma(line[at*step], wt[k], part)
		}
		sum = fma(part, wts[j], sum)
	}
	return sum
}

// nearest fills dst from the nearest source pixels.
func nearest(dst, src view) {
	cols, rows := nearestExact(src.w, dst.w), nearestExact(src.h, dst.h)
	parallel(dst.n*dst.h, dst.w*dst.c, func(from, to int) {
		for r := from; r < to; r++ {
			n, y := r/dst.h, r%dst.h
			for c := range dst.c {
				out, line := dst.row(n, c, y), src.row(n, c, rows[y])
				for x, at := range cols {
					out[x*dst.sw] = line[at*src.sw]
				}
			}
		}
	})
}

// area fills dst with the means of the source windows, as torch's adaptive_avg_pool2d.
func area(dst, src view) {
	window := func(i, in, out int) (from, to int) { return i * in / out, ((i+1)*in + out - 1) / out }
	parallel(dst.n*dst.h, dst.c*src.w*(src.h/dst.h+1), func(from, to int) {
		for r := from; r < to; r++ {
			n, y := r/dst.h, r%dst.h
			y0, y1 := window(y, src.h, dst.h)
			for c := range dst.c {
				out := dst.row(n, c, y)
				for x := range dst.w {
					x0, x1 := window(x, src.w, dst.w)
					var sum float32
					for sy := y0; sy < y1; sy++ {
						line := src.row(n, c, sy)
						for sx := x0; sx < x1; sx++ {
							sum += line[sx*src.sw]
						}
					}
					out[x*dst.sw] = sum / float32(y1-y0) / float32(x1-x0)
				}
			}
		}
	})
}

// fma returns a*b+c rounded once (but for the rare double rounding through float64), as torch's CPU code computes it.
func fma(a, b, c float32) float32 { return float32(float64(a)*float64(b) + float64(c)) }
