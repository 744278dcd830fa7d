package unwrap

import (
	"cmp"
	"context"
	"math"
	"slices"

	"comfygo/internal/geometry"
)

// chart is a part of the surface with vertices of its own.
type chart struct {
	vertices []int32 // of the surface, sorted
	faces    []int32 // [M,3] of the chart's vertices
	beside   []int32 // [M,3] face of the chart beyond each side, -1 for none
	original []int32 // faces of the surface
	points   [][3]float64
	flat     [][2]float64 // projection onto a plane
	uvs      [][2]float32
	area     float32 // in space
}

// split takes a surface apart by the charts of its faces.
func (s *surface) split(ctx context.Context, of []int32, count int) ([]*chart, error) {
	charts := make([]*chart, count)
	for i := range charts {
		charts[i] = &chart{}
	}
	place := make([]int32, len(of)) // of a face within its chart
	err := geometry.Each(ctx, len(of), func(f int) {
		c := charts[of[f]]
		place[f] = int32(len(c.original))
		c.original = append(c.original, int32(f))
		c.area += s.areas[f]
	})
	if err != nil {
		return nil, err
	}
	number := make([]int32, len(s.vertices)/3)
	for i, c := range charts {
		if i%16 == 0 {
			if err := context.Cause(ctx); err != nil {
				return nil, err
			}
		}
		if err := s.fill(ctx, c, int32(i), of, place, number); err != nil {
			return nil, err
		}
	}
	return charts, nil
}

// fill gives a chart the vertices and the sides of its faces. Its number is that of its faces in of, place has the places of faces within their
// charts, number is room for a number for each vertex.
func (s *surface) fill(ctx context.Context, c *chart, chart int32, of, place, number []int32) error {
	n := len(c.original)
	c.vertices = make([]int32, 0, 3*n)
	for _, f := range c.original {
		c.vertices = append(c.vertices, s.faces[3*f:3*f+3]...)
	}
	if n < interval {
		slices.Sort(c.vertices)
	} else if err := geometry.Sort(ctx, c.vertices); err != nil {
		return err
	}
	c.vertices = slices.Clone(slices.Compact(c.vertices))
	c.points = make([][3]float64, len(c.vertices))
	for k, v := range c.vertices {
		number[v] = int32(k)
		p := geometry.At(s.vertices, v)
		c.points[k] = [3]float64{float64(p[0]), float64(p[1]), float64(p[2])}
	}
	c.faces, c.beside = make([]int32, 0, 3*n), make([]int32, 0, 3*n)
	for _, f := range c.original {
		for k := 3 * f; k < 3*f+3; k++ {
			c.faces = append(c.faces, number[s.faces[k]])
			other := s.beside[k]
			if other < 0 || of[other] != chart {
				other = -1
			} else {
				other = place[other]
			}
			c.beside = append(c.beside, other)
		}
	}
	return nil
}

// project projects a chart onto the plane that fits its vertices best.
func (c *chart) project() {
	var center [3]float64
	for _, p := range c.points {
		for k := range center {
			center[k] += p[k]
		}
	}
	for k := range center {
		center[k] /= float64(max(1, len(c.points)))
	}
	var cov [3][3]float64
	for i := range 3 {
		for j := i; j < 3; j++ {
			for _, p := range c.points {
				cov[i][j] += float64((p[i] - center[i]) * (p[j] - center[j]))
			}
			cov[j][i] = cov[i][j]
		}
	}
	normal := smallest(cov)
	least := 0
	for k := 1; k < 3; k++ {
		if math.Abs(normal[k]) < math.Abs(normal[least]) {
			least = k
		}
	}
	var t [3]float64
	for k := range t {
		t[k] = -normal[k] * normal[least]
	}
	t[least]++
	length := max(math.Sqrt(dot(t, t)), 1e-20)
	for k := range t {
		t[k] /= length
	}
	b := cross(normal, t)
	c.flat = make([][2]float64, len(c.points))
	for i, p := range c.points {
		c.flat[i] = [2]float64{dot(p, t), dot(p, b)}
	}
}

func dot(a, b [3]float64) float64 { return a[0]*b[0] + a[1]*b[1] + a[2]*b[2] }

func cross(a, b [3]float64) [3]float64 {
	return [3]float64{a[1]*b[2] - a[2]*b[1], a[2]*b[0] - a[0]*b[2], a[0]*b[1] - a[1]*b[0]}
}

func sub(a, b [3]float64) [3]float64 { return [3]float64{a[0] - b[0], a[1] - b[1], a[2] - b[2]} }

// Limits of the stretch (Sander et al. 2001) with which a projection is kept, and the number of faces up to which it always is.
const (
	alwaysFlat = 5
	maxRMS     = 1.5
	maxStretch = 2.0
	noArea     = 1e-12
)

// fits reports whether the projection has little stretch and no fold.
func (c *chart) fits(ctx context.Context) (bool, error) {
	n := len(c.faces) / 3
	if n <= alwaysFlat {
		return true, nil
	}
	var space, plane, square, most float64
	flipped, zero := 0, 0
	for f := range n {
		if f&(interval-1) == interval-1 {
			if err := context.Cause(ctx); err != nil {
				return false, err
			}
		}
		s := c.stretch(f)
		if s.signed < -noArea {
			flipped++
		}
		if math.Abs(s.signed) < noArea {
			zero++
		}
		if !(s.area > noArea && math.Abs(s.signed) > noArea) {
			continue
		}
		space += s.area
		plane += max(math.Abs(s.signed), 1e-20)
		square += s.rms * s.area
		most = max(most, s.largest)
	}
	if zero != 0 || flipped != 0 && flipped != n || !(space > 0) {
		return false, nil
	}
	norm := math.Sqrt(plane / space)
	if !(math.Sqrt(square/space)*norm <= maxRMS && math.Sqrt(most)*norm <= maxStretch) {
		return false, nil
	}
	folded, err := c.intersects(ctx)
	return !folded, err
}

