package bake

import (
	"context"
	"math"

	"comfygo/engine/tensor"
	"comfygo/engine/torchrand"
	"comfygo/internal/geometry"
	"comfygo/internal/geometry/bvh"
	"comfygo/internal/geometry/uv"
	"comfygo/internal/imaging/codec"
)

// OcclusionOptions configure the estimate of ambient occlusion: rays for each pixel, their length and their distance from the surface
// in parts of the dense mesh's diagonal, and a factor of the result. Draw fills a slice with random numbers in 0…1.
type OcclusionOptions struct {
	Samples                  int
	Distance, Strength, Bias float64
	Random                   *torchrand.Generator
	Progress                 func(done, total int)
}

// maxRays bounds the rays that are cast between two reports of progress, as upstream bounds them.
const maxRays = 1 << 22

// Occlusion estimates the share of the sky that is visible from the points of the coarse mesh beside the dense one: [H,W,3] in 0…1,
// white where nothing blocks it. The rays are weighted by the cosine of their angle.
func (d Details) Occlusion(ctx context.Context, o OcclusionOptions) (*tensor.Tensor, error) {
	uvs, normals, err := d.low(ctx)
	if err != nil {
		return nil, err
	}
	r, err := uv.Rasterize(ctx, uvs, d.Low.Faces, d.Size)
	if err != nil {
		return nil, err
	}
	out := tensor.New(d.Size, d.Size, 3)
	var covered []int32
	for i, f := range r.Face {
		out.Data[3*i], out.Data[3*i+1], out.Data[3*i+2] = 1, 1, 1
		if f >= 0 {
			covered = append(covered, int32(i))
		}
	}
	if len(covered) == 0 {
		return out, nil
	}
	tree, err := bvh.New(ctx, d.High.Vertices, d.High.Faces)
	if err != nil {
		return nil, err
	}
	diagonal := float64(d.diagonal())
	b := occlusionBaker{d, r, tree, normals, o, float32(max(1e-5, o.Bias*diagonal)), float32(o.Distance * diagonal)}
	chunk := max(1, maxRays/max(1, o.Samples))
	first, second := make([]float32, min(chunk, len(covered))*o.Samples), make([]float32, min(chunk, len(covered))*o.Samples)
	for from := 0; from < len(covered); from += chunk {
		part := covered[from:min(from+chunk, len(covered))]
		o.Random.Uniform(first[:len(part)*o.Samples])
		o.Random.Uniform(second[:len(part)*o.Samples])
		codec.Parallel(len(part), 1000*o.Samples, func(from, to int) {
			for i := from; i < to && ctx.Err() == nil; i++ {
				v := b.pixel(int(part[i]), first[i*o.Samples:(i+1)*o.Samples], second[i*o.Samples:(i+1)*o.Samples])
				geometry.Vec{v, v, v}.Put(out.Data, part[i])
			}
		})
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		o.Progress(from+len(part), len(covered))
	}
	return uv.Fill(ctx, out, func(i int) bool { return r.Face[i] >= 0 })
}

type occlusionBaker struct {
	Details
	r            *uv.Raster
	tree         *bvh.Tree
	normals      []float32
	o            OcclusionOptions
	bias, length float32
}

// pixel is the light that reaches a covered pixel.
func (b *occlusionBaker) pixel(i int, first, second []float32) float32 {
	normal := b.r.Blend(b.normals, i).Unit(1e-6)
	// The coarse surface may lie below the dense one.
	place, _, _ := b.tree.Closest(b.r.Blend(b.Low.Vertices, i))
	up := geometry.Vec{0, 0, 1}
	if !(normal[2] < 0.999 && normal[2] > -0.999) {
		up = geometry.Vec{1, 0, 0}
	}
	tangent := up.Cross(normal).Unit(1e-6)
	bitangent := normal.Cross(tangent)
	ray := bvh.Ray{From: place.Add(normal.Times(b.bias)), Min: b.bias, Max: b.length}
	hits := 0
	for k, u := range first {
		radius, angle := float32(math.Sqrt(float64(u))), second[k]*float32(2*math.Pi)
		sin, cos := math.Sincos(float64(angle))
		up := float32(math.Sqrt(float64(max(1-u, 0))))
		ray.Along = tangent.Times(float32(cos) * radius).Add(bitangent.Times(float32(sin) * radius)).Add(normal.Times(up)).Unit(1e-6)
		if b.tree.Hits(&ray) {
			hits++
		}
	}
	occluded := float32(hits) / float32(len(first))
	return min(max(1-occluded*float32(b.o.Strength), 0), 1)
}
