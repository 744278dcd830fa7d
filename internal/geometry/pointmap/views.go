package pointmap

import (
	"math"

	"comfygo/engine/tensor"
)

// View is a camera of a panorama: the axes of its space, right, down and ahead, in that of the panorama, whose z is up. It shows 90 degrees along
// each side.
type View [3][3]float32

// Views are the twelve cameras toward the vertices of an icosahedron. Upstream: ldm/moge/panorama.py get_panorama_cameras.
func Views() []View {
	a := float32((1 + math.Sqrt(5)) / 2)
	var out []View
	for _, toward := range [][3]float32{
		{0, 1, a}, {0, -1, a}, {0, 1, -a}, {0, -1, -a}, {1, a, 0}, {-1, a, 0}, {1, -a, 0}, {-1, -a, 0}, {a, 0, 1}, {a, 0, -1}, {-a, 0, 1}, {-a, 0, -1},
	} {
		ahead := unit(toward)
		right := unit(cross(ahead, [3]float32{0, 0, 1})) // no vertex lies on the axis
		out = append(out, View{right, cross(ahead, right), ahead})
	}
	return out
}

func cross(a, b [3]float32) [3]float32 {
	return [3]float32{a[1]*b[2] - a[2]*b[1], a[2]*b[0] - a[0]*b[2], a[0]*b[1] - a[1]*b[0]}
}

func dot(a, b [3]float32) float32 { return a[0]*b[0] + a[1]*b[1] + a[2]*b[2] }

func unit(v [3]float32) [3]float32 {
	n := float32(math.Sqrt(float64(dot(v, v))))
	return [3]float32{v[0] / n, v[1] / n, v[2] / n}
}

// world is the direction of a place of the view, from 0 to 1 along each side, at a depth of 1.
func (v View) world(x, y float32) [3]float32 {
	p := [2]float32{2*x - 1, 2*y - 1} // 90 degrees
	var out [3]float32
	for i := range out {
		out[i] = p[0]*v[0][i] + p[1]*v[1][i] + v[2][i]
	}
	return out
}

// place is the place in the view of a direction, and its depth.
func (v View) place(d [3]float32) (x, y, depth float32) {
	const least = 1e-12
	depth = dot(d, v[2])
	z := max(depth, least)
	return (0.5*dot(d, v[0]) + 0.5*depth) / z, (0.5*dot(d, v[1]) + 0.5*depth) / z, depth
}

// Direction is the direction of a place of a panorama, from 0 to 1 along each side. Upstream: spherical_uv_to_directions.
func Direction(x, y float32) [3]float32 {
	around, down := float64((1-x)*float32(2*math.Pi)), float64(y*float32(math.Pi))
	s := float32(math.Sin(down))
	return [3]float32{s * float32(math.Cos(around)), s * float32(math.Sin(around)), float32(math.Cos(down))}
}

// sphere is the place of a direction in a panorama. Upstream: directions_to_spherical_uv.
func sphere(d [3]float32) (x, y float32) {
	d = unit(d)
	turn := float32(math.Atan2(float64(d[1]), float64(d[0]))) / float32(2*math.Pi)
	turn = float32(math.Mod(float64(turn), 1))
	if turn < 0 {
		turn++
	}
	return 1 - turn, float32(math.Acos(float64(min(max(d[2], -1), 1)))) / float32(math.Pi)
}

// centre is the centre of pixel i of n.
func centre(i, n int) float32 { return (float32(i) + 0.5) / float32(n) }

// Split samples what each view shows of a panorama [3,H,W], [views,3,side,side]. Upstream: split_panorama_image.
func Split(image *tensor.Tensor, views []View, side int) *tensor.Tensor {
	c, h, w := image.Dim(0), image.Dim(1), image.Dim(2)
	out := tensor.New(len(views), c, side, side)
	for n, v := range views {
		for y := range side {
			for x := range side {
				px, py := sphere(v.world(centre(x, side), centre(y, side)))
				// torch's grid_sample with the border repeated
				at := func(p float32, size int) (int, float32) {
					f := min(max(((p*2-1+1)*float32(size)-1)/2, 0), float32(size-1))
					return int(f), f - float32(int(f))
				}
				x0, fx := at(px, w)
				y0, fy := at(py, h)
				x1, y1 := min(x0+1, w-1), min(y0+1, h-1)
				for k := range c {
					p := image.Data[k*h*w:]
					out.Data[((n*c+k)*side+y)*side+x] = p[y0*w+x0]*(1-fx)*(1-fy) + p[y0*w+x1]*fx*(1-fy) + p[y1*w+x0]*(1-fx)*fy + p[y1*w+x1]*fx*fy
				}
			}
		}
	}
	return out
}
