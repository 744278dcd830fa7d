// Package uv works in texture space: it rasterizes meshes by their texture coordinates, fills gutters and draws atlases.
package uv

import (
	"context"
	"fmt"
	"math"

	"comfygo/internal/geometry"
	"comfygo/internal/imaging/codec"
)

// slack is how far outside of a triangle a pixel's center may lie, in barycentric coordinates.
const slack = -1e-6

// tile is the side of the tiles in which upstream draws; a triangle covers pixels of the tiles that its bounds touch.
const tile = 64

// Raster holds the covering triangle of each pixel of a square texture.
type Raster struct {
	Size  int
	Face  []int32   // [Size,Size], -1 if it is missing
	place []float32 // [N,2] texture coordinates in pixels
	faces []int32
}

// Rasterize draws triangles into a texture by their texture coordinates, which are in 0…1 with v downward. Of several triangles
// the first one covers a pixel.
func Rasterize(ctx context.Context, uvs []float32, faces []int32, size int) (*Raster, error) {
	place := make([]float32, len(uvs))
	for i, v := range uvs {
		place[i] = v * float32(size)
	}
	return rasterize(ctx, place, faces, size)
}

func rasterize(ctx context.Context, place []float32, faces []int32, size int) (*Raster, error) {
	for i, v := range place {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return nil, fmt.Errorf("vertex %d has the texture coordinate %v, want a finite number", i/2, v)
		}
	}
	r := &Raster{Size: size, Face: make([]int32, size*size), place: place, faces: faces}
	for i := range r.Face {
		r.Face[i] = -1
	}
	bands := (size + tile - 1) / tile
	codec.Parallel(bands, 1<<20, func(from, to int) {
		for f := range len(faces) / 3 {
			if f&0xffff == 0 && ctx.Err() != nil {
				return
			}
			r.draw(int32(f), from*tile, min(to*tile, size))
		}
	})
	return r, context.Cause(ctx)
}

// corners are the corners of a triangle in pixels.
func (r *Raster) corners(face int32) (c [3][2]float32) {
	for k := range c {
		v := 2 * r.faces[3*face+int32(k)]
		c[k] = [2]float32{r.place[v], r.place[v+1]}
	}
	return c
}

func area(c [3][2]float32) float32 {
	return float32((c[1][1]-c[2][1])*(c[0][0]-c[2][0])) + float32((c[2][0]-c[1][0])*(c[0][1]-c[2][1]))
}

// draw covers rows from…to-1 with a triangle.
func (r *Raster) draw(face int32, from, to int) {
	c := r.corners(face)
	d := area(c)
	if !(d > 1e-20 || d < -1e-20) {
		return
	}
	x0, x1 := r.span(c[0][0], c[1][0], c[2][0])
	y0, y1 := r.span(c[0][1], c[1][1], c[2][1])
	y0, y1 = max(y0, from), min(y1, to-1)
	for y := y0; y <= y1; y++ {
		row := r.Face[y*r.Size : (y+1)*r.Size]
		for x := x0; x <= x1; x++ {
			if row[x] >= 0 {
				continue
			}
			if b := weights(c, d, x, y); b[0] >= slack && b[1] >= slack && b[2] >= slack {
				row[x] = face
			}
		}
	}
}

// span are the pixels that a triangle can cover on one axis: those of its bounds and one more on each side, for rounding, within the
// tiles of the bounds.
func (r *Raster) span(a, b, c float32) (from, to int) {
	last := float64(r.Size - 1)
	lo := int(min(max(math.Floor(float64(min(a, b, c))), 0), last))
	hi := int(min(max(math.Ceil(float64(max(a, b, c))), 0), last))
	return max(lo-1, lo/tile*tile), min(hi+1, hi/tile*tile+tile-1, r.Size-1)
}

// weights are the barycentric coordinates of a pixel's center.
func weights(c [3][2]float32, d float32, px, py int) geometry.Vec {
	x, y := float32(px)+0.5, float32(py)+0.5
	dx, dy := x-c[2][0], y-c[2][1]
	a := (float32((c[1][1]-c[2][1])*dx) + float32((c[2][0]-c[1][0])*dy)) / d
	b := (float32((c[2][1]-c[0][1])*dx) + float32((c[0][0]-c[2][0])*dy)) / d
	return geometry.Vec{a, b, 1 - a - b}
}

// Weights are the barycentric coordinates of pixel i in the triangle that covers it.
func (r *Raster) Weights(i int) geometry.Vec {
	c := r.corners(r.Face[i])
	return weights(c, area(c), i%r.Size, i/r.Size)
}

// Blend interpolates a vertex attribute [N,3] at pixel i.
func (r *Raster) Blend(attribute []float32, i int) geometry.Vec {
	f := 3 * r.Face[i]
	w := r.Weights(i)
	a, b, c := geometry.At(attribute, r.faces[f]), geometry.At(attribute, r.faces[f+1]), geometry.At(attribute, r.faces[f+2])
	return a.Times(w[0]).Add(b.Times(w[1])).Add(c.Times(w[2]))
}

// Covered reports whether any pixel is covered.
func (r *Raster) Covered() bool {
	for _, f := range r.Face {
		if f >= 0 {
			return true
		}
	}
	return false
}

// Unit fits texture coordinates that leave 0…1 into it, both axes by one factor; others are returned as they are.
func Unit(uvs []float32) []float32 {
	if len(uvs) == 0 {
		return uvs
	}
	lo, hi := [2]float32{uvs[0], uvs[1]}, [2]float32{uvs[0], uvs[1]}
	for i, v := range uvs {
		lo[i%2], hi[i%2] = min(lo[i%2], v), max(hi[i%2], v)
	}
	extent := max(hi[0]-lo[0], hi[1]-lo[1])
	if !(min(lo[0], lo[1]) < -1e-4 || max(hi[0], hi[1]) > 1.0001) || !(extent > 0) {
		return uvs
	}
	out := make([]float32, len(uvs))
	for i, v := range uvs {
		out[i] = (v - lo[i%2]) / extent
	}
	return out
}
