// Package view renders a mesh from a camera by casting a ray through each pixel.
//
// It must not know of nodes, files or how cameras are written.
package view

import (
	"context"
	"math"

	"comfygo/engine/tensor"
	"comfygo/internal/geometry"
	"comfygo/internal/geometry/bvh"
	"comfygo/internal/imaging/codec"
)

// Camera is a place with axes of length 1.
type Camera struct {
	Eye, Forward, Right, Up geometry.Vec
	FOV                     float64 // vertical, in radians
}

// Look returns a camera that looks at a point, with Y up; for directions straight up and down, Z replaces Y.
func Look(eye, at geometry.Vec, fov float64) Camera {
	const eps, steep = 1e-6, 0.99
	f := at.Sub(eye).Unit(eps)
	up := geometry.Vec{0, 1, 0}
	if a := f.Dot(up); a >= steep || a <= -steep {
		up = geometry.Vec{0, 0, 1}
	}
	r := f.Cross(up).Unit(eps)
	return Camera{eye, f, r, r.Cross(f), fov}
}

// Surface selects what is shown of a mesh: the first that is set of Normals, Texture and Colors, else gray clay in a light at
// the camera.
type Surface struct {
	// Normals shows normals as the camera sees them: of the vertices in VertexNormals, [N,3], or of the faces.
	Normals       bool
	VertexNormals []float32
	Texture       *tensor.Tensor // [H,W,C], of at least three channels
	UVs           []float32      // [N,2]
	Colors        []float32      // [N,3]
}

// Image is the rendered image: RGB [H,W,3], whether a pixel shows the mesh, and its distance.
type Image struct {
	Pixels []float32
	Hit    []bool
	Depth  []float32
}

// Render casts a ray through the middle of each pixel.
func Render(ctx context.Context, it *geometry.Item, s Surface, c Camera, width, height int) (*Image, error) {
	tree, err := bvh.New(ctx, it.Vertices, it.Faces)
	if err != nil {
		return nil, err
	}
	img := &Image{make([]float32, 3*width*height), make([]bool, width*height), make([]float32, width*height)}
	r := renderer{it, s, c, tree}
	tan := float32(math.Tan(c.FOV / 2))
	aspect := float32(float64(width) / float64(height))
	codec.Parallel(height, 400*width, func(from, to int) {
		for y := from; y < to && ctx.Err() == nil; y++ {
			gy := 1 - (float32(y)+0.5)/float32(height)*2
			for x := range width {
				gx := (float32(x)+0.5)/float32(width)*2 - 1
				along := c.Right.Times(gx * tan * aspect).Add(c.Up.Times(gy * tan)).Add(c.Forward).Unit(1e-6)
				ray := bvh.Ray{From: c.Eye, Along: along, Min: 1e-5, Max: 1e30}
				at, face := tree.First(&ray)
				if face < 0 {
					continue
				}
				i := y*width + x
				img.Hit[i], img.Depth[i] = true, at
				rgb := r.color(face, c.Eye.Add(along.Times(at)), along)
				copy(img.Pixels[3*i:], rgb[:])
			}
		}
	})
	return img, context.Cause(ctx)
}

type renderer struct {
	it   *geometry.Item
	s    Surface
	c    Camera
	tree *bvh.Tree
}

// color returns the color of a face at a point, seen along a ray.
func (r *renderer) color(face int32, at, along geometry.Vec) geometry.Vec {
	a, b, c := r.tree.Corners(face)
	switch w := bvh.Barycentric(at, a, b, c); {
	case r.s.Normals:
		n := r.mixed(face, w, r.s.VertexNormals).Unit(1e-6)
		if r.s.VertexNormals == nil {
			if n = normal(a, b, c); n.Dot(along) > 0 {
				n = n.Times(-1)
			}
		}
		seen := geometry.Vec{n.Dot(r.c.Right), n.Dot(r.c.Up), -n.Dot(r.c.Forward)}
		for k, v := range seen {
			seen[k] = min(max(v*0.5+0.5, 0), 1)
		}
		return seen
	case r.s.Texture != nil:
		u, v := float32(0), float32(0)
		for k := range w {
			i := r.it.Faces[3*face+int32(k)] //nolint:gosec // below 3
			u, v = u+w[k]*r.s.UVs[2*i], v+w[k]*r.s.UVs[2*i+1]
		}
		return texel(r.s.Texture, u, v)
	case r.s.Colors != nil:
		return r.mixed(face, w, r.s.Colors)
	}
	const clay, least = 0.72, 0.15
	light := normal(a, b, c).Dot(along)
	light = clay * min(max(light, -light, least), 1)
	return geometry.Vec{light, light, light}
}

func normal(a, b, c geometry.Vec) geometry.Vec { return b.Sub(a).Cross(c.Sub(a)).Unit(1e-6) }

// mixed is the weighted mean of values [N,3] at a face's corners.
func (r *renderer) mixed(face int32, w geometry.Vec, values []float32) (out geometry.Vec) {
	if values == nil {
		return out
	}
	for k := range w {
		out = out.Add(geometry.At(values, r.it.Faces[3*face+int32(k)]).Times(w[k])) //nolint:gosec // below 3
	}
	return out
}

// texel interpolates an image at a place in 0…1; the image is repeated beyond its edges.
func texel(t *tensor.Tensor, u, v float32) (out geometry.Vec) {
	h, w, c := t.Shape[0], t.Shape[1], t.Shape[2]
	place := func(at float32, n int) (int, int, float32) {
		at = min(max(((at*2-1+1)*float32(n)-1)/2, 0), float32(n-1))
		low := int(at)
		return low, min(low+1, n-1), at - float32(low)
	}
	x0, x1, fx := place(u, w)
	y0, y1, fy := place(v, h)
	for k := range out {
		at := func(y, x int) float32 { return t.Data[(y*w+x)*c+k] }
		out[k] = at(y0, x0)*(1-fx)*(1-fy) + at(y0, x1)*fx*(1-fy) + at(y1, x0)*(1-fx)*fy + at(y1, x1)*fx*fy
	}
	return out
}
