// Package unwrap lays the surface of a mesh out as an atlas of charts, as upstream does: faces are joined to charts by the cones of their
// normals, each chart is projected onto a plane or flattened by least squares (Lévy et al. 2002, Chen et al. 2007), and the charts are
// packed as bitmaps.
package unwrap

import (
	"context"
	"math"
	"math/bits"

	"comfygo/internal/geometry"
)

// surface is a welded mesh without degenerate faces, with its adjacency.
type surface struct {
	vertices []float32
	faces    []int32
	source   []int32 // vertex of the given mesh for each vertex
	beside   []int32 // face beyond each side of the faces, -1 for none
	normals  []float32
	areas    []float32
	centers  []float32
	lengths  []float32 // of the faces' sides
}

// weldFraction is the default tolerance of welding in parts of the diagonal.
const weldFraction = 1e-5

// newSurface welds a mesh. A distance of 0 chooses one.
func newSurface(ctx context.Context, it *geometry.Item, distance float64) (*surface, error) {
	s := &surface{vertices: it.Vertices, source: make([]int32, it.VertexCount())}
	of := s.source
	for i := range of {
		of[i] = int32(i)
	}
	lo, hi := it.Bounds()
	if !(distance > 0) {
		distance = weldFraction * float64(geometry.Vec(hi).Sub(geometry.Vec(lo)).Len())
	}
	faces := it.Faces
	if distance > 0 {
		groups, count, err := s.groups(ctx, float32(distance))
		if err != nil {
			return nil, err
		}
		if count < len(of) {
			if err := s.average(ctx, groups, count); err != nil {
				return nil, err
			}
			faces = make([]int32, len(it.Faces))
			if err := geometry.Each(ctx, len(faces), func(i int) { faces[i] = groups[it.Faces[i]] }); err != nil {
				return nil, err
			}
		}
	}
	err := geometry.Each(ctx, len(faces)/3, func(f int) {
		if a, b, c := faces[3*f], faces[3*f+1], faces[3*f+2]; a != b && b != c && a != c {
			s.faces = append(s.faces, a, b, c)
		}
	})
	if err != nil {
		return nil, err
	}
	if err := s.measure(ctx); err != nil {
		return nil, err
	}
	return s, s.connect(ctx)
}

// groups numbers the cells of a grid around the origin, sorted.
func (s *surface) groups(ctx context.Context, size float32) (of []int32, count int, err error) {
	cell := func(i int) (c [3]int64) {
		for k := range c {
			c[k] = int64(math.RoundToEven(float64(s.vertices[3*i+k] / size)))
		}
		return c
	}
	of, first, err := geometry.Group(ctx, len(s.source), cell)
	if err != nil {
		return nil, 0, err
	}
	order, err := sortedCells(ctx, first, cell)
	if err != nil {
		return nil, 0, err
	}
	rank := make([]int32, len(first))
	for place, g := range order {
		rank[g] = int32(place)
	}
	return of, len(first), geometry.Each(ctx, len(of), func(i int) { of[i] = rank[of[i]] })
}

// sortedCells returns the groups in the order of their cells.
func sortedCells(ctx context.Context, first []int32, cell func(i int) [3]int64) ([]int32, error) {
	cells := make([][3]int64, len(first))
	lo, hi := [3]int64{math.MaxInt64, math.MaxInt64, math.MaxInt64}, [3]int64{math.MinInt64, math.MinInt64, math.MinInt64}
	order := make([]int32, len(first))
	err := geometry.Each(ctx, len(first), func(g int) {
		cells[g], order[g] = cell(int(first[g])), int32(g)
		for k, v := range cells[g] {
			lo[k], hi[k] = min(lo[k], v), max(hi[k], v)
		}
	})
	if err != nil {
		return nil, err
	}
	var width [3]int
	for k := range width {
		if len(first) > 0 {
			width[k] = bits.Len64(uint64(hi[k] - lo[k]))
		}
	}
	keys := []func(c [3]int64) uint64{func(c [3]int64) uint64 {
		key := uint64(c[0]-lo[0])<<width[1] | uint64(c[1]-lo[1])
		return key<<width[2] | uint64(c[2]-lo[2])
	}}
	if width[0]+width[1]+width[2] > 64 { // a tiny distance: by one axis after the other, the last one first
		keys = nil
		for k := 2; k >= 0; k-- {
			keys = append(keys, func(c [3]int64) uint64 { return uint64(c[k] - lo[k]) })
		}
	}
	halves := make([]geometry.Half, len(first))
	for _, key := range keys {
		if err := geometry.Each(ctx, len(order), func(i int) { halves[i] = geometry.Half{Key: key(cells[order[i]]), Half: order[i]} }); err != nil {
			return nil, err
		}
		if err := geometry.SortHalves(ctx, halves); err != nil {
			return nil, err
		}
		for i, h := range halves {
			order[i] = h.Half
		}
	}
	return order, nil
}

