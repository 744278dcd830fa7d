package remesh

import (
	"context"
	"math"
	"slices"

	"comfygo/internal/geometry"
	"comfygo/internal/geometry/bvh"
	"comfygo/internal/imaging/codec"
)

// buckets finds the triangles near a point: each lies in the cells of a coarse grid that its bounds touch, at most three along an axis.
type buckets struct {
	origin  geometry.Vec
	size    float32
	dims    [3]int64
	entries []geometry.Half // triangles sorted by cell
	centers []float32
	radii   []float32
	most    float32
}

// mostBuckets is the maximum number of cells along an axis in which a triangle is listed.
const mostBuckets = 3

// newBuckets lists the triangles in cells of two grid cells.
func (r *remesher) newBuckets(cell float64) (*buckets, error) {
	n := r.it.FaceCount()
	b := &buckets{size: float32(2 * cell), most: float32(4 * cell), centers: make([]float32, 3*n), radii: make([]float32, n)}
	inf := float32(math.Inf(1))
	lo, hi := geometry.Vec{inf, inf, inf}, geometry.Vec{-inf, -inf, -inf}
	err := geometry.Each(r.ctx, n, func(at int) {
		f := int32(at)
		p0, p1, p2 := r.corners(f)
		sum := p0.Add(p1).Add(p2)
		c := geometry.Vec{sum[0] / 3, sum[1] / 3, sum[2] / 3}
		radius := max(p0.Sub(c).Len(), p1.Sub(c).Len(), p2.Sub(c).Len())
		c.Put(b.centers, f)
		b.radii[f] = radius
		for k := range c {
			lo[k], hi[k] = min(lo[k], c[k]-radius), max(hi[k], c[k]+radius)
		}
	})
	if err != nil {
		return nil, err
	}
	b.origin = lo
	for k := range b.dims {
		b.dims[k] = int64((hi[k]-lo[k])/b.size) + 2
	}
	if err := r.Reserve("the triangles of a mesh by place", 24*8*int64(n)); err != nil {
		return nil, err
	}
	err = geometry.Each(r.ctx, n, func(at int) {
		f := int32(at)
		c, radius := geometry.At(b.centers, f), b.radii[f]
		var from, count [3]int64
		for k := range c {
			from[k] = max(int64((c[k]-radius-b.origin[k])/b.size), 0)
			last := min(int64((c[k]+radius-b.origin[k])/b.size), b.dims[k]-1)
			count[k] = min(last-from[k]+1, mostBuckets)
		}
		for z := range count[2] {
			for y := range count[1] {
				for x := range count[0] {
					b.entries = append(b.entries, geometry.Half{Key: b.key(from[0]+x, from[1]+y, from[2]+z), Half: f})
				}
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return b, geometry.SortHalves(r.ctx, b.entries)
}

func (b *buckets) key(x, y, z int64) uint64 {
	return uint64((x*b.dims[1]+y)*b.dims[2] + z)
}

// find returns the nearest point of the triangles around; if none is near enough, face is -1 and the point is p itself.
func (b *buckets) find(r *remesher, p geometry.Vec) (q geometry.Vec, face int32) {
	q, face = p, -1
	least := b.most * b.most
	var at [3]int64
	for k := range p {
		at[k] = int64((p[k] - b.origin[k]) / b.size)
	}
	for x := at[0] - 1; x <= at[0]+1; x++ {
		for y := at[1] - 1; y <= at[1]+1; y++ {
			for z := at[2] - 1; z <= at[2]+1; z++ {
				if x < 0 || y < 0 || z < 0 || x >= b.dims[0] || y >= b.dims[1] || z >= b.dims[2] {
					continue
				}
				for _, f := range b.in(b.key(x, y, z)) {
					away := p.Sub(geometry.At(b.centers, f.Half))
					if reach := b.most + b.radii[f.Half]; !(away.Dot(away) < reach*reach) {
						continue
					}
					p0, p1, p2 := r.corners(f.Half)
					if near, d := bvh.Closest(p, p0, p1, p2); d < least {
						q, face, least = near, f.Half, d
					}
				}
			}
		}
	}
	return q, face
}

// in are the triangles of a cell.
func (b *buckets) in(key uint64) []geometry.Half {
	search := func(key uint64) int {
		at, _ := slices.BinarySearchFunc(b.entries, key, func(h geometry.Half, key uint64) int {
			if h.Key < key {
				return -1
			}
			return 1
		})
		return at
	}
	return b.entries[search(key):search(key+1)]
}

// sampleSurface moves vertices toward the nearest points of the surface and interpolates the colors there.
func (r *remesher) sampleSurface(out *geometry.Item, scale float64) error {
	b, err := r.newBuckets(scale / float64(r.Resolution))
	if err != nil {
		return err
	}
	if r.it.Colors != nil {
		out.Channels = r.it.Channels
		out.Colors = make([]float32, out.Channels*out.VertexCount())
	}
	part := float32(r.ProjectBack)
	codec.Parallel(out.VertexCount(), 1<<13, func(from, to int) {
		for i := int32(from); i < int32(to) && (i&0xfff != 0 || r.ctx.Err() == nil); i++ {
			p := geometry.At(out.Vertices, i)
			q, face := b.find(r, p)
			if part > 0 {
				p.Lerp(q, part).Put(out.Vertices, i)
			}
			if r.it.Colors != nil && face >= 0 {
				r.color(out.Colors[out.Channels*int(i):][:out.Channels], q, face)
			}
		}
	})
	return context.Cause(r.ctx)
}

// color interpolates the colors of a triangle's corners at a point.
func (r *remesher) color(to []float32, q geometry.Vec, face int32) {
	p0, p1, p2 := r.corners(face)
	e0, e1, e2 := p1.Sub(p0), p2.Sub(p0), q.Sub(p0)
	d00, d01, d11, d20, d21 := e0.Dot(e0), e0.Dot(e1), e1.Dot(e1), e2.Dot(e0), e2.Dot(e1)
	d := float32(d00*d11) - float32(d01*d01) + 1e-20
	v := min(max((float32(d11*d20)-float32(d01*d21))/d, 0), 1)
	w := min(max((float32(d00*d21)-float32(d01*d20))/d, 0), 1)
	u := min(max(1-v-w, 0), 1)
	i, j, k := r.it.Corner(int(face))
	n := r.it.Channels
	for c := range to {
		to[c] = u*r.it.Colors[n*int(i)+c] + v*r.it.Colors[n*int(j)+c] + w*r.it.Colors[n*int(k)+c]
	}
}
