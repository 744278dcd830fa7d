package pointmap

import (
	"math"
	"slices"

	"comfygo/engine/tensor"
)

// Quantile is the value below which a part q of the values lies, as torch.quantile interpolates it; the values are sorted by it.
func Quantile(values []float32, q float32) float32 {
	slices.Sort(values)
	rank := q * float32(len(values)-1)
	below := int(rank)
	above := min(below+1, len(values)-1)
	t := rank - float32(below)
	a, b := values[below], values[above]
	if t < 0.5 {
		return a + t*(b-a)
	}
	return b - (b-a)*(1-t)
}

// Disparity are the inverse depths of an image [H,W] from 0 to 1, but for the lowest and the highest thousandth; 0 where there is no depth. Upstream:
// nodes_moge.py _normalize_disparity.
func Disparity(depth *tensor.Tensor) *tensor.Tensor {
	const least, part = 1e-6, 0.001
	out := tensor.New(depth.Shape...)
	var valid []float32
	for i, d := range depth.Data {
		if finite(d) && d > 0 {
			out.Data[i] = 1 / max(d, least)
			valid = append(valid, out.Data[i])
		}
	}
	if len(valid) == 0 {
		return out
	}
	low := Quantile(valid, part)
	scale := max(Quantile(valid, 1-part)-low, least)
	for i, d := range depth.Data {
		if finite(d) && d > 0 {
			out.Data[i] = min(max((out.Data[i]-low)/scale, 0), 1)
		}
	}
	return out
}

// turbo are the coefficients of the colors of the Turbo colormap (Mikhailov, "Turbo, An Improved Rainbow Colormap for Visualization") as polynomials.
var turbo = [3][6]float32{
	{0.13572138, 4.61539260, -42.66032258, 132.13108234, -152.94239396, 59.28637943},
	{0.09140261, 2.19418839, 4.84296658, -14.18503333, 4.27729857, 2.82956604},
	{0.10667330, 12.64194608, -60.58204836, 110.36276771, -89.90310912, 27.34824973},
}

// Turbo is the color of a value in 0…1.
func Turbo(v float32) [3]float32 {
	v = min(max(v, 0), 1)
	v2 := v * v
	powers := [6]float32{1, v, v2, v2 * v, v2 * v2, v2 * v2 * v}
	var out [3]float32
	for c, k := range turbo {
		sum := k[0]
		for i := 1; i < len(k); i++ {
			sum += k[i] * powers[i]
		}
		out[c] = min(max(sum, 0), 1)
	}
	return out
}

// Colored are values [H,W] as colors [H,W,3] of the Turbo colormap, Gray the same as shades of gray.
func Colored(values *tensor.Tensor) *tensor.Tensor {
	return colored(values, Turbo)
}

// Gray are values [H,W] as shades of gray [H,W,3].
func Gray(values *tensor.Tensor) *tensor.Tensor {
	return colored(values, func(v float32) [3]float32 { return [3]float32{v, v, v} })
}

func colored(values *tensor.Tensor, color func(v float32) [3]float32) *tensor.Tensor {
	out := tensor.New(append(slices.Clone(values.Shape), 3)...)
	for i, v := range values.Data {
		c := color(v)
		copy(out.Data[3*i:], c[:])
	}
	return out
}

// Normals are the directions [H,W,3] of the surface at points [H,W,3], toward the camera, 0 where no direction is known. Upstream: nodes_moge.py
// _normals_from_points.
func Normals(points *tensor.Tensor) *tensor.Tensor {
	h, w := points.Dim(0), points.Dim(1)
	at := func(y, x int) (p [3]float32) {
		if v := points.Data[3*(y*w+x):][:3]; finite3(v) {
			copy(p[:], v)
		}
		return p
	}
	between := func(a, b [3]float32) [3]float32 { return [3]float32{a[0] - b[0], a[1] - b[1], a[2] - b[2]} }
	out := tensor.New(h, w, 3)
	for y := range h {
		for x := range w {
			if !finite3(points.Data[3*(y*w+x):][:3]) {
				continue
			}
			var across, down [3]float32 // zero at the border
			if x > 0 && x < w-1 {
				across = between(at(y, x+1), at(y, x-1))
			}
			if y > 0 && y < h-1 {
				down = between(at(y+1, x), at(y-1, x))
			}
			n := [3]float32{down[1]*across[2] - down[2]*across[1], down[2]*across[0] - down[0]*across[2], down[0]*across[1] - down[1]*across[0]}
			const shortest = 1e-12
			length := float32(max(math.Sqrt(float64(n[0])*float64(n[0])+float64(n[1])*float64(n[1])+float64(n[2])*float64(n[2])), shortest))
			copy(out.Data[3*(y*w+x):], []float32{n[0] / length, n[1] / length, n[2] / length})
		}
	}
	return out
}

// NormalMap are normals [H,W,3] of a camera that looks along z as colors; with up the green channel is the part upward, as in OpenGL.
func NormalMap(normals *tensor.Tensor, up bool) *tensor.Tensor {
	signs := [3]float32{1, 1, -1}
	if up {
		signs[1] = -1
	}
	out := tensor.New(normals.Shape...)
	for i, v := range normals.Data {
		out.Data[i] = min(max(v*signs[i%3]*0.5+0.5, 0), 1)
	}
	return out
}
