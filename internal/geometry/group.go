package geometry

import (
	"context"
	"math"
)

// Grid maps positions to cells of a regular grid, as upstream does to find vertices at one place.
type Grid struct {
	lo    [3]float32
	scale float32
}

// NewGrid returns the grid with its origin at lo and the given number of cells for a unit of length.
func NewGrid(lo [3]float32, scale float32) Grid { return Grid{lo, scale} }

// Cell is the cell whose center is nearest to vertex i of vertices [N,3].
func (g Grid) Cell(vertices []float32, i int) (c [3]int64) {
	for k := range c {
		c[k] = int64(math.RoundToEven(float64((vertices[3*i+k] - g.lo[k]) * g.scale)))
	}
	return c
}

// Group numbers the cells of n things in the order in which they come first. of[i] is the number of i's cell, first[g] the
// first thing of cell g. Its error is the cause of the context's end.
func Group(ctx context.Context, n int, cell func(i int) [3]int64) (of, first []int32, err error) {
	size := 16
	for size < 2*n {
		size *= 2
	}
	table := make([]int32, size) // 1 + number of the cell
	of = make([]int32, n)
	err = Chunks(ctx, n, func(from, to int) {
		for i := from; i < to; i++ {
			c := cell(i)
			at := int(hash(c)) & (size - 1)
			for table[at] != 0 && cell(int(first[table[at]-1])) != c {
				at = (at + 1) & (size - 1)
			}
			if table[at] == 0 {
				first = append(first, int32(i))
				table[at] = int32(len(first))
			}
			of[i] = table[at] - 1
		}
	})
	return of, first, err
}

// hash mixes a cell's numbers (the finalizer of MurmurHash3).
func hash(c [3]int64) uint64 {
	h := uint64(c[0])*0x9E3779B97F4A7C15 + uint64(c[1])*0xC2B2AE3D27D4EB4F + uint64(c[2])*0x165667B19E3779F9
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
