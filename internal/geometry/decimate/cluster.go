package decimate

import (
	"context"
	"math"

	"comfygo/internal/geometry"
	"comfygo/internal/geometry/weld"
)

// Cluster averages the vertices in the cells of a grid (Rossignac and Borrel 1993) that leaves about target vertices: a fast first step for
// huge meshes.
func Cluster(ctx context.Context, it *geometry.Item, target int) (geometry.Item, error) {
	if it.VertexCount() == 0 || it.FaceCount() == 0 {
		return *it, nil
	}
	lo, hi := it.Bounds()
	side := float64(max(hi[0]-lo[0], hi[1]-lo[1], hi[2]-lo[2]))
	const leastCells, cellsPerVertex = 1000, 3
	cells := math.Cbrt(float64(max(target*cellsPerVertex, leastCells)))
	scale := float32(1 / max(side/max(1, cells), 1e-20))
	of, first, err := geometry.Group(ctx, it.VertexCount(), func(i int) (c [3]int64) {
		for k := range c {
			c[k] = int64(math.Floor(float64((it.Vertices[3*i+k] - lo[k]) * scale)))
		}
		return c
	})
	if err != nil {
		return geometry.Item{}, err
	}
	out, err := weld.Averaged(ctx, it, of, len(first))
	if err != nil {
		return geometry.Item{}, err
	}
	kept := out.Faces[:0]
	err = geometry.Each(ctx, out.FaceCount(), func(f int) {
		if a, b, c := out.Corner(f); !twice(a, b, c) {
			kept = append(kept, a, b, c)
		}
	})
	if err != nil {
		return geometry.Item{}, err
	}
	out.Faces, err = firstOfEach(ctx, kept)
	return out, err
}
