package image

import (
	"math"

	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
)

// posePoints is the number of key points of a whole body, as COCO counts them.
const posePoints = 133

// decodeHeatmaps finds the highest place of each map [K,H,W], to a part of a cell, in pixels of what the network reads: a step of Newton on
// the logarithm of the blurred map (Zhang et al., "Distribution-Aware Coordinate Representation for Human Pose Estimation"). A map
// without a value above zero has no place: its point is at -1, -1. Upstream: ldm/modules/sdpose.py HeatmapHead.forward.
func decodeHeatmaps(maps *tensor.Tensor) []keypoint {
	h, w := maps.Dim(1), maps.Dim(2)
	out := make([]keypoint, maps.Dim(0))
	scale := func(n int) float32 { return float32(float64(n*poseCell-1) / float64(max(n-1, 1))) }
	for k := range out {
		m := maps.Index(k).Data
		best := 0
		for i, v := range m {
			if v > m[best] {
				best = i
			}
		}
		out[k] = keypoint{x: -1, y: -1, score: m[best]}
		if !(m[best] > 0) {
			continue
		}
		logs := logarithms(blurred(m, w, h), m[best])
		dx, dy := newton(logs, best%w, best/w, w, h)
		out[k].x = float32(float64(best%w)-dx) * scale(w)
		out[k].y = float32(float64(best/w)-dy) * scale(h)
	}
	return out
}

// blurred is a map under a Gaussian of deviation 2, cut at five cells, with zeros around the map.
func blurred(m []float32, w, h int) []float32 {
	const radius, deviation = 5, 2
	var weights [2*radius + 1]float64
	total := 0.0
	for i := range weights {
		d := float64(i - radius)
		weights[i] = math.Exp(-0.5 / (deviation * deviation) * d * d)
		total += weights[i]
	}
	for i := range weights {
		weights[i] /= total
	}
	pass := func(from []float32, n, stride, lines, step int) []float32 {
		to := make([]float32, len(from))
		for line := range lines {
			for i := range n {
				at := line*step + i*stride
				sum := float64(from[at]) * weights[radius]
				for d := 1; d <= radius; d++ {
					var pair float64
					if i >= d {
						pair = float64(from[at-d*stride])
					}
					if i+d < n {
						pair += float64(from[at+d*stride])
					}
					sum += pair * weights[radius-d]
				}
				to[at] = float32(sum)
			}
		}
		return to
	}
	return pass(pass(m, h, w, w, 1), w, 1, h, w)
}

// logarithms are those of a blurred map, scaled to its height before, in bounds.
func logarithms(m []float32, height float32) []float32 {
	const low, high = 1e-3, 50
	var most float32
	for _, v := range m {
		most = max(most, v)
	}
	factor := float32(1)
	if most > 0 {
		factor = height / most
	}
	for i, v := range m {
		m[i] = float32(math.Log(float64(min(max(v*factor, low), high))))
	}
	return m
}

// newton does a step of Newton's method at x, y of a map; the borders of the map are repeated.
func newton(m []float32, x, y, w, h int) (dx, dy float64) {
	at := func(i, j int) float32 { return m[min(max(y+j, 0), h-1)*w+min(max(x+i, 0), w-1)] }
	gx, gy := 0.5*(at(1, 0)-at(-1, 0)), 0.5*(at(0, 1)-at(0, -1))
	c := at(0, 0)
	const epsilon = 1.1920928955078125e-07 // numpy's for float32
	xx, yy := float64(at(1, 0)-2*c+at(-1, 0))+epsilon, float64(at(0, 1)-2*c+at(0, -1))+epsilon
	xy := float64(0.5 * (at(1, 1) - at(1, 0) - at(0, 1) + c + c - at(-1, 0) - at(0, -1) + at(-1, -1)))
	det := xx*yy - xy*xy
	if det == 0 {
		return 0, 0
	}
	return (yy*float64(gx) - xy*float64(gy)) / det, (xx*float64(gy) - xy*float64(gx)) / det
}

// openPose converts 133 key points into the form of OpenPose, which has a neck and another order of the body's points.
func openPose(points []keypoint) *pyjson.Object {
	const least = 0.3 // the score of shoulders that make a neck
	neck := keypoint{x: (points[5].x + points[6].x) / 2, y: (points[5].y + points[6].y) / 2}
	if points[5].score > least && points[6].score > least {
		neck.score = min(points[5].score, points[6].score)
	}
	all := append(append(append([]keypoint{}, points[:17]...), neck), points[17:]...)
	named := append([]keypoint{}, all...)
	from := []int{17, 6, 8, 10, 7, 9, 12, 14, 16, 13, 15, 2, 1, 4, 3}
	for i, to := range []int{1, 2, 3, 4, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16, 17} {
		named[to] = all[from[i]]
	}
	flat := func(list ...keypoint) []any {
		out := make([]any, 0, 3*len(list))
		for _, p := range list {
			out = append(out, float64(p.x), float64(p.y), float64(p.score))
		}
		return out
	}
	face := append(append([]keypoint{}, named[24:92]...), named[14], named[15])
	return pyjson.NewObject(
		"pose_keypoints_2d", flat(named[:18]...), "foot_keypoints_2d", flat(named[18:24]...), "face_keypoints_2d", flat(face...),
		"hand_right_keypoints_2d", flat(named[92:113]...), "hand_left_keypoints_2d", flat(named[113:134]...))
}
