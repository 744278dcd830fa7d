package shade

import (
	"context"
	"math"

	"comfygo/internal/geometry"
)

// Creased returns the mesh with its vertices split along edges whose dihedral angle is above an angle in degrees, and normals
// that are smooth within the areas between such edges. Other attributes are kept.
func Creased(ctx context.Context, it *geometry.Item, degrees float64) (geometry.Item, error) {
	n := it.FaceCount()
	normals := make([]geometry.Vec, n)
	units := make([]geometry.Vec, n)
	err := geometry.Each(ctx, n, func(f int) {
		normals[f] = faceNormal(it, f)
		length := normals[f].Len()
		if !(length > 1e-12) {
			length = 1
		}
		units[f] = geometry.Vec{normals[f][0] / length, normals[f][1] / length, normals[f][2] / length}
	})
	if err != nil {
		return geometry.Item{}, err
	}
	group, err := smoothGroups(ctx, it, units, math.Cos(degrees*(math.Pi/180)))
	if err != nil {
		return geometry.Item{}, err
	}
	faces, source, err := split(ctx, it, group)
	if err != nil {
		return geometry.Item{}, err
	}
	out := geometry.Item{Faces: faces, Channels: it.Channels}
	for _, a := range []struct {
		to     *[]float32
		values []float32
		width  int
	}{{&out.Vertices, it.Vertices, 3}, {&out.UVs, it.UVs, 2}, {&out.Colors, it.Colors, it.Channels}, {&out.Tangents, it.Tangents, 4}} {
		if *a.to, err = geometry.Gather(ctx, a.values, source, a.width); err != nil {
			return geometry.Item{}, err
		}
	}
	sum := make([]float64, 3*len(source))
	for corner := range 3 {
		err := geometry.Each(ctx, n, func(f int) {
			at, v := sum[3*faces[3*f+corner]:], normals[f]
			at[0], at[1], at[2] = at[0]+float64(v[0]), at[1]+float64(v[1]), at[2]+float64(v[2])
		})
		if err != nil {
			return geometry.Item{}, err
		}
	}
	out.Normals = make([]float32, 3*len(source))
	return out, geometry.Each(ctx, len(source), func(i int) { unit64(out.Normals[3*i:], sum[3*i:]) })
}

// smoothGroups joins faces that share an edge of exactly two faces whose normals' cosine is at least the threshold.
func smoothGroups(ctx context.Context, it *geometry.Item, units []geometry.Vec, cosine float64) (*geometry.Sets, error) {
	groups := geometry.NewSets(it.FaceCount())
	edges, err := geometry.SortedEdges(ctx, it.Faces)
	if err != nil {
		return nil, err
	}
	return groups, geometry.EachEdge(ctx, edges, func(group []geometry.Half) {
		if len(group) != 2 {
			return
		}
		if a, b := group[0].Half/3, group[1].Half/3; float64(units[a].Dot(units[b])) >= cosine {
			groups.Join(a, b)
		}
	})
}

// split numbers the pairs of a vertex and a group of faces in the order of the faces' corners.
func split(ctx context.Context, it *geometry.Item, groups *geometry.Sets) (faces, source []int32, err error) {
	corner := func(i int) [3]int64 { return [3]int64{int64(it.Faces[i]), int64(groups.Find(int32(i / 3)))} }
	faces, first, err := geometry.Group(ctx, len(it.Faces), corner)
	if err != nil {
		return nil, nil, err
	}
	source = make([]int32, len(first))
	for i, c := range first {
		source[i] = it.Faces[c]
	}
	return faces, source, nil
}
