package decimate

import (
	"math"

	"comfygo/internal/geometry"
)

// quadric is a symmetric 4x4 matrix by its upper rows: xx xy xz xw yy yz yw zz zw ww.
type quadric [10]float32

func (q *quadric) add(o *quadric) (out quadric) {
	for i := range out {
		out[i] = q[i] + o[i]
	}
	return out
}

// plane adds the square of the distance from a plane with a unit normal and an offset, times a weight.
func (q *quadric) plane(n geometry.Vec, d, weight float32) {
	p := [4]float32{n[0], n[1], n[2], d}
	k := 0
	for i := range p {
		for j := i; j < len(p); j++ {
			q[k] += p[i] * p[j] * weight
			k++
		}
	}
}

// at is the error at a point.
func (q *quadric) at(p geometry.Vec) float32 {
	x, y, z := p[0], p[1], p[2]
	r0 := x*q[0] + y*q[1] + z*q[2] + q[3]
	r1 := x*q[1] + y*q[4] + z*q[5] + q[6]
	r2 := x*q[2] + y*q[5] + z*q[7] + q[8]
	r3 := x*q[3] + y*q[6] + z*q[8] + q[9]
	v := r0*x + r1*y + r2*z + r3
	return max(v, -v)
}

// minimum solves for the point of the least error; a multiple of the identity keeps the system solvable.
func (q *quadric) minimum(stabilizer float32) (p geometry.Vec, ok bool) {
	p, determinant := geometry.Solve([3][4]float32{
		{q[0] + stabilizer, q[1], q[2], -q[3]},
		{q[1], q[4] + stabilizer, q[5], -q[6]},
		{q[2], q[5], q[7] + stabilizer, -q[8]},
	})
	return p, abs(determinant) > 1e-12
}

// line adds the square of the distance from the line through two points, times a weight.
func (q *quadric) line(pa, pb geometry.Vec, weight float32) {
	u, w, m := normalsOf(pa, pb)
	q.plane(u, -u.Dot(m), weight)
	q.plane(w, -w.Dot(m), weight)
}

// normalsOf are two unit normals of an edge and its middle.
func normalsOf(pa, pb geometry.Vec) (u, w, m geometry.Vec) {
	along := pb.Sub(pa).Unit(1e-12)
	least := 0
	for k := 1; k < 3; k++ {
		if abs(along[k]) < abs(along[least]) {
			least = k
		}
	}
	var helper geometry.Vec
	helper[least] = 1
	u = helper.Sub(along.Times(helper.Dot(along))).Unit(1e-12)
	return u, along.Cross(u), pa.Add(pb).Times(0.5)
}

func abs(x float32) float32 { return max(x, -x) }

// buildQuadrics sums the quadrics of the faces, the rim and, for optimal placement, of lines and features.
func (s *state) buildQuadrics(halves []geometry.Half) error {
	if s.quadrics == nil {
		s.quadrics = make([]quadric, len(s.alive))
	}
	clear(s.quadrics)
	for corner := range 3 {
		err := s.eachFace(func(f int) {
			n, area := s.normal(f)
			if area > 1e-12 {
				n = geometry.Vec{n[0] / area, n[1] / area, n[2] / area}
			} else {
				n = geometry.Vec{}
			}
			s.quadrics[s.faces[f+corner]].plane(n, -n.Dot(geometry.At(s.vertices, s.faces[f])), 1)
		})
		if err != nil {
			return err
		}
	}
	if s.Optimal && s.LineWeight > 0 {
		if err := s.addLines(); err != nil {
			return err
		}
	}
	err := geometry.EachEdge(s.ctx, halves, func(group []geometry.Half) {
		if a, b := group[0].Ends(); len(group) == 1 {
			s.addLine(a, b, boundaryWeight)
		}
	})
	if err == nil && s.Optimal && s.FeatureWeight > 0 {
		err = s.addFeatures(halves)
	}
	return err
}

// eachFace visits the faces by the indexes of their first corners.
func (s *state) eachFace(visit func(f int)) error {
	return geometry.Each(s.ctx, len(s.faces)/3, func(f int) { visit(3 * f) })
}

// normal is the normal of the face at index f of the faces, with twice its area as length.
func (s *state) normal(f int) (n geometry.Vec, area float32) {
	p := geometry.At(s.vertices, s.faces[f])
	n = geometry.At(s.vertices, s.faces[f+1]).Sub(p).Cross(geometry.At(s.vertices, s.faces[f+2]).Sub(p))
	return n, n.Len()
}

func (s *state) addLine(a, b int32, weight float32) {
	var q quadric
	q.line(geometry.At(s.vertices, a), geometry.At(s.vertices, b), weight)
	s.quadrics[a] = s.quadrics[a].add(&q)
	s.quadrics[b] = s.quadrics[b].add(&q)
}

// addLines adds lines for the sides of all faces, weighted by their areas, except for sides between vertices with opposite
// normals.
func (s *state) addLines() error {
	normals := make([]float32, len(s.vertices))
	for corner := range 3 {
		err := s.eachFace(func(f int) {
			n, area := s.normal(f)
			if area > 1e-12 {
				geometry.At(normals, s.faces[f+corner]).Add(n).Put(normals, s.faces[f+corner])
			}
		})
		if err != nil {
			return err
		}
	}
	for corner := range 3 {
		err := s.eachFace(func(f int) {
			a, b := s.faces[f+corner], s.faces[f+(corner+1)%3]
			if geometry.At(normals, a).Unit(1e-12).Dot(geometry.At(normals, b).Unit(1e-12)) < 0 {
				return
			}
			_, area := s.normal(f)
			s.addLine(a, b, area*float32(s.LineWeight))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// addFeatures adds lines for edges with a large dihedral angle.
func (s *state) addFeatures(halves []geometry.Half) error {
	cosine := float32(math.Cos(s.FeatureAngle * (math.Pi / 180)))
	return geometry.EachEdge(s.ctx, halves, func(group []geometry.Half) {
		if len(group) != 2 {
			return
		}
		n0, area0 := s.normal(int(group[0].Half / 3 * 3))
		n1, area1 := s.normal(int(group[1].Half / 3 * 3))
		cos := n0.Unit(1e-12).Dot(n1.Unit(1e-12))
		if cos < cosine {
			a, b := group[0].Ends()
			s.addLine(a, b, 0.5*(area0+area1)*max(1-cos, 0)*float32(s.FeatureWeight))
		}
	})
}
