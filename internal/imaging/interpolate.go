package imaging

import "math"

// The functions of this file return the numbers of torch.nn.functional.interpolate with a size, align_corners=False and
// antialias=False on the CPU in float32 (aten/src/ATen/native/UpSample.h, cpu/UpSampleKernel.cpp), compiled so that products are
// fused with the sums that they are part of.

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

// weighted fills dst by separable weights: the columns are summed first, then the rows. Every row of the source is resampled once
// for all rows of the target that need it.
func weighted(dst, src view, cols, rows taps) {
	if cols.per == 2 && dst.w == src.w && dst.h == src.h && src.finite() {
		dst.copyFrom(src) // what the weights 1 and 0 give
		return
	}
	var places []int32
	if dst.interleaved() && src.interleaved() && src.c == 3 {
		places = cols.places()
	}
	parallel(dst.n*dst.h, dst.w*dst.c*(cols.per+rows.per), func(from, to int) {
		w := newWeighing(dst, src, cols, rows)
		w.places = places
		for r := from; r < to; r++ {
			if dst.stopped() {
				return
			}
			n, y := r/dst.h, r%dst.h
			var lines [4][]float32
			for j := range rows.per {
				lines[j] = w.across(n, rows.idx[y*rows.per+j])
			}
			w.down(n, y, lines[:rows.per], rows.wt[y*rows.per:(y+1)*rows.per])
		}
	})
}

// weighing keeps the rows that were resampled last.
type weighing struct {
	dst, src   view
	cols, rows taps
	mixed      bool         // the channels of a pixel lie together in dst, src and kept; else channel after channel
	places     []int32      // of cols in bytes, for RGB pixels, where there are vectors for them
	kept       [4][]float32 // with room for a value more
	row        [4]int       // of the source, counted over all images; -1 for none
	next       int
}

func newWeighing(dst, src view, cols, rows taps) *weighing {
	w := &weighing{dst: dst, src: src, cols: cols, rows: rows, mixed: dst.interleaved() && src.interleaved()}
	for i := range rows.per {
		w.kept[i], w.row[i] = make([]float32, dst.w*dst.c+1), -1
	}
	return w
}

// across is a row of the source in the width of the target.
func (w *weighing) across(n, y int) []float32 {
	at := n*w.src.h + y
	for i := range w.rows.per {
		if w.row[i] == at {
			return w.kept[i]
		}
	}
	// Rows are needed in rising order, so that the one that was resampled first is needed no more.
	slot := w.next
	w.next = (w.next + 1) % w.rows.per
	w.row[slot] = at
	out, step := w.kept[slot], w.src.sw
	if w.places != nil && acrossRGB(out, w.src.row(n, 0, y), w.src.w, w.places, w.cols) {
		return out
	}
	between := 1
	if w.mixed {
		between = w.dst.c
	}
	for c := range w.dst.c {
		line, to := w.src.row(n, c, y), out[c*w.dst.w:]
		if w.mixed {
			to = out[c:]
		}
		if w.cols.per == 2 {
			for x := range w.dst.w {
				idx, wt := w.cols.idx[2*x:][:2], w.cols.wt[2*x:][:2]
				to[x*between] = fma(line[idx[1]*step], wt[1], float32(line[idx[0]*step]*wt[0]))
			}
			continue
		}
		for x := range w.dst.w {
			idx, wt := w.cols.idx[4*x:][:4], w.cols.wt[4*x:][:4]
			part := fma(line[idx[1]*step], wt[1], float32(line[idx[0]*step]*wt[0]))
			to[x*between] = fma(line[idx[3]*step], wt[3], fma(line[idx[2]*step], wt[2], part))
		}
	}
	return out
}

// down sums resampled rows to one of the target.
func (w *weighing) down(n, y int, lines [][]float32, wts []float32) {
	if w.mixed {
		mix(w.dst.row(n, 0, y)[:w.dst.w*w.dst.c], 1, lines, wts)
		return
	}
	for c := range w.dst.c {
		var part [4][]float32
		for i, line := range lines {
			part[i] = line[c*w.dst.w:][:w.dst.w]
		}
		mix(w.dst.line(n, c, y), w.dst.sw, part[:len(lines)], wts)
	}
}

