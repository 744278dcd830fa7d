package imaging

import "comfygo/internal/imaging/codec"

// vectorBytes is the number of bytes of a turn of the functions below.
const vectorBytes = 32

//go:noescape
func bytesVector(to *byte, from *float32, turns int)

//go:noescape
func floatsVector(to *float32, from *byte, turns int)

//go:noescape
func columnsVector(to, from *byte, line, turns int, weights *int32, count int)

//go:noescape
func rowsVector(to, from *byte, first, weights *int32, count, pairs int)

// toBytes sets the first bytes as toByte does, and returns how many.
func toBytes(to []byte, from []float32) int {
	turns := min(len(to), len(from)) / vectorBytes
	if !wide || turns == 0 {
		return 0
	}
	bytesVector(&to[0], &from[0], turns)
	return turns * vectorBytes
}

// fromBytes sets the first values to bytes divided by 255, and returns how many.
func fromBytes(to []float32, from []byte) int {
	turns := min(len(to), len(from)) / vectorBytes
	if !wide || turns == 0 {
		return 0
	}
	floatsVector(&to[0], &from[0], turns)
	return turns * vectorBytes
}

// weighColumns sets the first bytes of a line to the weighted sums of those of lines below each other, and returns how many.
func weighColumns(to, lines []byte, line int, weights []int32) int {
	turns := line / vectorBytes
	if !wide || turns == 0 || len(weights) == 0 {
		return 0
	}
	_ = lines[line*len(weights)-1]
	columnsVector(&to[0], &lines[0], line, turns, &weights[0], len(weights))
	return turns * vectorBytes
}

// rgbKernel is a kernel as rowsVector takes it.
type rgbKernel struct {
	first, weights []int32
	pairs          int
}

// forRGB prepares a kernel for RGB pixels; it returns false without vector instructions for it.
func (k kernel) forRGB(w int) (r rgbKernel, ok bool) {
	const most = 1 << 22 // bounds the memory, and so the positions
	for _, weights := range k.weights {
		r.pairs = max(r.pairs, (len(weights)+1)/2)
	}
	if !wide || r.pairs == 0 || r.pairs*len(k.first) > most || w > most {
		return r, false
	}
	r.weights = make([]int32, 8*r.pairs*len(k.first))
	for i, weights := range k.weights {
		// windows at the right end begin further left, so that no pixel behind the row counts
		first := max(min(k.first[i], w-2*r.pairs), 0)
		r.first = append(r.first, int32(3*first)) //nolint:gosec // bounded above
		for j, weight := range weights {
			at := k.first[i] - first + j
			for lane := range 4 {
				r.weights[8*(i*r.pairs+at/2)+4*(at%2)+lane] = weight
			}
		}
	}
	return r, 2*r.pairs <= w
}

// row resamples a row. Behind both rows there has to be room for four bytes more.
func (r rgbKernel) row(to, from []byte) {
	rowsVector(&to[0], &from[0], &r.first[0], &r.weights[0], len(r.first), r.pairs)
}

// resampleRGBRows is resampleRows for three channels by vectors; nil without them.
func resampleRGBRows(pix []byte, w, h int, k kernel) []byte {
	r, ok := k.forRGB(w)
	if !ok {
		return nil
	}
	outW := len(k.first)
	out := make([]byte, outW*h*3)
	rows := func(from, to int) {
		// a row's last pixel writes into the next row, which begins later: of the range's last row it is kept apart
		buffer := make([]byte, outW*3+4)
		for y := from; y < to; y++ {
			dst := out[y*outW*3:]
			if y == to-1 {
				dst = buffer
			}
			r.row(dst, pix[y*w*3:])
		}
		copy(out[(to-1)*outW*3:to*outW*3], buffer)
	}
	if h > 1 {
		codec.Parallel(h-1, outW*3*4, rows)
	}
	resampleRowsInto(out[(h-1)*outW*3:], pix[(h-1)*w*3:], w, 1, 3, k)
	return out
}
