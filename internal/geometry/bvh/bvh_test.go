package bvh_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"comfygo/internal/geometry"
	"comfygo/internal/geometry/bvh"
)

// scattered are triangles at random places, one of them degenerate.
func scattered(rng *rand.Rand, n int) (vertices []float32, faces []int32) {
	for i := range int32(n) {
		center := [3]float32{rng.Float32(), rng.Float32(), rng.Float32()}
		for range 3 {
			for k := range 3 {
				vertices = append(vertices, center[k]+0.2*rng.Float32())
			}
		}
		faces = append(faces, 3*i, 3*i+1, 3*i+2)
	}
	faces[1] = faces[0]
	return vertices, faces
}

func point(rng *rand.Rand) geometry.Vec {
	return geometry.Vec{2*rng.Float32() - 0.5, 2*rng.Float32() - 0.5, 2*rng.Float32() - 0.5}
}

// TestQueries compares with looking at all triangles.
func TestQueries(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{1, 2, 5, 200} {
		vertices, faces := scattered(rng, n)
		tree, err := bvh.New(t.Context(), vertices, faces)
		if err != nil {
			t.Fatal(err)
		}
		for range 200 {
			p := point(rng)
			least := float32(math.Inf(1))
			for f := range int32(n) {
				a, b, c := tree.Corners(f)
				_, d := bvh.Closest(p, a, b, c)
				least = min(least, d)
			}
			if _, face, d := tree.Closest(p); d != least || face < 0 {
				t.Fatalf("the nearest of %d triangles is %g away, want %g", n, d, least)
			}
			ray := bvh.Ray{From: p, Along: point(rng).Sub(p), Max: 10}
			first := float32(10)
			for f := range int32(n) {
				single, err := bvh.New(t.Context(), vertices, faces[3*f:3*f+3])
				if err != nil {
					t.Fatal(err)
				}
				if at, face := single.First(&ray); face == 0 {
					first = min(first, at)
				}
			}
			at, face := tree.First(&ray)
			if at != first || (face >= 0) != (first < 10) || tree.Hits(&ray) != (first < 10) {
				t.Fatalf("a ray meets %d triangles at %g, want %g; hits: %v", n, at, first, tree.Hits(&ray))
			}
		}
	}
}
