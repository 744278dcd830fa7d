package remesh

import (
	"context"
	"fmt"
	"math"
	"slices"

	"comfygo/internal/geometry"
	"comfygo/internal/imaging/codec"
)

// field has the distance at the corners of cells. Corners and cells are found by their place, packed into a number.
type field struct {
	corners []uint64 // sorted
	values  []float32
	byPlace []geometry.Half // cells sorted by place
}

// axisBits is enough for a coordinate of a corner.
const axisBits = 16

func pack(c [3]int32) uint64 {
	return uint64(c[0])<<(2*axisBits) | uint64(c[1])<<axisBits | uint64(c[2])
}

func unpack(key uint64) [3]int32 {
	const mask = 1<<axisBits - 1
	return [3]int32{int32(key >> (2 * axisBits)), int32(key >> axisBits & mask), int32(key & mask)}
}

// cell returns the number of the cell at a place, or -1.
func (f *field) cell(c [3]int32) int32 {
	if c[0] < 0 || c[1] < 0 || c[2] < 0 {
		return -1
	}
	key := pack(c)
	at, ok := slices.BinarySearchFunc(f.byPlace, key, func(h geometry.Half, key uint64) int {
		switch {
		case h.Key < key:
			return -1
		case h.Key > key:
			return 1
		}
		return 0
	})
	if !ok {
		return -1
	}
	return f.byPlace[at].Half
}

// at is the distance at a corner of a cell.
func (f *field) at(c [3]int32) float32 {
	if i, ok := slices.BinarySearch(f.corners, pack(c)); ok {
		return f.values[i]
	}
	return 1
}

// around are the distances at a cell's corners, in the order of octants.
func (f *field) around(c [3]int32) (out [8]float32) {
	for k, o := range octants {
		out[k] = f.at([3]int32{c[0] + o[0], c[1] + o[1], c[2] + o[2]})
	}
	return out
}

// corner is the position of a corner.
func (r *remesher) corner(c [3]int32) (p geometry.Vec) {
	for k := range p {
		p[k] = (float32(c[k])/float32(r.Resolution) - 0.5) * r.scale
	}
	return p
}

// measure computes the distances at the cells' corners.
func (r *remesher) measure() error {
	if len(r.cells) > math.MaxInt32/4 {
		return fmt.Errorf("remeshing: %d cells are too many; lower the resolution", len(r.cells))
	}
	if err := r.Reserve("the distances of a mesh", 64*int64(len(r.cells))); err != nil {
		return err
	}
	f := &r.field
	f.byPlace = make([]geometry.Half, len(r.cells))
	err := geometry.Each(r.ctx, len(r.cells), func(i int) { f.byPlace[i] = geometry.Half{Key: pack(r.cells[i]), Half: int32(i)} })
	if err != nil {
		return err
	}
	if err := geometry.SortHalves(r.ctx, f.byPlace); err != nil {
		return err
	}
	if f.corners, err = r.uniqueCorners(); err != nil {
		return err
	}
	f.values = make([]float32, len(f.corners))
	codec.Parallel(len(f.corners), 1<<12, func(from, to int) {
		for i := from; i < to; i++ {
			if i&0xfff == 0 && r.ctx.Err() != nil {
				return
			}
			f.values[i] = r.distance(r.corner(unpack(f.corners[i])))
		}
	})
	r.tick()
	return context.Cause(r.ctx)
}

// distance is the value of the field: negative inside.
func (r *remesher) distance(p geometry.Vec) float32 {
	q, d, face := r.closest(p)
	if !r.Signed {
		return d - float32(r.band)
	}
	if p.Sub(q).Dot(geometry.At(r.normals, face)) < 0 {
		return -d
	}
	return d
}

// uniqueCorners lists the corners of all cells once, sorted.
func (r *remesher) uniqueCorners() ([]uint64, error) {
	const run = 1 << 17
	var runs [][]uint64
	for from := 0; from < len(r.cells); from += run {
		if err := context.Cause(r.ctx); err != nil {
			return nil, err
		}
		part := r.cells[from:min(from+run, len(r.cells))]
		keys := make([]uint64, 0, 8*len(part))
		for _, c := range part {
			for _, o := range octants {
				keys = append(keys, pack([3]int32{c[0] + o[0], c[1] + o[1], c[2] + o[2]}))
			}
		}
		slices.Sort(keys)
		runs = append(runs, slices.Clip(slices.Clone(slices.Compact(keys))))
		for n := len(runs); n > 1 && len(runs[n-2]) <= 2*len(runs[n-1]); n = len(runs) {
			joined, err := union(r.ctx, runs[n-2], runs[n-1])
			if err != nil {
				return nil, err
			}
			runs = append(runs[:n-2], joined)
		}
	}
	for n := len(runs); n > 1; n = len(runs) {
		joined, err := union(r.ctx, runs[n-2], runs[n-1])
		if err != nil {
			return nil, err
		}
		runs = append(runs[:n-2], joined)
	}
	return runs[0], nil
}

func union(ctx context.Context, a, b []uint64) ([]uint64, error) {
	out := make([]uint64, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		const often = 1 << 17
		if len(out)%often == 0 {
			if err := context.Cause(ctx); err != nil {
				return nil, err
			}
		}
		switch {
		case a[0] < b[0]:
			out, a = append(out, a[0]), a[1:]
		case a[0] > b[0]:
			out, b = append(out, b[0]), b[1:]
		default:
			out, a, b = append(out, a[0]), a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...), nil
}
