// Package pointmap has what is done with the points in space that a network finds for each pixel of an image: the focal length and the place of the
// camera, meshes, images of depth and normals, and panoramas of several views.
//
// It must not know networks, nodes and folders.
package pointmap

import (
	"math"

	"comfygo/engine/tensor"
)

// Map is what is known of B images of one size; parts that are not known are nil. Points are in the space of the camera, x to the right, y down, z
// ahead; those of a panorama have z up.
type Map struct {
	// Points are [B,H,W,3] and Depth [B,H,W]; both are infinite where there is nothing.
	Points, Depth *tensor.Tensor
	// Intrinsics are [B,3,3] for an image whose sides have the length one; a panorama has none.
	Intrinsics *tensor.Tensor
	// Mask is 1 where there is something, [B,H,W].
	Mask *tensor.Tensor
	// Normals are [B,H,W,3].
	Normals *tensor.Tensor
	// Image is [B,H,W,3] in 0…1.
	Image *tensor.Tensor
}

// MemoryBytes is the size in host memory.
func (m *Map) MemoryBytes() int64 {
	if m == nil {
		return 0
	}
	n := int64(0)
	for _, t := range []*tensor.Tensor{m.Points, m.Depth, m.Intrinsics, m.Mask, m.Normals, m.Image} {
		if t != nil {
			n += 4 * int64(len(t.Data))
		}
	}
	return n
}

// linspace are n numbers from first to last, as torch counts them in float32: the second half from the end.
func linspace(first, last float32, n int) []float32 {
	out := make([]float32, n)
	if n == 1 {
		out[0] = first
		return out
	}
	step := (last - first) / float32(n-1)
	for i := range out {
		if i < n/2 {
			out[i] = first + step*float32(i)
		} else {
			out[i] = last - step*float32(n-1-i)
		}
	}
	return out
}

// Plane are the places of the centres of pixels in an image of w x h pixels whose half diagonal has the length one: across for each column, down for
// each row. aspect is the width of the image in heights. Upstream: ldm/moge/geometry.py normalized_view_plane_uv.
func Plane(w, h int, aspect float64) (across, down []float32) {
	diagonal := math.Sqrt(1 + aspect*aspect)
	span := func(side float64, n int) []float32 {
		end := side / diagonal * float64(n-1) / float64(n)
		return linspace(float32(-end), float32(end), n)
	}
	return span(aspect, w), span(1, h)
}

func finite(v float32) bool { return !math.IsInf(float64(v), 0) && !math.IsNaN(float64(v)) }

// finite3 reports that a point is finite.
func finite3(p []float32) bool { return finite(p[0]) && finite(p[1]) && finite(p[2]) }
