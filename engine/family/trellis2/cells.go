package trellis2

import (
	"context"
	"fmt"
)

// The offsets of a kernel of three cells along each axis, and the number of its middle.
const (
	offsets = 27
	middle  = offsets / 2
)

// parts is the number of parts of a cell.
const parts = 8

// mostSide is the greatest place of a cell of a latent along an axis: divided four times, it still fits into the bits of a key. mostCells bounds the cells of
// a volume, so that its tables stay below four gibibytes.
const (
	mostSide  = 1<<16 - 1
	mostCells = 1 << 24
	placeBits = 21
)

// table finds cells by their places: a hash table whose free slots hold -1.
type table struct {
	keys  []uint64
	cells []int32
	mask  uint64
}

func key(x, y, z int32) uint64 {
	return uint64(x)<<(2*placeBits) | uint64(y)<<placeBits | uint64(z)
}

// slot is where a key is, or where it would be.
func (t *table) slot(k uint64) uint64 {
	h := k * 0x9e3779b97f4a7c15
	for i := (h ^ h>>32) & t.mask; ; i = (i + 1) & t.mask {
		if t.cells[i] < 0 || t.keys[i] == k {
			return i
		}
	}
}

// find is the number of the cell at a place, -1 where no cell lies.
func (t *table) find(x, y, z int32) int32 {
	if min(x, y, z) < 0 || max(x, y, z) >= 1<<placeBits {
		return -1
	}
	return t.cells[t.slot(key(x, y, z))]
}

// often is the number of cells between looks at the context.
const often = 1 << 16

// index makes the table of cells at [N,3].
func index(ctx context.Context, at []int32) (*table, error) {
	size := 16
	for size < 2*len(at)/axes {
		size *= 2
	}
	t := &table{keys: make([]uint64, size), cells: make([]int32, size), mask: uint64(size - 1)}
	for i := range t.cells {
		t.cells[i] = -1
	}
	for i := range len(at) / axes {
		if i%often == 0 && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		x, y, z := at[axes*i], at[axes*i+1], at[axes*i+2]
		if min(x, y, z) < 0 || max(x, y, z) >= 1<<placeBits {
			return nil, fmt.Errorf("cell %d lies at %d, %d, %d: wanted places from 0 to %d", i, x, y, z, 1<<placeBits-1)
		}
		k := key(x, y, z)
		s := t.slot(k)
		if t.cells[s] >= 0 {
			return nil, fmt.Errorf("two cells lie at %d, %d, %d: each place has one at most", x, y, z)
		}
		t.keys[s], t.cells[s] = k, int32(i)
	}
	return t, nil
}

// neighbours are, for each offset of a kernel, the numbers of the cells that lie there beside each cell, [27,N]; N where no cell lies. Upstream:
// flexgemm.py build_submanifold_neighbor_map.
func neighbours(ctx context.Context, at []int32) ([]int64, error) {
	t, err := index(ctx, at)
	if err != nil {
		return nil, err
	}
	n := len(at) / axes
	out := make([]int64, offsets*n)
	for i := range out {
		out[i] = int64(n)
	}
	for i := range n {
		if i%often == 0 && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		out[middle*n+i] = int64(i)
		x, y, z := at[axes*i], at[axes*i+1], at[axes*i+2]
		for o := range int32(middle) { // the other half are the same pairs
			if j := t.find(x+o/9-1, y+o/3%3-1, z+o%3-1); j >= 0 {
				out[int(o)*n+i], out[(offsets-1-int(o))*n+int(j)] = int64(j), int64(i)
			}
		}
	}
	return out, nil
}

// divided are the places [M,3] of the parts of cells whose values [N,8] are positive, and the number of each among all parts. Upstream: SparseChannel2Spatial.
func divided(ctx context.Context, at []int32, values []float32) (next []int32, from []int64, err error) {
	for i := range len(at) / axes {
		if i%often == 0 && ctx.Err() != nil {
			return nil, nil, context.Cause(ctx)
		}
		for part := range int32(parts) {
			if values[parts*i+int(part)] > 0 {
				next = append(next, 2*at[axes*i]+part&1, 2*at[axes*i+1]+part>>1&1, 2*at[axes*i+2]+part>>2)
				from = append(from, int64(parts*i)+int64(part))
			}
		}
		if len(from) > mostCells {
			return nil, nil, fmt.Errorf("dividing %d cells gives more than the %d that a volume may have: choose a lower resolution", len(at)/axes, mostCells)
		}
	}
	if len(from) == 0 {
		return nil, nil, fmt.Errorf("no part of %d cells is left after dividing them: the shape is empty: sample the shape again, with the VAE and the latent of one model", len(at)/axes)
	}
	return next, from, nil
}
