package bake

import (
	"context"
	"math"

	"comfygo/engine/tensor"
	"comfygo/internal/geometry"
	"comfygo/internal/geometry/bvh"
	"comfygo/internal/geometry/nearest"
	"comfygo/internal/geometry/uv"
	"comfygo/internal/imaging"
	"comfygo/internal/imaging/codec"
)

// Texture samples cells at the points of a mesh that the pixels of its texture show. reference, which may be nil, is a dense mesh onto
// whose surface the points are moved first. It returns the base color and, for cells with at least five attributes, the
// metallicRoughness map, else nil: [H,W,3].
func Texture(ctx context.Context, it *geometry.Item, c Cells, reference *geometry.Item, size int) (color, packed *tensor.Tensor, err error) {
	r, err := uv.Rasterize(ctx, uv.Unit(it.UVs), it.Faces, size)
	if err != nil {
		return nil, nil, err
	}
	places := tensor.New(size, size, 3)
	codec.Parallel(len(r.Face), 32, func(from, to int) {
		for i := from; i < to && (i&0xffff != 0 || ctx.Err() == nil); i++ {
			if r.Face[i] >= 0 {
				r.Blend(it.Vertices, i).Put(places.Data, int32(i))
			}
		}
	})
	if err := context.Cause(ctx); err != nil {
		return nil, nil, err
	}
	if reference != nil && r.Covered() {
		if places, err = project(ctx, r, places, reference); err != nil {
			return nil, nil, err
		}
	}
	values, err := sample(ctx, r, places, c)
	if err != nil {
		return nil, nil, err
	}
	covered := func(i int) bool { return r.Face[i] >= 0 }
	if color, err = uv.Fill(ctx, channels(values, 0, 1, 2), covered); err != nil {
		return nil, nil, err
	}
	if values.Shape[2] >= 5 { // metallic, roughness
		packed, err = uv.Fill(ctx, channels(values, -1, 4, 3), covered)
	}
	return color, packed, err
}

// channels picks channels of an image; -1 means zeros.
func channels(image *tensor.Tensor, list ...int) *tensor.Tensor {
	c := image.Shape[2]
	out := tensor.New(image.Shape[0], image.Shape[1], len(list))
	for i := range len(image.Data) / c {
		for k, from := range list {
			if from >= 0 {
				out.Data[i*len(list)+k] = image.Data[i*c+from]
			}
		}
	}
	return out
}

// maxProjected is the largest side at which each pixel is moved onto the reference; in larger textures the movement is
// interpolated.
const maxProjected = 1024

// project moves the covered points onto the surface of a mesh.
func project(ctx context.Context, r *uv.Raster, places *tensor.Tensor, reference *geometry.Item) (*tensor.Tensor, error) {
	tree, err := bvh.New(ctx, reference.Vertices, reference.Faces)
	if err != nil {
		return nil, err
	}
	step := max(1, (r.Size+maxProjected-1)/maxProjected)
	side := (r.Size + step - 1) / step
	covered := make([]bool, side*side)
	any := false
	for i := range covered {
		covered[i] = r.Face[i/side*step*r.Size+i%side*step] >= 0
		any = any || covered[i]
	}
	if !any {
		step, side = 1, r.Size
	}
	moved := tensor.New(1, side, side, 3)
	codec.Parallel(side, 1<<16, func(from, to int) {
		for y := from; y < to && ctx.Err() == nil; y++ {
			for x := range side {
				full := y*step*r.Size + x*step
				if r.Face[full] < 0 {
					continue
				}
				p := geometry.At(places.Data, int32(full))
				q, _, _ := tree.Closest(p)
				if step > 1 {
					q = q.Sub(p)
				}
				q.Put(moved.Data, int32(y*side+x))
			}
		}
	})
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	out := places.Clone()
	if step == 1 {
		for i, f := range r.Face {
			if f >= 0 {
				copy(out.Data[3*i:3*i+3], moved.Data[3*i:3*i+3])
			}
		}
		return out, nil
	}
	if err := spread(ctx, moved, covered, side); err != nil {
		return nil, err
	}
	if moved, err = imaging.UpscaleImage(moved, r.Size, r.Size, "bilinear", "disabled"); err != nil {
		return nil, err
	}
	for i, f := range r.Face {
		if f >= 0 {
			for k := 3 * i; k < 3*i+3; k++ {
				out.Data[k] += moved.Data[k]
			}
		}
	}
	return out, nil
}

// lookup finds cells by their place.
type lookup struct {
	Cells
	byKey map[int64]int32
}

func newLookup(ctx context.Context, c Cells) (*lookup, error) {
	l := &lookup{Cells: c, byKey: make(map[int64]int32, len(c.At)/3)}
	n := int64(c.Resolution)
	return l, geometry.Each(ctx, len(c.At)/3, func(i int) {
		key := (int64(c.At[3*i])*n+int64(c.At[3*i+1]))*n + int64(c.At[3*i+2])
		if _, there := l.byKey[key]; !there {
			l.byKey[key] = int32(i)
		}
	})
}

func (l *lookup) find(x, y, z int64) (int32, bool) {
	n := int64(l.Resolution)
	if x < 0 || y < 0 || z < 0 || x >= n || y >= n || z >= n {
		return 0, false
	}
	i, ok := l.byKey[(x*n+y)*n+z]
	return i, ok
}

