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
	for f := range n {
		normals[f] = faceNormal(it, f)
		length := normals[f].Len()
		if !(length > 1e-12) {
			length = 1
		}
		units[f] = geometry.Vec{normals[f][0] / length, normals[f][1] / length, normals[f][2] / length}
	}
	group, err := smoothGroups(ctx, it, units, math.Cos(degrees*(math.Pi/180)))
	if err != nil {
		return geometry.Item{}, err
	}
	faces, source := split(it, group)
	out := geometry.Item{Faces: faces, Channels: it.Channels}
	out.Vertices = gathered(it.Vertices, source, 3)
	out.UVs = gathered(it.UVs, source, 2)
	out.Colors = gathered(it.Colors, source, it.Channels)
	out.Tangents = gathered(it.Tangents, source, 4)
	sum := make([]float64, 3*len(source))
	for corner := range 3 {
		for f := range n {
			at, v := sum[3*faces[3*f+corner]:], normals[f]
			at[0], at[1], at[2] = at[0]+float64(v[0]), at[1]+float64(v[1]), at[2]+float64(v[2])
		}
	}
	out.Normals = make([]float32, 3*len(source))
	for i := range source {
		unit64(out.Normals[3*i:], sum[3*i:])
	}
	return out, nil
}

// smoothGroups joins faces that share an edge of exactly two faces whose normals' cosine is at least the threshold.
func smoothGroups(ctx context.Context, it *geometry.Item, units []geometry.Vec, cosine float64) (*geometry.Sets, error) {
	groups := geometry.NewSets(it.FaceCount())
	edges, err := geometry.SortedEdges(ctx, it.Faces)
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(edges); {
		j := i + 1
		for j < len(edges) && edges[j].Key == edges[i].Key {
			j++
		}
		if a, b := edges[i].Half/3, edges[min(i+1, len(edges)-1)].Half/3; j == i+2 && float64(units[a].Dot(units[b])) >= cosine {
			groups.Join(a, b)
		}
		i = j
	}
	return groups, nil
}

// split numbers the pairs of a vertex and a group of faces in the order of the faces' corners.
func split(it *geometry.Item, groups *geometry.Sets) (faces, source []int32) {
	faces = make([]int32, len(it.Faces))
	corner := func(i int) [3]int64 { return [3]int64{int64(it.Faces[i]), int64(groups.Find(int32(i / 3)))} }
	of, first := geometry.Group(len(it.Faces), corner)
	copy(faces, of)
	source = make([]int32, len(first))
	for i, c := range first {
		source[i] = it.Faces[c]
	}
	return faces, source
}

func gathered(values []float32, source []int32, width int) []float32 {
	if values == nil {
		return nil
	}
	out := make([]float32, 0, width*len(source))
	for _, s := range source {
		out = append(out, values[width*int(s):width*int(s)+width]...)
	}
	return out
}
