// Package depthmap has what is done with the depth of images and the cameras of views: images of depth, and points in space.
//
// It must not know networks, nodes and folders.
package depthmap

import (
	"math"

	"comfygo/engine/tensor"
	"comfygo/internal/geometry/pointmap"
)

// Map is what is known of B images of one size; parts that are not known are nil.
type Map struct {
	// Depth is [B,H,W], Image [B,H,W,3] in 0…1.
	Depth, Image *tensor.Tensor
	// Sky is above Clear where there is sky, Confidence is at least 1, [B,H,W] each.
	Sky, Confidence *tensor.Tensor
	// Extrinsics are [B,3,4] or [B,4,4], from the world to the camera, and Intrinsics [B,3,3] in pixels.
	Extrinsics, Intrinsics *tensor.Tensor
}

// MemoryBytes is the size in host memory.
func (m *Map) MemoryBytes() int64 {
	if m == nil {
		return 0
	}
	n := int64(0)
	for _, t := range []*tensor.Tensor{m.Depth, m.Image, m.Sky, m.Confidence, m.Extrinsics, m.Intrinsics} {
		if t != nil {
			n += 4 * int64(len(t.Data))
		}
	}
	return n
}

func finite(v float32) bool { return !math.IsInf(float64(v), 0) && !math.IsNaN(float64(v)) }

// Clear is the value of sky below which a pixel shows none. Upstream: preprocess.py compute_non_sky_mask.
const Clear = 0.3

// quantile is the value below which a part q of the finite values lies; 0 without such values. All count: upstream draws some of very many.
func quantile(values []float32, q float32) float32 {
	kept := make([]float32, 0, len(values))
	for _, v := range values {
		if finite(v) {
			kept = append(kept, v)
		}
	}
	if len(kept) == 0 {
		return 0
	}
	return pointmap.Quantile(kept, q)
}

// Clip gives the sky of an image [H,W] the depth below which 99 % of the rest lies. Where few pixels are sky or few are not, it changes nothing. Upstream:
// preprocess.py apply_sky_aware_clip.
func Clip(depth, sky *tensor.Tensor) *tensor.Tensor {
	const few, part = 10, 0.99
	out := depth.Clone()
	var rest []float32
	for i, s := range sky.Data {
		if s < Clear {
			rest = append(rest, depth.Data[i])
		}
	}
	if len(rest) <= few || len(depth.Data)-len(rest) <= few {
		return out
	}
	far := quantile(rest, part)
	for i, s := range sky.Data {
		if !(s < Clear) {
			out.Data[i] = far
		}
	}
	return out
}

// Spread are depths [H,W] from 1, the nearest, to 0, the farthest, but for the lowest and the highest hundredth of those that are no sky. Sky, which may be
// nil, is 0. Upstream: preprocess.py normalize_depth_v2_style.
func Spread(depth, sky *tensor.Tensor) *tensor.Tensor {
	const part, least = 0.01, 1e-6
	valid := depth.Data
	if sky != nil {
		valid = nil
		for i, s := range sky.Data {
			if s < Clear {
				valid = append(valid, depth.Data[i])
			}
		}
		if len(valid) == 0 {
			valid = depth.Data
		}
	}
	low := quantile(valid, part)
	scale := max(quantile(valid, 1-part)-low, least)
	out := tensor.New(depth.Shape...)
	for i, d := range depth.Data {
		if sky == nil || sky.Data[i] < Clear {
			out.Data[i] = nearness(d, low, scale)
		}
	}
	return out
}

// nearness is 1 for the lowest depth and 0 for one that is scale higher, or not a number.
func nearness(d, low, scale float32) float32 {
	if d != d {
		return 0
	}
	return 1 - min(max((d-low)/scale, 0), 1)
}

// Stretch are depths [H,W] from 1, the nearest, to 0, the farthest. Upstream: preprocess.py normalize_depth_min_max.
func Stretch(depth *tensor.Tensor) *tensor.Tensor {
	const least = 1e-6
	low, high := ends(depth.Data)
	out := tensor.New(depth.Shape...)
	for i, d := range depth.Data {
		out.Data[i] = nearness(d, low, max(high-low, least))
	}
	return out
}

// ends are the lowest and the highest of the finite values; both are 0 without such values.
func ends(values []float32) (low, high float32) {
	low, high = float32(math.Inf(1)), float32(math.Inf(-1))
	for _, v := range values {
		if finite(v) {
			low, high = min(low, v), max(high, v)
		}
	}
	if low > high {
		return 0, 0
	}
	return low, high
}

// Scaled are values [H,W] from 0, the lowest, to 1, the highest; 1 where all are equal. Upstream: nodes_depth_anything_3.py _normalize_confidence.
func Scaled(values *tensor.Tensor) *tensor.Tensor {
	low, high := ends(values.Data)
	out := tensor.New(values.Shape...)
	for i, v := range values.Data {
		switch {
		case v != v:
			out.Data[i] = 0
		case high > low:
			out.Data[i] = min(max((v-low)/(high-low), 0), 1)
		default:
			out.Data[i] = 1
		}
	}
	return out
}
