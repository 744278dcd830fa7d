// Package nearest finds the nearest of many points.
package nearest

import (
	"context"
	"math"

	"comfygo/internal/geometry"
)

// leafSize is the largest number of points that are not divided further.
const leafSize = 16

// Tree is a k-d tree of points.
type Tree struct {
	points []float32 // [N,3]
	order  []int32   // points by leaves
	nodes  []node
}

// node divides order[from:to] at a coordinate; its left child follows it.
type node struct {
	axis     int8 // -1 for a leaf
	at       float32
	right    int32
	from, to int32
	lo, hi   [3]float32 // bounds of its points
}

// square is the square of the distance of q from the node's bounds. It is rounded like that of a point, so that it is never above that of one
// within.
func (n *node) square(q *[3]float64) float64 {
	d := 0.0
	for k := range 3 {
		e := 0.0
		if low := float64(n.lo[k]); q[k] < low {
			e = q[k] - low
		} else if high := float64(n.hi[k]); q[k] > high {
			e = q[k] - high
		}
		d += e * e
	}
	return d
}

// New builds a tree of points [N,3], which are not copied.
func New(ctx context.Context, points []float32) (*Tree, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	t := &Tree{points: points, order: make([]int32, len(points)/3)}
	for i := range t.order {
		t.order[i] = int32(i)
	}
	if len(t.order) > 0 {
		if err := t.build(ctx, 0, int32(len(t.order))); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *Tree) build(ctx context.Context, from, to int32) error {
	own := len(t.nodes)
	lo, hi := t.bounds(from, to)
	t.nodes = append(t.nodes, node{axis: -1, from: from, to: to, lo: lo, hi: hi})
	if to-from <= leafSize {
		return nil
	}
	const often = 1 << 12 // points of parts for which an interrupt is looked for
	if to-from > often {
		if err := context.Cause(ctx); err != nil {
			return err
		}
	}
	axis := 0
	for k := 1; k < 3; k++ {
		if hi[k]-lo[k] > hi[axis]-lo[axis] {
			axis = k
		}
	}
	if !(hi[axis] > lo[axis]) { // all at one place
		return nil
	}
	middle := (from + to) / 2
	if err := t.divide(ctx, from, to, middle, axis); err != nil {
		return err
	}
	t.nodes[own].axis, t.nodes[own].at = int8(axis), t.points[3*t.order[middle]+int32(axis)]
	if err := t.build(ctx, from, middle); err != nil {
		return err
	}
	t.nodes[own].right = int32(len(t.nodes))
	return t.build(ctx, middle, to)
}

func (t *Tree) bounds(from, to int32) (lo, hi [3]float32) {
	for k := range lo {
		lo[k], hi[k] = math.MaxFloat32, -math.MaxFloat32
	}
	for _, p := range t.order[from:to] {
		for k := range lo {
			v := t.points[3*int(p)+k]
			lo[k], hi[k] = min(lo[k], v), max(hi[k], v)
		}
	}
	return lo, hi
}

// divide orders the points so that those before middle are not beyond it on the axis.
func (t *Tree) divide(ctx context.Context, from, to, middle int32, axis int) error {
	return geometry.Select(ctx, t.order, from, to, middle, func(p int32) float32 { return t.points[3*int(p)+axis] })
}

// Find returns the nearest point to (x, y, z) and the square of its distance; of several the one with the lowest number. It
// is -1 without points.
func (t *Tree) Find(x, y, z float32) (point int32, square float64) {
	s := search{t: t, q: [3]float64{float64(x), float64(y), float64(z)}, best: -1, square: math.Inf(1)}
	if len(t.nodes) > 0 {
		s.visit(0)
	}
	return s.best, s.square
}

type search struct {
	t      *Tree
	q      [3]float64
	best   int32
	square float64
}

func (s *search) visit(at int32) {
	n := &s.t.nodes[at]
	if n.axis < 0 {
		for _, p := range s.t.order[n.from:n.to] {
			d := 0.0
			for k := range 3 {
				e := s.q[k] - float64(s.t.points[3*int(p)+k])
				d += e * e
			}
			if d < s.square || d == s.square && p < s.best {
				s.best, s.square = p, d
			}
		}
		return
	}
	d := s.q[n.axis] - float64(n.at)
	near, far := at+1, n.right
	if d >= 0 {
		near, far = far, near
	}
	for _, child := range [2]int32{near, far} {
		if s.t.nodes[child].square(&s.q) <= s.square {
			s.visit(child)
		}
	}
}

// FindSome appends the k nearest points to (x, y, z) to list, the nearest first, or fewer if there are fewer points. Among points at the same
// distance the one with the lowest number comes first.
func (t *Tree) FindSome(list []int32, x, y, z float32, k int) []int32 {
	s := several{t: t, q: [3]float64{float64(x), float64(y), float64(z)}, k: k}
	if len(t.nodes) > 0 && k > 0 {
		s.visit(0)
	}
	for _, f := range s.found[:s.n] {
		list = append(list, f.point)
	}
	return list
}

// mostFound bounds k of FindSome.
const mostFound = 16

type hit struct {
	square float64
	point  int32
}

type several struct {
	t     *Tree
	q     [3]float64
	k, n  int
	found [mostFound]hit
}

func (s *several) limit() float64 {
	if s.n < min(s.k, mostFound) {
		return math.Inf(1)
	}
	return s.found[s.n-1].square
}

func (s *several) offer(h hit) {
	most := min(s.k, mostFound)
	at := s.n
	for at > 0 && (h.square < s.found[at-1].square || h.square == s.found[at-1].square && h.point < s.found[at-1].point) {
		at--
	}
	if at == most {
		return
	}
	s.n = min(s.n+1, most)
	copy(s.found[at+1:s.n], s.found[at:s.n-1])
	s.found[at] = h
}

func (s *several) visit(at int32) {
	n := &s.t.nodes[at]
	if n.axis < 0 {
		for _, p := range s.t.order[n.from:n.to] {
			d := 0.0
			for k := range 3 {
				e := s.q[k] - float64(s.t.points[3*int(p)+k])
				d += e * e
			}
			s.offer(hit{d, p})
		}
		return
	}
	d := s.q[n.axis] - float64(n.at)
	near, far := at+1, n.right
	if d >= 0 {
		near, far = far, near
	}
	for _, child := range [2]int32{near, far} {
		if s.t.nodes[child].square(&s.q) <= s.limit() {
			s.visit(child)
		}
	}
}