// mix sets every step-th value to the weighted sum of two or four lines.
func mix(out []float32, step int, lines [][]float32, wts []float32) {
	first, count := 0, (len(out)+step-1)/step
	if step == 1 {
		first = mixLines(out, lines, wts)
	}
	a, b := lines[0][:count], lines[1][:count]
	if len(lines) == 2 {
		for x := first; x < count; x++ {
			out[x*step] = fma(b[x], wts[1], float32(a[x]*wts[0]))
		}
		return
	}
	d, e := lines[2][:count], lines[3][:count]
	for x := first; x < count; x++ {
		out[x*step] = fma(e[x], wts[3], fma(d[x], wts[2], fma(b[x], wts[1], float32(a[x]*wts[0]))))
	}
}

// nearest fills dst from the nearest source pixels.
func nearest(dst, src view) {
	cols, rows := nearestExact(src.w, dst.w), nearestExact(src.h, dst.h)
	var places []int32
	if dst.interleaved() && src.interleaved() && src.c == 3 {
		places = bytePlaces(cols)
	}
	parallel(dst.n*dst.h, dst.w*dst.c, func(from, to int) {
		for r := from; r < to; r++ {
			if dst.stopped() {
				return
			}
			n, y := r/dst.h, r%dst.h
			first := 0
			if places != nil {
				first = nearestRGB(dst.row(n, 0, y), src.row(n, 0, rows[y]), places)
			}
			for c := range dst.c {
				out, line := dst.row(n, c, y), src.row(n, c, rows[y])
				for x := first; x < len(cols); x++ {
					out[x*dst.sw] = line[cols[x]*src.sw]
				}
			}
		}
	})
}

// area fills dst with the means of the source windows, as torch's adaptive_avg_pool2d.
func area(dst, src view) {
	cols, rows := windows(src.w, dst.w), windows(src.h, dst.h)
	rgb, vectors := rgbWindows{}, false
	if dst.interleaved() && src.interleaved() && src.c == 3 {
		rgb, vectors = forRGB(cols)
	}
	parallel(dst.n*dst.h, dst.c*src.w*(src.h/dst.h+1), func(from, to int) {
		if vectors {
			areaRGB(dst, src, rgb, rows, from, to)
			return
		}
		sums := make([]float32, dst.w)
		for r := from; r < to; r++ {
			if dst.stopped() {
				return
			}
			n, rows := r/dst.h, rows[r%dst.h]
			for c := range dst.c {
				clear(sums)
				for y := rows.from; y < rows.to; y++ {
					line := src.row(n, c, y)
					for x, w := range cols {
						sum := sums[x]
						for at := w.from * src.sw; at < w.to*src.sw; at += src.sw {
							sum += line[at]
						}
						sums[x] = sum
					}
				}
				out, height := dst.row(n, c, r%dst.h), float32(rows.to-rows.from)
				for x, w := range cols {
					out[x*dst.sw] = sums[x] / height / float32(w.to-w.from)
				}
			}
		}
	})
}

// areaRGB is area for rows of a target of RGB pixels, by vectors.
func areaRGB(dst, src view, cols rgbWindows, rows []window, from, to int) {
	sums, last, line := make([]float32, 4*dst.w), make([]float32, 3*src.w+1), make([]float32, 3*dst.w+1)
	for r := from; r < to && !dst.stopped(); r++ {
		n, y := r/dst.h, r%dst.h
		clear(sums)
		for at := rows[y].from; at < rows[y].to; at++ {
			row := src.row(n, 0, at)
			if len(row) <= 3*src.w { // nothing is behind it
				copy(last, row)
				row = last
			}
			cols.add(sums, row)
		}
		cols.means(line, sums, float32(rows[y].to-rows[y].from))
		copy(dst.row(n, 0, y), line[:3*dst.w])
	}
}

// window is the part of a source axis that a target position is the mean of.
type window struct{ from, to int }

func windows(in, out int) []window {
	list := make([]window, out)
	for i := range list {
		list[i] = window{i * in / out, ((i+1)*in + out - 1) / out}
	}
	return list
}

// fma returns a*b+c rounded once (but for the rare double rounding through float64), as torch's CPU code computes it.
func fma(a, b, c float32) float32 { return float32(float64(a)*float64(b) + float64(c)) }
