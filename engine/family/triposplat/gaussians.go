package triposplat

import (
	"fmt"
	"math"

	"comfygo/engine/family"
	"comfygo/engine/weights"
)

// The numbers that turn what the network gives into Gaussians. Upstream: vae.py representation_config and gaussian.py.
const (
	spread        = 1.5 // of the offsets of a point's Gaussians
	leastScale    = 0.0009
	usualScale    = 0.004
	usualOpacity  = 0.1
	rotationSpeed = 0.1
)

// shaping has the learned numbers of the Gaussians of a point: where each one is, and the scale of all offsets.
type shaping struct {
	perPoint int
	offsets  []float32 // [perPoint,3]
	scale    float32
}

// shape reads the learned numbers.
func (v *vae) shape() (shaping, error) {
	s := shaping{perPoint: v.perPoint, offsets: make([]float32, v.perPoint*axes)}
	scale := make([]float32, 1)
	for name, to := range map[string][]float32{"gs.points_offset_perturbation": s.offsets, "gs.base_offset_scale": scale} {
		e, ok := v.src.Lookup(name)
		if !ok || e.Described() {
			continue // a list of names and shapes
		}
		if err := weights.Range(to, e, 0); err != nil {
			return s, fmt.Errorf("reading %s: %w", name, err)
		}
	}
	s.scale = scale[0]
	return s, nil
}

func softplus(x float64) float64 {
	const linear = 20 // torch's threshold
	if x > linear {
		return x
	}
	return math.Log1p(math.Exp(x))
}

// splats are the Gaussians of points [P,3] and of what the network gives for them, [P,values·perPoint]. Upstream: gaussian.py build_gaussian_models and
// render_tensors.
func (s shaping) splats(points, features []float32) family.Splats {
	n, width := s.perPoint, s.perPoint*values
	count := len(points) / axes * n
	out := family.Splats{
		Positions: make([]float32, 3*count), Scales: make([]float32, 3*count), Rotations: make([]float32, 4*count), Opacities: make([]float32, count), Colors: make([]float32, 3*count),
	}
	scaleBias, opacityBias := usualScale+math.Log(-math.Expm1(-usualScale)), math.Log(usualOpacity/(1-usualOpacity))
	for i := range count {
		point, k := i/n, i%n
		row := features[point*width : (point+1)*width]
		at := func(from, size, j int) float64 { return float64(row[from*n+k*size+j]) }
		reach := softplus(at(14, 1, 0) + float64(s.scale))
		var p [axes]float64
		for a := range p {
			offset := math.Tanh(at(0, 3, a)+float64(s.offsets[k*axes+a])) * 0.5 * spread * reach
			p[a] = offset + float64(points[point*axes+a]) - 0.5
			out.Colors[3*i+a] = float32(at(3, 3, a))
			size := softplus(at(6, 3, a) + scaleBias)
			out.Scales[3*i+a] = float32(math.Sqrt(size*size + leastScale*leastScale))
		}
		out.Positions[3*i], out.Positions[3*i+1], out.Positions[3*i+2] = float32(p[0]), float32(-p[2]), float32(p[1])
		var q [4]float64
		for a := range q {
			q[a] = at(9, 4, a) * rotationSpeed
		}
		q[0]++
		for a, v := range upright(q) {
			out.Rotations[4*i+a] = float32(v)
		}
		out.Opacities[i] = float32(1 / (1 + math.Exp(-at(13, 1, 0)-opacityBias)))
	}
	return out
}

// upright turns a rotation, a quaternion w, x, y, z, from the space of objects, whose z is up, into that of viewers, whose y is up; w is not negative. A
// quaternion of no length stands for no rotation. Upstream: gaussian.py render_tensors.
func upright(q [4]float64) [4]float64 {
	// A quarter turn about the first axis takes y to z and z to -y.
	half := math.Sqrt(0.5)
	w, x, y, z := q[0], q[1], q[2], q[3]
	out := [4]float64{half * (w - x), half * (x + w), half * (y - z), half * (z + y)}
	length := math.Sqrt(out[0]*out[0] + out[1]*out[1] + out[2]*out[2] + out[3]*out[3])
	if !(length > 0) {
		return [4]float64{half, half, 0, 0}
	}
	if out[0] < 0 {
		length = -length
	}
	for i := range out {
		out[i] /= length
	}
	return out
}
