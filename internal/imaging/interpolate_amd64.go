package imaging

import "golang.org/x/sys/cpu"

// wideFMA reports that the CPU has the instructions that interpolate_amd64.s uses.
var wideFMA = cpu.X86.HasAVX2 && cpu.X86.HasFMA

//go:noescape
func linesVector(to *float32, lines *[4]*float32, weights *[4]float32, taps, turns int)

//go:noescape
func acrossVector(to, from *float32, places *int32, weights *float32, count, taps int)

//go:noescape
func sumsVector(sums, from *float32, windows *int32, count int)

//go:noescape
func meansVector(to, sums, widths *float32, height float32, count int)

//go:noescape
func nearestVector(to, from *float32, places *int32, count int)

//go:noescape
func addTimesVector(to, from *float32, factor float32, turns int)

//go:noescape
func addPairsVector(to, a, b *float32, factor float32, turns int)

// nearestRGB copies the pixels of a row but for the last one, and returns how many.
func nearestRGB(to, from []float32, places []int32) int {
	n := len(places) - 1
	// A pixel that is not the last of the row has a value behind it.
	for n > 0 && (int(places[n-1])/4+4 > len(from) || 3*n+1 > len(to)) {
		n--
	}
	if n <= 0 {
		return 0
	}
	nearestVector(&to[0], &from[0], &places[0], n)
	return n
}

// bytePlaces returns positions in a row of RGB pixels in bytes, or nil without vector instructions for them.
func bytePlaces(cols []int) []int32 { return taps{idx: cols}.places() }

// addTimesTo adds the first values times a factor, and returns how many.
func addTimesTo(to, from []float32, factor float32) int {
	const turn = 8
	turns := min(len(to), len(from)) / turn
	if !wideFMA || turns == 0 {
		return 0
	}
	addTimesVector(&to[0], &from[0], factor, turns)
	return turns * turn
}

// addPairsTo adds the first sums of two times a factor, and returns how many.
func addPairsTo(to, a, b []float32, factor float32) int {
	const turn = 8
	turns := min(len(to), len(a), len(b)) / turn
	if !wideFMA || turns == 0 {
		return 0
	}
	addPairsVector(&to[0], &a[0], &b[0], factor, turns)
	return turns * turn
}

// mixLines sets the first values to the weighted sums of two or four lines, and returns how many.
func mixLines(to []float32, lines [][]float32, weights []float32) int {
	const turn = 8
	turns := len(to) / turn
	if !wideFMA || turns == 0 {
		return 0
	}
	var at [4]*float32
	var w [4]float32
	for i, line := range lines {
		_ = line[len(to)-1]
		at[i], w[i] = &line[0], weights[i]
	}
	linesVector(&to[0], &at, &w, len(lines), turns)
	return turns * turn
}

// places returns the positions of taps in rows of RGB pixels in bytes, or nil without vector instructions for them.
func (t taps) places() []int32 {
	const most = 1 << 24 // bounds what is multiplied
	if !wideFMA {
		return nil
	}
	out := make([]int32, len(t.idx))
	for i, x := range t.idx {
		if x > most {
			return nil
		}
		out[i] = int32(12 * x) //nolint:gosec // bounded above
	}
	return out
}

// acrossRGB resamples a row of RGB pixels, and reports whether it has. to has room for a value more than the row; from has
// to go on for a value behind it.
func acrossRGB(to, from []float32, w int, places []int32, t taps) bool {
	if places == nil || len(from) <= 3*w || len(to) <= 3*(len(t.idx)/t.per) {
		return false
	}
	acrossVector(&to[0], &from[0], &places[0], &t.wt[0], len(t.idx)/t.per, t.per)
	return true
}

// rgbWindows are windows of RGB pixels as the vectors take them.
type rgbWindows struct {
	windows []int32 // place in bytes and number
	widths  []float32
}

// forRGB prepares windows; it returns false without vector instructions for them.
func forRGB(cols []window) (r rgbWindows, ok bool) {
	const most = 1 << 24
	for _, c := range cols {
		if !wideFMA || c.to > most || c.to <= c.from {
			return r, false
		}
		r.windows = append(r.windows, int32(12*c.from), int32(c.to-c.from)) //nolint:gosec // bounded above
		r.widths = append(r.widths, float32(c.to-c.from))
	}
	return r, true
}

// add adds a row's windows to sums of four values each; from has to go on for a value behind the row.
func (r rgbWindows) add(sums, from []float32) {
	sumsVector(&sums[0], &from[0], &r.windows[0], len(r.widths))
}

// means sets a row to what sums are in the mean. to has room for a value more than the row.
func (r rgbWindows) means(to, sums []float32, height float32) {
	meansVector(&to[0], &sums[0], &r.widths[0], height, len(r.widths))
}
