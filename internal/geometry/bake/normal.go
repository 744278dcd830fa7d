package bake

import (
	"context"

	"comfygo/engine/tensor"
	"comfygo/internal/geometry"
	"comfygo/internal/geometry/bvh"
	"comfygo/internal/geometry/shade"
	"comfygo/internal/geometry/uv"
	"comfygo/internal/imaging/codec"
)

// Details are a coarse and a dense mesh, and the side of the texture of the coarse one.
type Details struct {
	Low, High *geometry.Item
	Size      int
}

// low returns the coarse mesh's texture coordinates and normals.
func (d Details) low(ctx context.Context) (uvs, normals []float32, err error) {
	normals = d.Low.Normals
	if normals == nil {
		normals, err = shade.Vertex(ctx, d.Low)
	}
	return uv.Unit(d.Low.UVs), normals, err
}

// diagonal is the length of the dense mesh's bounds.
func (d Details) diagonal() float32 {
	lo, hi := d.High.Bounds()
	return max(geometry.Vec(hi).Sub(geometry.Vec(lo)).Len(), 1e-6)
}

// flat is the color of a normal that does not deviate.
var flat = [3]float32{0.5, 0.5, 1}

// Normals bakes the normals of the dense mesh into a tangent-space normal map of the coarse one (OpenGL, +Y), [H,W,3] in 0…1. A ray
// against the coarse normal, over cage times the dense mesh's diagonal to both sides, finds the surface; where it misses, the nearest point
// counts. front leaves out surfaces that face away.
func (d Details) Normals(ctx context.Context, cage float64, front bool) (*tensor.Tensor, error) {
	uvs, normals, err := d.low(ctx)
	if err != nil {
		return nil, err
	}
	tangents, err := shade.Tangents(ctx, d.Low, uvs, normals)
	if err != nil {
		return nil, err
	}
	r, err := uv.Rasterize(ctx, uvs, d.Low.Faces, d.Size)
	if err != nil {
		return nil, err
	}
	out := tensor.New(d.Size, d.Size, 3)
	for i := range r.Face {
		copy(out.Data[3*i:], flat[:])
	}
	if !r.Covered() {
		return out, nil
	}
	high := d.High.Normals
	if high == nil {
		if high, err = shade.Vertex(ctx, d.High); err != nil {
			return nil, err
		}
	}
	tree, err := bvh.New(ctx, d.High.Vertices, d.High.Faces)
	if err != nil {
		return nil, err
	}
	b := normalBaker{d, r, tree, normals, tangents, high, max(1e-6, float32(cage*float64(d.diagonal()))), front}
	codec.Parallel(d.Size, d.Size*1000, func(from, to int) {
		for i := from * d.Size; i < to*d.Size; i++ {
			if i%d.Size == 0 && ctx.Err() != nil {
				return
			}
			if r.Face[i] >= 0 {
				b.pixel(i).Put(out.Data, int32(i))
			}
		}
	})
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return uv.Fill(ctx, out, func(i int) bool { return r.Face[i] >= 0 })
}

type normalBaker struct {
	Details
	r                       *uv.Raster
	tree                    *bvh.Tree
	normals, tangents, high []float32
	cage                    float32
	front                   bool
}

// pixel is the encoded normal of a covered pixel.
func (b *normalBaker) pixel(i int) geometry.Vec {
	place := b.r.Blend(b.Low.Vertices, i)
	normal := b.r.Blend(b.normals, i).Unit(1e-6)
	ray := bvh.Ray{From: place.Add(normal.Times(b.cage)), Along: normal.Times(-1), Max: 2 * b.cage, Front: b.front}
	at, face := b.tree.First(&ray)
	point := ray.From.Sub(normal.Times(at))
	if face < 0 {
		point, face, _ = b.tree.Closest(place)
	}
	p0, p1, p2 := b.tree.Corners(face)
	w := bvh.Barycentric(point, p0, p1, p2)
	c := b.High.Faces[3*face : 3*face+3]
	dense := geometry.At(b.high, c[0]).Times(w[0]).Add(geometry.At(b.high, c[1]).Times(w[1])).Add(geometry.At(b.high, c[2]).Times(w[2])).Unit(1e-6)

	tangent, hand := b.tangent(i)
	tangent = tangent.Sub(normal.Times(normal.Dot(tangent))).Unit(1e-6)
	bitangent := normal.Cross(tangent).Times(hand)
	out := geometry.Vec{dense.Dot(tangent), dense.Dot(bitangent), dense.Dot(normal)}
	if out[2] < 0 { // the back of a surface
		out = geometry.Vec{0, 0, 1}
	} else {
		out = out.Unit(1e-6)
	}
	for k, v := range out {
		out[k] = min(max(v*0.5+0.5, 0), 1)
	}
	return out
}

// tangent interpolates the tangent and its handedness at a pixel.
func (b *normalBaker) tangent(i int) (t geometry.Vec, hand float32) {
	w := b.r.Weights(i)
	for k, v := range b.Low.Faces[3*b.r.Face[i] : 3*b.r.Face[i]+3] {
		at := b.tangents[4*v : 4*v+4]
		t = t.Add(geometry.Vec{at[0], at[1], at[2]}.Times(w[k]))
		hand += float32(w[k] * at[3])
	}
	return t, hand
}
