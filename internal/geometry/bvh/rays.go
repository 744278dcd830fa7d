package bvh

import (
	"math"

	"comfygo/internal/geometry"
)

// Ray is a half-line; its direction need not have length 1. Hits count between Min and Max times the direction.
type Ray struct {
	From, Along geometry.Vec
	Min, Max    float32
	// Front leaves out triangles whose outer side faces away from the origin.
	Front bool
}

// inverse are the reciprocals of the direction.
func (r *Ray) inverse() (out geometry.Vec) {
	for k, v := range r.Along {
		if v < tiny && v > -tiny {
			v = tiny
		}
		out[k] = 1 / v
	}
	return out
}

// enters returns where the ray enters and leaves the box.
func (n *node) enters(r *Ray, inverse geometry.Vec) (near, far float32) {
	near, far = -math.MaxFloat32, math.MaxFloat32
	for k := range inverse {
		a, b := (n.lo[k]-r.From[k])*inverse[k], (n.hi[k]-r.From[k])*inverse[k]
		near, far = max(near, min(a, b)), min(far, max(a, b))
	}
	return near, far
}

// Hits reports whether the ray meets a triangle.
func (t *Tree) Hits(r *Ray) bool {
	var stack [64]int32
	inverse := r.inverse()
	for n := 1; n > 0; {
		n--
		at := stack[n]
		b := &t.nodes[at]
		near, far := b.enters(r, inverse)
		if !(far >= max(near, r.Min) && near <= r.Max) {
			continue
		}
		if b.right == 0 {
			for _, f := range t.order[b.from:b.to] {
				if _, hit := t.meet(r, f, r.Max); hit {
					return true
				}
			}
			continue
		}
		stack[n], stack[n+1] = at+1, b.right
		n += 2
	}
	return false
}

// First returns the nearest triangle that the ray hits and the point; face is -1 without a hit.
func (t *Tree) First(r *Ray) (at float32, face int32) {
	var stack [64]int32
	inverse := r.inverse()
	at, face = r.Max, -1
	for n := 1; n > 0; {
		n--
		own := stack[n]
		b := &t.nodes[own]
		near, far := b.enters(r, inverse)
		if !(far >= max(near, r.Min) && near < at) {
			continue
		}
		if b.right == 0 {
			for _, f := range t.order[b.from:b.to] {
				if d, hit := t.meet(r, f, r.Max); hit && (d < at || d == at && face >= 0 && f < face) {
					at, face = d, f
				}
			}
			continue
		}
		first, second := own+1, b.right
		if a, _ := t.nodes[first].enters(r, inverse); a > 0 {
			if c, _ := t.nodes[second].enters(r, inverse); c < a {
				first, second = second, first
			}
		}
		stack[n], stack[n+1] = second, first
		n += 2
	}
	return at, face
}

// meet intersects the ray with a triangle (Möller and Trumbore 1997).
func (t *Tree) meet(r *Ray, f int32, limit float32) (at float32, hit bool) {
	a, b, c := t.Corners(f)
	e1, e2 := b.Sub(a), c.Sub(a)
	p := r.Along.Cross(e2)
	d := e1.Dot(p)
	if !(d > tiny || d < -tiny) {
		return 0, false
	}
	inverse := 1 / d
	s := r.From.Sub(a)
	u := s.Dot(p) * inverse
	q := s.Cross(e1)
	v := r.Along.Dot(q) * inverse
	at = e2.Dot(q) * inverse
	hit = u >= 0 && v >= 0 && u+v <= 1 && at > r.Min && at < limit
	if hit && r.Front {
		hit = e1.Cross(e2).Dot(r.Along) < 0
	}
	return at, hit
}