// stretch are the areas of a face in the plane and in space, and the squares of its mean and its largest stretch.
type stretch struct{ signed, area, rms, largest float64 }

func (c *chart) stretch(f int) (s stretch) {
	i, j, k := c.faces[3*f], c.faces[3*f+1], c.faces[3*f+2]
	p, q, r := c.points[i], c.points[j], c.points[k]
	t, u, v := c.flat[i], c.flat[j], c.flat[k]
	s.signed = 0.5 * ((u[1]-t[1])*(v[0]-t[0]) - (v[1]-t[1])*(u[0]-t[0]))
	n := cross(sub(q, p), sub(r, p))
	s.area = 0.5 * math.Sqrt(dot(n, n))
	inverse := 1 / (2 * max(math.Abs(s.signed), 1e-20))
	var ss, st [3]float64
	for d := range 3 {
		ss[d] = (p[d]*(u[0]-v[0]) + q[d]*(v[0]-t[0]) + r[d]*(t[0]-u[0])) * inverse
		st[d] = (p[d]*(v[1]-u[1]) + q[d]*(t[1]-v[1]) + r[d]*(u[1]-t[1])) * inverse
	}
	a, b, e := dot(ss, ss), dot(ss, st), dot(st, st)
	s.rms = (a + e) * 0.5
	s.largest = 0.5 * (a + e + math.Sqrt(max(0, (a-e)*(a-e)+4*b*b)))
	return s
}

// side is a side of the border in the plane.
type side struct{ a, d [2]float64 }

// intersects reports whether sides of the border cross in the plane.
func (c *chart) intersects(ctx context.Context) (bool, error) {
	const eps = 1e-9
	var border []side
	for k, other := range c.beside {
		if other < 0 {
			a, b := c.flat[c.faces[k]], c.flat[c.faces[k-k%3+(k+1)%3]]
			border = append(border, side{a, [2]float64{b[0] - a[0], b[1] - a[1]}})
		}
	}
	slices.SortFunc(border, func(p, q side) int { return cmp.Compare(p.left(), q.left()) })
	for i, p := range border {
		if i&0xff == 0xff {
			if err := context.Cause(ctx); err != nil {
				return false, err
			}
		}
		for _, q := range border[i+1:] {
			if q.left() > p.right() {
				break
			}
			det := p.d[0]*q.d[1] - p.d[1]*q.d[0]
			if !(math.Abs(det) >= eps) {
				continue
			}
			x, y := q.a[0]-p.a[0], q.a[1]-p.a[1]
			t, u := (x*q.d[1]-y*q.d[0])/det, (x*p.d[1]-y*p.d[0])/det
			if t > eps && t < 1-eps && u > eps && u < 1-eps {
				return true, nil
			}
		}
	}
	return false, nil
}

func (s side) left() float64  { return min(s.a[0], s.a[0]+s.d[0]) }
func (s side) right() float64 { return max(s.a[0], s.a[0]+s.d[0]) }

// maxAspect is the aspect ratio of the bounds above which a flattened chart counts as collapsed.
const maxAspect = 100

// flatten chooses the texture coordinates: the projection where it fits, else those that keep the angles best. It reports false if they would take
// too long for the chart's size.
func (c *chart) flatten(ctx context.Context) (bool, error) {
	c.project()
	c.uvs = rounded(c.flat)
	if len(c.points) < 3 {
		return true, nil
	}
	fits, err := c.fits(ctx)
	if err != nil || fits {
		return true, err
	}
	if len(c.points) > largestSolved {
		return false, nil
	}
	uvs, ok, err := c.conformal(ctx)
	if !ok || err != nil {
		return ok, err
	}
	if usable(uvs) {
		c.uvs = uvs
	}
	return true, nil
}

func rounded(list [][2]float64) [][2]float32 {
	out := make([][2]float32, len(list))
	for i, p := range list {
		out[i] = [2]float32{float32(p[0]), float32(p[1])}
	}
	return out
}

// usable refuses coordinates that are not finite or have collapsed.
func usable(uvs [][2]float32) bool {
	lo, hi := [2]float32{math.MaxFloat32, math.MaxFloat32}, [2]float32{-math.MaxFloat32, -math.MaxFloat32}
	for _, p := range uvs {
		for k, v := range p {
			if v != v || math.IsInf(float64(v), 0) {
				return false
			}
			lo[k], hi[k] = min(lo[k], v), max(hi[k], v)
		}
	}
	w, h := float64(hi[0]-lo[0]), float64(hi[1]-lo[1])
	return len(uvs) > 0 && max(w, h, 1e-12)/max(min(w, h), 1e-12) <= maxAspect
}

// flatArea is the area of the chart's faces in the plane.
func (c *chart) flatArea() float64 {
	sum := 0.0
	for f := 0; f < len(c.faces); f += 3 {
		a, b, d := c.uvs[c.faces[f]], c.uvs[c.faces[f+1]], c.uvs[c.faces[f+2]]
		v := float32((b[0]-a[0])*(d[1]-a[1])) - float32((d[0]-a[0])*(b[1]-a[1]))
		sum += float64(0.5 * max(v, -v))
	}
	return sum
}
