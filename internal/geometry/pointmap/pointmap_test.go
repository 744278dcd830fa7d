package pointmap_test

import (
	"math"
	"slices"
	"testing"

	"comfygo/engine/tensor"
	"comfygo/internal/geometry/pointmap"
)

// scene are the points of a slanted plane that a camera of a focal length sees, each moved back by shift.
func scene(h, w int, focal, shift float32) (points, mask *tensor.Tensor) {
	points, mask = tensor.New(h, w, 3), tensor.New(h, w)
	across, down := pointmap.Plane(w, h, float64(w)/float64(h))
	for y := range h {
		for x := range w {
			z := 2 + across[x] + 0.5*down[y]
			copy(points.Data[3*(y*w+x):], []float32{across[x] / focal * z, down[y] / focal * z, z - shift})
			mask.Data[y*w+x] = 1
		}
	}
	return points, mask
}

// TestFocalShift finds the camera that points were made for.
func TestFocalShift(t *testing.T) {
	t.Parallel()
	for _, focal := range []float32{0.6, 1.5, 3} {
		for _, shift := range []float32{-0.5, 0, 0.7} {
			points, mask := scene(50, 80, focal, shift)
			for _, given := range []float32{0, focal} {
				f, s, err := pointmap.FocalShift(points, mask, given)
				if err != nil || math.Abs(float64(f-focal)) > 0.02*float64(focal) || math.Abs(float64(s-shift)) > 0.05 {
					t.Errorf("focal length %v and shift %v are taken for %v and %v (given %v): %v", focal, shift, f, s, given, err)
				}
			}
		}
	}
	points, mask := scene(8, 8, 1, 0)
	clear(mask.Data)
	if f, s, err := pointmap.FocalShift(points, mask, 0); f != 1 || s != 0 || err != nil {
		t.Errorf("from nothing: %v, %v, %v", f, s, err)
	}
	for i := range points.Data {
		points.Data[i] = float32(math.NaN())
		mask.Data[i/3] = 1
	}
	if _, _, err := pointmap.FocalShift(points, mask, 0); err == nil {
		t.Error("points that are no numbers have a camera")
	}
}

// TestQuantile holds torch's interpolation.
func TestQuantile(t *testing.T) {
	t.Parallel()
	for q, want := range map[float32]float32{0: 1, 0.5: 3, 0.25: 2, 0.9: 7.4, 1: 9} {
		if got := pointmap.Quantile([]float32{9, 2, 1, 5, 3}, q); math.Abs(float64(got-want)) > 1e-5 {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
}

// TestTriangulate makes meshes of a grid with a hole, and of one whose depth has an edge.
func TestTriangulate(t *testing.T) {
	t.Parallel()
	points, _ := scene(3, 3, 1, 0)
	it := pointmap.Triangulate(pointmap.Grid{Points: points})
	if it.VertexCount() != 9 || it.FaceCount() != 8 || !slices.Equal(it.Faces[:3], []int32{0, 1, 4}) || !slices.Equal(it.Faces[12:15], []int32{0, 4, 3}) || !slices.Equal(it.UVs[2:4], []float32{0.5, 0}) {
		t.Errorf("%d vertices, faces %v, texture coordinates %v", it.VertexCount(), it.Faces, it.UVs)
	}
	if it := pointmap.Triangulate(pointmap.Grid{Points: points, Step: 2}); it.VertexCount() != 4 || it.FaceCount() != 2 {
		t.Errorf("of every second: %d vertices, %d faces", it.VertexCount(), it.FaceCount())
	}
	hole := points.Clone()
	hole.Data[0] = float32(math.Inf(1))
	if it := pointmap.Triangulate(pointmap.Grid{Points: hole}); it.VertexCount() != 8 || it.FaceCount() != 6 {
		t.Errorf("with a hole: %d vertices, %d faces", it.VertexCount(), it.FaceCount())
	}
	depth := tensor.New(3, 3)
	for i := range depth.Data {
		depth.Data[i] = 1
	}
	depth.Data[8] = 5
	if it := pointmap.Triangulate(pointmap.Grid{Points: points, Depth: depth, Edge: 0.1}); it.VertexCount() != 5 || it.FaceCount() != 0 {
		t.Errorf("with an edge: %d vertices, %d faces", it.VertexCount(), it.FaceCount())
	}
}

// TestMerge joins views of a sphere of one radius: it has that radius, but for a factor that no view tells.
func TestMerge(t *testing.T) {
	t.Parallel()
	const side = 24
	var seen []pointmap.Seen
	for _, v := range pointmap.Views() {
		s := pointmap.Seen{View: v, Distance: tensor.New(side, side), Mask: tensor.New(side, side)}
		for i := range s.Mask.Data {
			s.Distance.Data[i], s.Mask.Data[i] = 3, 1
		}
		seen = append(seen, s)
	}
	done, solved := 0, 0
	distance, mask, err := pointmap.Merge(t.Context(), 64, 32, seen, func(_ int, s bool) {
		if done++; s {
			solved++
		}
	})
	if err != nil || done != 13 || solved != 1 {
		t.Fatalf("%d reports, %d solutions: %v", done, solved, err)
	}
	for i, d := range distance.Data {
		if mask.Data[i] != 1 || math.Abs(float64(d/distance.Data[0]-1)) > 1e-4 {
			t.Fatalf("pixel %d: distance %v of %v, seen %v", i, d, distance.Data[0], mask.Data[i])
		}
	}
	if levels := pointmap.Levels(600, 300); !slices.Equal(levels, [][2]int{{150, 75}, {300, 150}, {600, 300}}) {
		t.Errorf("levels %v", levels)
	}
}
