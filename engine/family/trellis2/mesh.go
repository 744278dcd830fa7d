package trellis2

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/family"
)

// corners are the cells around an edge of each axis.
var corners = [axes][4][axes]int32{
	{{0, 0, 0}, {0, 0, 1}, {0, 1, 1}, {0, 1, 0}},
	{{0, 0, 0}, {1, 0, 0}, {1, 0, 1}, {0, 0, 1}},
	{{0, 0, 0}, {0, 1, 0}, {1, 1, 0}, {1, 0, 0}},
}

// The two ways to cut a square into triangles.
var (
	along  = [6]int{0, 1, 2, 0, 2, 3}
	across = [6]int{0, 1, 3, 3, 1, 2}
)

// margin is how far a vertex may lie beyond its cell, in cells.
const margin = 0.5

// surface makes a mesh of cells [N,3] and their values [N,7]: a vertex in each cell, and a square around each edge that the surface crosses, if its four
// cells are there. Upstream: flexible_dual_grid_to_mesh, in which cells at the border of the volume also meet those of the other side.
func surface(ctx context.Context, at []int32, values []float32, resolution int) (family.CellMesh, error) {
	if resolution < 1 {
		return family.CellMesh{}, fmt.Errorf("making a mesh at a resolution of %d cells: wanted at least one", resolution)
	}
	t, err := index(ctx, at)
	if err != nil {
		return family.CellMesh{}, err
	}
	n := len(at) / axes
	m := family.CellMesh{Vertices: make([]float32, axes*n)}
	size := 1 / float32(resolution)
	weights := make([]float32, n)
	for i := range n {
		v := values[shapeValues*i : shapeValues*i+shapeValues]
		for a := range axes {
			offset := float32(1+2*margin)*sigmoid(v[a]) - margin
			m.Vertices[axes*i+a] = (float32(at[axes*i+a])+offset)*size - 0.5
		}
		weights[i] = softplus(v[2*axes])
	}
	for i := range n {
		if i%often == 0 && ctx.Err() != nil {
			return family.CellMesh{}, context.Cause(ctx)
		}
		for a := range axes {
			if values[shapeValues*i+axes+a] > 0 {
				m.Faces = t.square(m.Faces, at[axes*i:axes*i+axes], a, weights)
			}
		}
	}
	return m, nil
}

// square appends the two triangles of the square around an edge of a cell, if its four cells are there.
func (t *table) square(faces, at []int32, axis int, weights []float32) []int32 {
	var ends [4]int32
	for k, o := range corners[axis] {
		if ends[k] = t.find(at[0]+o[0], at[1]+o[1], at[2]+o[2]); ends[k] < 0 {
			return faces
		}
	}
	cut := across
	if weights[ends[0]]*weights[ends[2]] > weights[ends[1]]*weights[ends[3]] {
		cut = along
	}
	for _, k := range cut {
		faces = append(faces, ends[k])
	}
	return faces
}

func sigmoid(x float32) float32 { return float32(1 / (1 + math.Exp(-float64(x)))) }

// softplus is torch's, which is the identity above 20.
func softplus(x float32) float32 {
	const linear = 20
	if x > linear {
		return x
	}
	return float32(math.Log1p(math.Exp(float64(x))))
}