// trilinear interpolates between the occupied ones of the eight cells around a point, with their weights normalized to a sum of 1. It
// returns false if none is occupied.
func (l *lookup) trilinear(p geometry.Vec, to []float32) bool {
	size := float32(1 / float64(l.Resolution))
	var base [3]int64
	var part geometry.Vec
	for k, v := range p {
		g := (v-origin)/size - 0.5
		floor := math.Floor(float64(g))
		base[k], part[k] = int64(floor), g-float32(floor)
	}
	width := l.Colors.Shape[1]
	clear(to)
	sum := float32(0)
	weight := func(k, d int) float32 {
		if d == 1 {
			return part[k]
		}
		return 1 - part[k]
	}
	for corner := range 8 {
		dx, dy, dz := corner>>2, corner>>1&1, corner&1
		i, ok := l.find(base[0]+int64(dx), base[1]+int64(dy), base[2]+int64(dz))
		if !ok {
			continue
		}
		w := weight(0, dx) * weight(1, dy) * weight(2, dz)
		for k, v := range l.Colors.Data[int(i)*width : int(i+1)*width] {
			to[k] += float32(w * v)
		}
		sum += w
	}
	if !(sum > 1e-8) {
		return false
	}
	for k := range to {
		to[k] /= sum
	}
	return true
}

// around finds the nearest cell among those within a number of cells of a point.
func (l *lookup) around(p geometry.Vec, radius int64) (best int32, found bool) {
	n := float32(l.Resolution)
	var center [3]int64
	for k, v := range p {
		center[k] = int64(math.RoundToEven(float64((v+0.5)*n - 0.5)))
	}
	least := float32(1e30)
	for x := center[0] - radius; x <= center[0]+radius; x++ {
		for y := center[1] - radius; y <= center[1]+radius; y++ {
			for z := center[2] - radius; z <= center[2]+radius; z++ {
				i, ok := l.find(x, y, z)
				if !ok {
					continue
				}
				d := geometry.Vec{(float32(x)+0.5)/n - 0.5, (float32(y)+0.5)/n - 0.5, (float32(z)+0.5)/n - 0.5}.Sub(p)
				if square := d.Dot(d); square < least {
					least, best, found = square, i, true
				}
			}
		}
	}
	return best, found
}

// sample returns the cells' attributes at the covered points, [H,W,C] in 0…1.
func sample(ctx context.Context, r *uv.Raster, places *tensor.Tensor, c Cells) (*tensor.Tensor, error) {
	l, err := newLookup(ctx, c)
	if err != nil {
		return nil, err
	}
	tree, err := nearest.New(ctx, c.positions(0.5))
	if err != nil {
		return nil, err
	}
	width := c.Colors.Shape[1]
	out := tensor.New(r.Size, r.Size, width)
	codec.Parallel(r.Size, r.Size*1000, func(from, to int) {
		for i := from * r.Size; i < to*r.Size; i++ {
			if i%r.Size == 0 && ctx.Err() != nil {
				return
			}
			if r.Face[i] < 0 {
				continue
			}
			p, values := geometry.At(places.Data, int32(i)), out.Data[i*width:(i+1)*width]
			if !l.trilinear(p, values) {
				best, found := l.around(p, 1)
				if !found {
					best, found = l.around(p, 4)
				}
				if !found {
					best, _ = tree.Find(p[0], p[1], p[2])
				}
				copy(values, c.Colors.Data[int(best)*width:])
			}
			for k, v := range values {
				values[k] = min(max(v, 0), 1)
			}
		}
	})
	return out, context.Cause(ctx)
}

// spread gives the pixels [1,S,S,3] that are not covered the values of the nearest covered ones, by exact distance (Felzenszwalb and
// Huttenlocher 2012).
func spread(ctx context.Context, image *tensor.Tensor, covered []bool, side int) error {
	const far = 1 << 29
	rows := make([]int32, side*side) // nearest covered row in the column, -1 for none
	for x := range side {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		last := -far
		for y := range side {
			if covered[y*side+x] {
				last = y
			}
			rows[y*side+x] = int32(last)
		}
		last = far * 2
		for y := side - 1; y >= 0; y-- {
			if covered[y*side+x] {
				last = y
			}
			if above := int(rows[y*side+x]); last-y < y-above {
				rows[y*side+x] = int32(last)
			}
		}
	}
	source := image.Clone()
	hull, bounds := make([]int, side), make([]float64, side+1)
	for y := range side {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		cost := func(x int) float64 {
			d := float64(int(rows[y*side+x]) - y)
			return d * d
		}
		n := 0
		for x := range side {
			if row := rows[y*side+x]; row < 0 || int(row) >= side {
				continue
			}
			at := math.Inf(-1)
			for n > 0 {
				o := hull[n-1]
				at = (cost(x) + float64(x*x) - cost(o) - float64(o*o)) / float64(2*(x-o))
				if at > bounds[n-1] {
					break
				}
				n--
				at = math.Inf(-1)
			}
			hull[n], bounds[n] = x, at
			n++
		}
		k := 0
		for x := range side {
			for k+1 < n && bounds[k+1] < float64(x) {
				k++
			}
			if !covered[y*side+x] {
				from := int(rows[y*side+hull[k]])*side + hull[k]
				copy(image.Data[3*(y*side+x):3*(y*side+x)+3], source.Data[3*from:])
			}
		}
	}
	return nil
}
