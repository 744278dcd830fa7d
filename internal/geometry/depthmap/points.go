package depthmap

import (
	"errors"
	"math"

	"comfygo/engine/tensor"
)

// Lens are the intrinsics [3,3] of image i in pixels. A map without them gets those of an angle of about 71 degrees along the width, and known is false.
// Upstream: nodes_depth_anything_3.py _da3_get_K.
func (m *Map) Lens(i int) (k []float32, known bool) {
	if m.Intrinsics != nil {
		return m.Intrinsics.Index(i).Data, true
	}
	const focal = 0.7 // in widths
	h, w := m.Depth.Dim(1), m.Depth.Dim(2)
	f := float32(float64(w) * focal)
	return []float32{f, 0, float32(w-1) / 2, 0, f, float32(h-1) / 2, 0, 0, 1}, false
}

// Kept reports which pixels of image i have a depth above 0, are no sky (with sky), and whose confidence, from 0 to 1 in its image, is at least
// confidence. Upstream: nodes_depth_anything_3.py _da3_build_mask.
func (m *Map) Kept(i int, confidence float64, sky bool) []bool {
	const half = 0.5
	depth := m.Depth.Index(i).Data
	out := make([]bool, len(depth))
	for k, d := range depth {
		out[k] = finite(d) && d > 0
	}
	if sky && m.Sky != nil {
		for k, s := range m.Sky.Index(i).Data {
			out[k] = out[k] && s < half
		}
	}
	if m.Confidence != nil && confidence > 0 {
		for k, c := range Scaled(m.Confidence.Index(i)).Data {
			out[k] = out[k] && c >= float32(confidence)
		}
	}
	return out
}

var errLens = errors.New("finding the points of pixels: the intrinsics of the camera have no inverse")

// Points are the places [H,W,3] of the pixels of image i in the space of the first camera of a scene, or of its own camera: x to the right, y down, z
// ahead. What is not kept is infinite. Upstream: nodes_depth_anything_3.py _da3_unproject and _da3_apply_extrinsic.
func (m *Map) Points(i int, kept []bool) (*tensor.Tensor, error) {
	k, _ := m.Lens(i)
	inverse, ok := inverted(k)
	if !ok {
		return nil, errLens
	}
	move := m.mover(i)
	depth := m.Depth.Index(i)
	w := depth.Dim(1)
	out := tensor.New(depth.Dim(0), w, 3)
	far := float32(math.Inf(1))
	for at, d := range depth.Data {
		p := out.Data[3*at : 3*at+3]
		if !kept[at] {
			p[0], p[1], p[2] = far, far, far
			continue
		}
		u, v := float64(at%w), float64(at/w)
		var x [3]float64
		for r := range x {
			x[r] = (inverse[3*r]*u + inverse[3*r+1]*v + inverse[3*r+2]) * float64(d)
		}
		x = move(x)
		p[0], p[1], p[2] = float32(x[0]), float32(x[1]), float32(x[2])
	}
	return out, nil
}

// Placed reports that image i has a camera in the world whose extrinsics are finite; without extrinsics it is true.
func (m *Map) Placed(i int) bool {
	if m.Extrinsics == nil {
		return true
	}
	for _, v := range m.Extrinsics.Index(i).Data {
		if !finite(v) {
			return false
		}
	}
	return true
}

// mover returns what takes points from the space of image i's camera to that of the world.
func (m *Map) mover(i int) func(p [3]float64) [3]float64 {
	if m.Extrinsics == nil || !m.Placed(i) {
		return func(p [3]float64) [3]float64 { return p }
	}
	e := m.Extrinsics.Index(i).Data
	const columns = 4
	return func(p [3]float64) (out [3]float64) {
		for r := range p {
			p[r] -= float64(e[columns*r+3])
		}
		for c := range out {
			out[c] = float64(e[c])*p[0] + float64(e[columns+c])*p[1] + float64(e[2*columns+c])*p[2]
		}
		return out
	}
}

// inverted is the inverse of a matrix [3,3].
func inverted(a []float32) (out [9]float64, ok bool) {
	v := func(r, c int) float64 { return float64(a[3*(r%3)+c%3]) }
	minor := func(r, c int) float64 { return v(r+1, c+1)*v(r+2, c+2) - v(r+1, c+2)*v(r+2, c+1) }
	determinant := v(0, 0)*minor(0, 0) + v(0, 1)*minor(0, 1) + v(0, 2)*minor(0, 2)
	if determinant == 0 || math.IsNaN(determinant) || math.IsInf(determinant, 0) {
		return out, false
	}
	for r := range 3 {
		for c := range 3 {
			out[3*r+c] = minor(c, r) / determinant
		}
	}
	return out, true
}
