package bvh

import (
	"math"

	"comfygo/internal/geometry"
)

// Closest returns the point of the surface that is nearest to q, its triangle and the square of the distance.
func (t *Tree) Closest(q geometry.Vec) (p geometry.Vec, face int32, square float32) {
	return t.ClosestWithin(q, math.MaxFloat32)
}

// ClosestWithin is Closest for points whose distance squared is below a limit; face is -1 if there is no such point.
func (t *Tree) ClosestWithin(q geometry.Vec, limit float32) (p geometry.Vec, face int32, square float32) {
	var stack [64]int32
	n := 1
	face, square = -1, limit
	for n > 0 {
		n--
		at := stack[n]
		b := &t.nodes[at]
		if !(b.away(q) < square) {
			continue
		}
		if b.right == 0 {
			for _, f := range t.order[b.from:b.to] {
				if c, d := Closest(q, t.corner(f, 0), t.corner(f, 1), t.corner(f, 2)); d < square || d == square && face >= 0 && f < face {
					p, face, square = c, f, d
				}
			}
			continue
		}
		near, far := at+1, b.right
		if t.nodes[far].away(q) < t.nodes[near].away(q) {
			near, far = far, near
		}
		stack[n], stack[n+1] = far, near
		n += 2
	}
	return p, face, square
}

// tiny keeps quotients of degenerate triangles finite.
const tiny = 1e-20

// Closest returns the point of triangle a, b, c that is nearest to p and the square of the distance (Ericson, Real-Time
// Collision Detection, 5.1.5).
func Closest(p, a, b, c geometry.Vec) (geometry.Vec, float32) {
	q := closest(p, a, b, c)
	d := p.Sub(q)
	return q, d.Dot(d)
}

func closest(p, a, b, c geometry.Vec) geometry.Vec {
	ab, ac, ap := b.Sub(a), c.Sub(a), p.Sub(a)
	d1, d2 := ab.Dot(ap), ac.Dot(ap)
	if d1 <= 0 && d2 <= 0 {
		return a
	}
	bp := p.Sub(b)
	d3, d4 := ab.Dot(bp), ac.Dot(bp)
	if d3 >= 0 && d4 <= d3 {
		return b
	}
	cp := p.Sub(c)
	d5, d6 := ab.Dot(cp), ac.Dot(cp)
	if d6 >= 0 && d5 <= d6 {
		return c
	}
	vc := float32(d1*d4) - float32(d3*d2)
	if vc <= 0 && d1 >= 0 && d3 <= 0 {
		return a.Add(ab.Times(d1 / (d1 - d3 + tiny)))
	}
	vb := float32(d5*d2) - float32(d1*d6)
	if vb <= 0 && d2 >= 0 && d6 <= 0 {
		return a.Add(ac.Times(d2 / (d2 - d6 + tiny)))
	}
	va := float32(d3*d6) - float32(d5*d4)
	if va <= 0 && d4-d3 >= 0 && d5-d6 >= 0 {
		return b.Add(c.Sub(b).Times((d4 - d3) / ((d4 - d3) + (d5 - d6) + tiny)))
	}
	denominator := va + vb + vc + tiny
	return a.Add(ab.Times(vb / denominator)).Add(ac.Times(vc / denominator))
}

// Barycentric returns the weights of a triangle's corners for a point of its plane.
func Barycentric(p, a, b, c geometry.Vec) geometry.Vec {
	v0, v1, v2 := b.Sub(a), c.Sub(a), p.Sub(a)
	d00, d01, d11, d20, d21 := v0.Dot(v0), v0.Dot(v1), v1.Dot(v1), v2.Dot(v0), v2.Dot(v1)
	d := float32(d00*d11) - float32(d01*d01)
	if d < tiny && d > -tiny {
		d = tiny
	}
	v := (float32(d11*d20) - float32(d01*d21)) / d
	w := (float32(d00*d21) - float32(d01*d20)) / d
	return geometry.Vec{1 - v - w, v, w}
}

// Corners returns the corners of a triangle.
func (t *Tree) Corners(face int32) (a, b, c geometry.Vec) {
	return t.corner(face, 0), t.corner(face, 1), t.corner(face, 2)
}
