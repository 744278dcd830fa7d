// Package bvh finds the nearest points of a mesh's surface and where rays meet it, with a hierarchy of bounding boxes.
//
// Distances and intersections are computed in float32 as upstream does; of several triangles that are equally near any may be
// found.
package bvh

import (
	"context"
	"math"

	"comfygo/internal/geometry"
)

// leafSize is the largest number of triangles of a leaf.
const leafSize = 4

// Tree is a hierarchy of the triangles of a mesh.
type Tree struct {
	vertices []float32
	faces    []int32
	order    []int32 // triangles by leaves
	nodes    []node
}

// node is a box; its left child follows it. A leaf has triangles order[from:to].
type node struct {
	lo, hi   geometry.Vec
	right    int32 // 0 for a leaf
	from, to int32
}

// New builds a tree of a mesh with at least one face, whose vertices and faces are not copied.
func New(ctx context.Context, vertices []float32, faces []int32) (*Tree, error) {
	t := &Tree{vertices: vertices, faces: faces, order: make([]int32, len(faces)/3)}
	b := builder{ctx: ctx, Tree: t, centers: make([]float32, len(faces))}
	err := geometry.Each(ctx, len(t.order), func(f int) {
		t.order[f] = int32(f)
		lo, hi := t.box(int32(f))
		for k := range lo {
			b.centers[3*f+k] = lo[k]/2 + hi[k]/2
		}
	})
	if err != nil {
		return nil, err
	}
	return t, b.build(0, int32(len(t.order)))
}

// Bytes is about the memory of a tree of n triangles.
func Bytes(n int) int64 { return int64(n) * 64 }

func (t *Tree) corner(f int32, c int) geometry.Vec {
	return geometry.At(t.vertices, t.faces[3*f+int32(c)])
}

func (t *Tree) box(f int32) (lo, hi geometry.Vec) {
	lo = t.corner(f, 0)
	hi = lo
	for c := 1; c < 3; c++ {
		lo, hi = grow(lo, hi, t.corner(f, c), t.corner(f, c))
	}
	return lo, hi
}

func grow(lo, hi, otherLo, otherHi geometry.Vec) (geometry.Vec, geometry.Vec) {
	for k := range lo {
		lo[k], hi[k] = min(lo[k], otherLo[k]), max(hi[k], otherHi[k])
	}
	return lo, hi
}

type builder struct {
	*Tree
	ctx     context.Context
	centers []float32
}

func (b *builder) build(from, to int32) error {
	own := len(b.nodes)
	lo, hi := b.box(b.order[from])
	for i, f := range b.order[from+1 : to] {
		if i&(often-1) == often-1 {
			if err := context.Cause(b.ctx); err != nil {
				return err
			}
		}
		l, h := b.box(f)
		lo, hi = grow(lo, hi, l, h)
	}
	b.nodes = append(b.nodes, node{lo: lo, hi: hi, from: from, to: to})
	if to-from <= leafSize {
		return nil
	}
	if to-from > often/4 {
		if err := context.Cause(b.ctx); err != nil {
			return err
		}
	}
	middle := (from + to) / 2
	if err := b.divide(from, to, middle); err != nil {
		return err
	}
	if err := b.build(from, middle); err != nil {
		return err
	}
	b.nodes[own].right = int32(len(b.nodes))
	return b.build(middle, to)
}

// often is the number of triangles after which an interrupt is looked for.
const often = 1 << 14

// divide orders triangles by their centers on the longest axis, so that half of them come before middle.
func (b *builder) divide(from, to, middle int32) error {
	var lo, hi geometry.Vec
	for k := range lo {
		lo[k], hi[k] = math.MaxFloat32, -math.MaxFloat32
	}
	for _, f := range b.order[from:to] {
		c := geometry.At(b.centers, f)
		lo, hi = grow(lo, hi, c, c)
	}
	axis := 0
	for k := 1; k < 3; k++ {
		if hi[k]-lo[k] > hi[axis]-lo[axis] {
			axis = k
		}
	}
	return geometry.Select(b.ctx, b.order, from, to, middle, func(f int32) float32 { return b.centers[3*int(f)+axis] })
}

// away is the square of a point's distance from the box.
func (n *node) away(q geometry.Vec) float32 {
	var d geometry.Vec
	for k := range d {
		d[k] = max(n.lo[k]-q[k], 0) + max(q[k]-n.hi[k], 0)
	}
	return d.Dot(d)
}