// average replaces the vertices by the means of groups. The last vertex of a group represents it.
func (s *surface) average(ctx context.Context, of []int32, count int) error {
	sum, members := make([]float32, 3*count), make([]float32, count)
	source := make([]int32, count)
	err := geometry.Each(ctx, len(of), func(i int) {
		g := of[i]
		geometry.At(sum, g).Add(geometry.At(s.vertices, int32(i))).Put(sum, g)
		members[g]++
		source[g] = int32(i)
	})
	if err != nil {
		return err
	}
	err = geometry.Each(ctx, len(sum), func(i int) { sum[i] /= members[i/3] })
	s.vertices, s.source = sum, source
	return err
}

// count is the number of faces.
func (s *surface) count() int { return len(s.faces) / 3 }

// measure computes normals, areas, centers and lengths of the faces.
func (s *surface) measure(ctx context.Context) error {
	n := s.count()
	s.normals, s.centers, s.lengths, s.areas = make([]float32, 3*n), make([]float32, 3*n), make([]float32, 3*n), make([]float32, n)
	return geometry.Each(ctx, n, func(at int) {
		f := int32(at)
		a, b, c := geometry.At(s.vertices, s.faces[3*f]), geometry.At(s.vertices, s.faces[3*f+1]), geometry.At(s.vertices, s.faces[3*f+2])
		cross := b.Sub(a).Cross(c.Sub(a))
		cross.Unit(1e-20).Put(s.normals, f)
		s.areas[f] = 0.5 * cross.Len()
		sum := a.Add(b).Add(c)
		geometry.Vec{sum[0] / 3, sum[1] / 3, sum[2] / 3}.Put(s.centers, f)
		s.lengths[3*f], s.lengths[3*f+1], s.lengths[3*f+2] = b.Sub(a).Len(), c.Sub(b).Len(), a.Sub(c).Len()
	})
}

// connect finds the faces beyond the sides: an edge of exactly two faces connects them.
func (s *surface) connect(ctx context.Context) error {
	s.beside = make([]int32, len(s.faces))
	for i := range s.beside {
		s.beside[i] = -1
	}
	halves, err := geometry.SortedEdges(ctx, s.faces)
	if err != nil {
		return err
	}
	return geometry.EachEdge(ctx, halves, func(group []geometry.Half) {
		if len(group) == 2 {
			a, b := group[0].Half, group[1].Half
			s.beside[a], s.beside[b] = b/3, a/3
		}
	})
}

// compact numbers the values of a list, 0 or more each, from 0 on in their order and returns how many there are.
func compact(ctx context.Context, list []int32) (count int, err error) {
	most := int32(-1)
	for _, v := range list {
		most = max(most, v)
	}
	number := make([]int32, most+1)
	if err := geometry.Each(ctx, len(list), func(i int) { number[list[i]] = 1 }); err != nil {
		return 0, err
	}
	for v, used := range number {
		number[v] = int32(count)
		count += int(used)
	}
	return count, geometry.Each(ctx, len(list), func(i int) { list[i] = number[list[i]] })
}
