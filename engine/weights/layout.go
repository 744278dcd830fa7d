package weights

import (
	"fmt"

	"comfygo/engine/safetensors/filemap"
	"comfygo/engine/tensor"
)

// BlockedLen returns the number of elements that Blocked writes for a convolution weight of the given OIHW shape:
// both channel counts are rounded up to whole blocks.
func BlockedLen(shape []int, block int) int {
	if len(shape) != 4 || block < 1 {
		return 0
	}
	return roundUp(shape[0], block) * roundUp(shape[1], block) * shape[2] * shape[3]
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }

// Blocked converts a convolution weight [O,I,kh,kw] of any element type to float32 in the layout
// [O/b][I/b][kh][kw][b in][b out], which ONNX Runtime's NCHWc kernels call OIHWBiBo (MlasReorderFilterOIHWBiBo).
// Channels that fill up the last blocks are zero. dst must have BlockedLen elements. All processors share the work.
func Blocked(dst []float32, e Entry, block int) error {
	if len(e.Shape) != 4 || block < 1 || len(dst) != BlockedLen(e.Shape, block) {
		return fmt.Errorf("blocking %v by %d: not a convolution weight, or %d is not its blocked size", e, block, len(dst))
	}
	if err := e.check(); err != nil {
		return fmt.Errorf("blocking %v: %w", e, err)
	}
	if len(dst) == 0 {
		return nil
	}
	perBlock := len(dst) / (roundUp(e.Shape[0], block) / block)
	blocks := len(dst) / perBlock
	err := parallel(blocks, (1<<15)/perBlock+1, func(from, to int) error {
		return filemap.Guard(func() error {
			for o := from; o < to; o++ {
				blockRow(dst[o*perBlock:(o+1)*perBlock], e, block, o*block)
			}
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("blocking %v of %s: %w", e, e.File, err)
	}
	return nil
}

// blockRow makes the part of Blocked's result for output channels o0 to o0+b. It converts the b short runs that one
// input block needs into a buffer of a few kilobytes and gathers from there, so both files and dst are touched in order.
func blockRow(dst []float32, e Entry, b, o0 int) {
	outs, ins, k := min(b, e.Shape[0]-o0), e.Shape[1], e.Shape[2]*e.Shape[3]
	size := e.DType.Size()
	buf := make([]float32, b*b*k)
	for i0 := 0; i0 < ins; i0 += b {
		run := min(b, ins-i0) * k
		if run < b*k {
			clear(buf)
		}
		for o := range outs {
			at := ((o0+o)*ins + i0) * k * size
			convert(buf[o*b*k:o*b*k+run], e.Data[at:at+run*size], e.DType)
		}
		for p := range k {
			for i := range b {
				line := dst[:b]
				dst = dst[b:]
				for o, at := 0, i*k+p; o < len(line); o, at = o+1, at+b*k {
					line[o] = buf[at]
				}
			}
		}
	}
}

// tile is the edge of the squares that Transposed moves: two cache lines of float32, 4 KiB a square.
const tile = 32

// Transposed converts a matrix [N,K] of any element type to float32 [K,N]. More axes than two count as parts of K, so
// that a 1x1 convolution weight is a matrix too. dst must have e.Count() elements. All processors share the work.
func Transposed(dst []float32, e Entry) error {
	if len(e.Shape) < 2 || len(dst) != e.Count() {
		return fmt.Errorf("transposing %v: not a matrix, or %d is not its size", e, len(dst))
	}
	if err := e.check(); err != nil {
		return fmt.Errorf("transposing %v: %w", e, err)
	}
	n, k := e.Shape[0], tensor.Count(e.Shape[1:])
	rows := roundUp(n, tile) / tile
	err := parallel(rows, (1<<15)/(k*tile+1)+1, func(from, to int) error {
		return filemap.Guard(func() error {
			for r := from; r < to; r++ {
				transposeRows(dst, e, n, k, r*tile)
			}
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("transposing %v of %s: %w", e, e.File, err)
	}
	return nil
}

// transposeRows moves rows n0 to n0+tile into columns, a square at a time.
func transposeRows(dst []float32, e Entry, n, k, n0 int) {
	var buf [tile][tile]float32
	size, rows := e.DType.Size(), min(tile, n-n0)
	for k0 := 0; k0 < k; k0 += tile {
		cols := min(tile, k-k0)
		for r := range rows {
			at := ((n0+r)*k + k0) * size
			convert(buf[r][:cols], e.Data[at:at+cols*size], e.DType)
		}
		for c := range cols {
			line := dst[(k0+c)*n+n0:][:rows]
			for r := range line {
				line[r] = buf[r][c]
			}
		}
	}
}

// check tells whether the entry's data can be converted and fills its shape.
func (e Entry) check() error {
	size := e.DType.Size()
	if size == 0 {
		return fmt.Errorf("elements of type %s cannot be computed with", e.typeName())
	}
	if len(e.Data) != e.Count()*size {
		return fmt.Errorf("%d bytes of data do not fill the shape", len(e.Data))
	}
	return nil
}
