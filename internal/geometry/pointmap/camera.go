package pointmap

import (
	"errors"
	"math"

	"comfygo/engine/tensor"
)

// sample is the side of the grid of pixels that the focal length is found from.
const sample = 64

// FocalFromFOV is the focal length, in half diagonals, of an image whose width is aspect heights and which shows the given angle along its width, in
// degrees.
func FocalFromFOV(aspect, degrees float64) float32 {
	half := float32(degrees) / 2 * float32(math.Pi/180)
	return float32(aspect/math.Sqrt(1+aspect*aspect)) / float32(math.Tan(float64(half)))
}

// FocalShift finds the focal length, in half diagonals, and the shift along z by which points [H,W,3] fall on their pixels, from those under the mask
// [H,W]. A focal length above 0 is kept. Upstream: geometry.py recover_focal_shift.
func FocalShift(points, mask *tensor.Tensor, focal float32) (found, shift float32, err error) {
	h, w := points.Dim(0), points.Dim(1)
	across, down := Plane(w, h, float64(w)/float64(h))
	// torch's nearest interpolation
	place := func(i, n int) int { return min(int(float32(i)*(float32(n)/sample)), n-1) }
	var uv, xyz []float32
	for i := range sample {
		for j := range sample {
			y, x := place(i, h), place(j, w)
			if mask.Data[y*w+x] > 0 {
				uv = append(uv, across[x], down[y])
				xyz = append(xyz, points.Data[3*(y*w+x):][:3]...)
			}
		}
	}
	if len(uv) < 4 { // two pixels
		if focal <= 0 {
			focal = 1
		}
		return focal, 0, nil
	}
	return fit(uv, xyz, focal)
}

var errInfinite = errors.New("finding the focal length: the network gave points that are not finite: use float32")

// fit solves for the shift, and with it for the focal length unless that is above 0.
func fit(uv, xyz []float32, focal float32) (found, shift float32, err error) {
	projected := func(x float64) []float64 {
		out := make([]float64, len(uv))
		for i := range len(uv) / 2 {
			z := float64(xyz[3*i+2]) + x
			out[2*i], out[2*i+1] = float64(xyz[3*i])/z, float64(xyz[3*i+1])/z
		}
		return out
	}
	best := func(xy []float64) float64 {
		if focal > 0 {
			return float64(focal)
		}
		along, square := 0.0, 0.0
		for i, v := range xy {
			along, square = along+v*float64(uv[i]), square+v*v
		}
		return along / square
	}
	x, err := leastSquares(func(x float64) []float64 {
		xy := projected(x)
		f := best(xy)
		for i, v := range xy {
			xy[i] = f*v - float64(uv[i])
		}
		return xy
	})
	if err != nil {
		return 0, 0, err
	}
	return float32(best(projected(x))), float32(x), nil
}

// Intrinsics are those [3,3] of a camera with a focal length in half diagonals.
func Intrinsics(focal float32, aspect float64) []float32 {
	f := focal / 2 * float32(math.Sqrt(1+aspect*aspect))
	return []float32{f / float32(aspect), 0, 0.5, 0, f, 0.5, 0, 0, 1}
}

// Unproject are the points [H,W,3] of pixels at depths [H,W]. Upstream: geometry.py depth_map_to_point_map.
func Unproject(depth *tensor.Tensor, intrinsics []float32) *tensor.Tensor {
	h, w := depth.Dim(0), depth.Dim(1)
	out := tensor.New(h, w, 3)
	fx, fy := intrinsics[0], intrinsics[4]
	inverse := [2]float32{1 / fx, 1 / fy}
	offset := [2]float32{-intrinsics[2] / fx, -intrinsics[5] / fy}
	for y := range h {
		v := inverse[1]*((float32(y)+0.5)/float32(h)) + offset[1]
		for x := range w {
			u := inverse[0]*((float32(x)+0.5)/float32(w)) + offset[0]
			d := depth.Data[y*w+x]
			copy(out.Data[3*(y*w+x):], []float32{u * d, v * d, d})
		}
	}
	return out
}

// Estimate is what a network found of an image, by which Solve finds its points.
type Estimate struct {
	// Points are [H,W,3], right but for a shift along z and the focal length, Mask is 1 where there is something, [H,W].
	Points, Mask *tensor.Tensor
	// Ahead reports that what lies behind the camera is nothing.
	Ahead bool
	// Scale converts to metres; 0 for none.
	Scale float32
}

// Solution are the points and the camera of an image.
type Solution struct {
	// Points are [H,W,3], Depth and Mask [H,W], Intrinsics [3,3].
	Points, Depth, Mask *tensor.Tensor
	Intrinsics          []float32
}

// Solve shifts the points of an image to where they are. degrees is the angle that it shows along its width, 0 for one that is found; a solution
// whose focal length is not above 0 is replaced by one for 60 degrees. With project the points lie on the rays through their pixels. Upstream:
// ldm/moge/model.py MoGeModel.infer.
func Solve(e Estimate, degrees float64, project bool) (Solution, error) {
	const usual = 60
	h, w := e.Points.Dim(0), e.Points.Dim(1)
	aspect := float64(w) / float64(h)
	given := float32(0)
	if degrees > 0 {
		given = FocalFromFOV(aspect, degrees)
	}
	focal, shift, err := FocalShift(e.Points, e.Mask, given)
	if err == nil && (!finite(focal) || focal <= 0) {
		focal, shift, err = FocalShift(e.Points, e.Mask, FocalFromFOV(aspect, usual))
	}
	if err != nil {
		return Solution{}, err
	}
	s := Solution{Points: e.Points.Clone(), Depth: tensor.New(h, w), Mask: e.Mask.Clone(), Intrinsics: Intrinsics(focal, aspect)}
	for i := range s.Depth.Data {
		s.Points.Data[3*i+2] += shift
		s.Depth.Data[i] = s.Points.Data[3*i+2]
		if e.Ahead && !(s.Depth.Data[i] > 0) {
			s.Mask.Data[i] = 0
		}
	}
	if project {
		s.Points = Unproject(s.Depth, s.Intrinsics)
	}
	if e.Scale != 0 {
		for _, t := range []*tensor.Tensor{s.Points, s.Depth} {
			for i := range t.Data {
				t.Data[i] *= e.Scale
			}
		}
	}
	return s, nil
}
