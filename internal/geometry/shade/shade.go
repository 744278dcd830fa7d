// Package shade computes vertex normals and tangents as upstream does.
package shade

import (
	"context"
	"math"

	"comfygo/internal/geometry"
)

// tolerance is the size of the cells in which vertices share a normal, in parts of the longest side of the bounds.
const tolerance = 1e-5

// places numbers the places of the vertices: those within a cell share one.
func places(ctx context.Context, it *geometry.Item) (of []int32, count int, err error) {
	lo, hi := it.Bounds()
	side := float32(0)
	for k := range lo {
		side = max(side, hi[k]-lo[k])
	}
	g := geometry.NewGrid(lo, float32(1/(max(float64(side), 1e-9)*tolerance)))
	of, first, err := geometry.Group(ctx, it.VertexCount(), func(i int) [3]int64 { return g.Cell(it.Vertices, i) })
	return of, len(first), err
}

// faceNormal is the normal of a triangle with twice its area as length.
func faceNormal(it *geometry.Item, face int) geometry.Vec {
	a, b, c := it.Corner(face)
	p := geometry.At(it.Vertices, a)
	return geometry.At(it.Vertices, b).Sub(p).Cross(geometry.At(it.Vertices, c).Sub(p))
}

// Smooth returns area-weighted vertex normals, summed in float64; vertices at one place share a normal. A vertex without
// faces has a normal of zeros.
func Smooth(ctx context.Context, it *geometry.Item) ([]float32, error) {
	of, count, err := places(ctx, it)
	if err != nil {
		return nil, err
	}
	sum := make([]float64, 3*count)
	err = accumulate(ctx, it, func(vertex int32, n geometry.Vec) {
		at := sum[3*of[vertex]:]
		at[0], at[1], at[2] = at[0]+float64(n[0]), at[1]+float64(n[1]), at[2]+float64(n[2])
	})
	if err != nil {
		return nil, err
	}
	out := make([]float32, len(it.Vertices))
	return out, geometry.Each(ctx, len(of), func(i int) { unit64(out[3*i:], sum[3*of[i]:]) })
}

// accumulate visits the first corners of all faces, then the second, then the third, with the faces' normals.
func accumulate(ctx context.Context, it *geometry.Item, add func(vertex int32, n geometry.Vec)) error {
	for corner := range 3 {
		err := geometry.Each(ctx, it.FaceCount(), func(f int) { add(it.Faces[3*f+corner], faceNormal(it, f)) })
		if err != nil {
			return err
		}
	}
	return nil
}

// unit64 normalizes a vector; one shorter than 1e-12 is left as it is.
func unit64(to []float32, v []float64) {
	n := math.Sqrt(float64(float64(v[0]*v[0])+float64(v[1]*v[1])) + float64(v[2]*v[2]))
	if !(n > 1e-12) {
		n = 1
	}
	to[0], to[1], to[2] = float32(v[0]/n), float32(v[1]/n), float32(v[2]/n)
}

// Vertex returns area-weighted vertex normals as Smooth does, in float32.
func Vertex(ctx context.Context, it *geometry.Item) ([]float32, error) {
	out := make([]float32, len(it.Vertices))
	if len(it.Faces) == 0 {
		return out, nil
	}
	of, count, err := places(ctx, it)
	if err != nil {
		return nil, err
	}
	sum := make([]float32, 3*count)
	err = accumulate(ctx, it, func(vertex int32, n geometry.Vec) {
		geometry.At(sum, of[vertex]).Add(n).Put(sum, of[vertex])
	})
	if err != nil {
		return nil, err
	}
	return out, geometry.Each(ctx, len(of), func(i int) { geometry.At(sum, of[i]).Unit(1e-6).Put(out, int32(i)) })
}

// Tangents returns a tangent and its handedness for each vertex, [N,4], orthogonal to the normals (Lengyel).
func Tangents(ctx context.Context, it *geometry.Item, uvs, normals []float32) ([]float32, error) {
	n := it.VertexCount()
	tangents, bitangents := make([]float32, 3*n), make([]float32, 3*n)
	for corner := range 3 {
		err := geometry.Each(ctx, it.FaceCount(), func(f int) {
			t, b := faceTangents(it, uvs, f)
			v := it.Faces[3*f+corner]
			geometry.At(tangents, v).Add(t).Put(tangents, v)
			geometry.At(bitangents, v).Add(b).Put(bitangents, v)
		})
		if err != nil {
			return nil, err
		}
	}
	out := make([]float32, 4*n)
	return out, geometry.Each(ctx, n, func(at int) {
		i := int32(at)
		normal, sum := geometry.At(normals, i).Unit(1e-6), geometry.At(tangents, i)
		t := sum.Sub(normal.Times(normal.Dot(sum))).Unit(1e-6)
		hand := float32(1)
		if normal.Cross(t).Dot(geometry.At(bitangents, i)) < 0 {
			hand = -1
		}
		copy(out[4*i:], t[:])
		out[4*i+3] = hand
	})
}

func faceTangents(it *geometry.Item, uvs []float32, face int) (t, b geometry.Vec) {
	i0, i1, i2 := it.Corner(face)
	p := geometry.At(it.Vertices, i0)
	e1, e2 := geometry.At(it.Vertices, i1).Sub(p), geometry.At(it.Vertices, i2).Sub(p)
	u1, v1 := uvs[2*i1]-uvs[2*i0], uvs[2*i1+1]-uvs[2*i0+1]
	u2, v2 := uvs[2*i2]-uvs[2*i0], uvs[2*i2+1]-uvs[2*i0+1]
	d := float32(u1*v2) - float32(u2*v1)
	if d < 1e-20 && d > -1e-20 {
		d = 1e-20
	}
	r := 1 / d
	return e1.Times(v2).Sub(e2.Times(v1)).Times(r), e2.Times(u1).Sub(e1.Times(u2)).Times(r)
}
