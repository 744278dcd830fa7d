package depthanything

import (
	"math"

	"comfygo/engine/tensor"
)

// matrix is a matrix of three rows, row by row.
type matrix [9]float64

func (a matrix) transposed() matrix {
	return matrix{a[0], a[3], a[6], a[1], a[4], a[7], a[2], a[5], a[8]}
}

func (a matrix) determinant() float64 {
	return a[0]*(a[4]*a[8]-a[5]*a[7]) - a[1]*(a[3]*a[8]-a[5]*a[6]) + a[2]*(a[3]*a[7]-a[4]*a[6])
}

// times is the product with a vector.
func (a matrix) times(v [3]float64) (out [3]float64) {
	for i := range 3 {
		out[i] = a[3*i]*v[0] + a[3*i+1]*v[1] + a[3*i+2]*v[2]
	}
	return out
}

// camera is where a view was taken: the axes of the camera in the columns of turn, its place, and the focal lengths and the centre in pixels.
type camera struct {
	turn          matrix
	place         [3]float64
	focal, centre [2]float64
}

// packed are the extrinsics [B,3,4], from the world to the camera, and the intrinsics [B,3,3] of cameras.
func packed(list []camera) (extrinsics, intrinsics *tensor.Tensor) {
	extrinsics, intrinsics = tensor.New(len(list), 3, 4), tensor.New(len(list), 3, 3)
	for i, c := range list {
		inverse := c.turn.transposed()
		moved := inverse.times(c.place)
		e, k := extrinsics.Index(i).Data, intrinsics.Index(i).Data
		for row := range 3 {
			for column := range 3 {
				e[4*row+column] = float32(inverse[3*row+column])
			}
			e[4*row+3] = float32(-moved[row])
		}
		copy(k, []float32{float32(c.focal[0]), 0, float32(c.centre[0]), 0, float32(c.focal[1]), float32(c.centre[1]), 0, 0, 1})
	}
	return extrinsics, intrinsics
}

// decoded are the cameras of poses [B,9] for images of h x w pixels: a place, a quaternion (the real part last), and the angles of view along the height
// and the width. Upstream: transform.py pose_encoding_to_extri_intri.
func decoded(pose *tensor.Tensor, h, w int) (extrinsics, intrinsics *tensor.Tensor) {
	const least = 1e-6
	list := make([]camera, pose.Dim(0))
	for i := range list {
		p := pose.Index(i).Data
		c := &list[i]
		for k := range 3 {
			c.place[k] = float64(p[k])
		}
		var q [4]float64
		length := 0.0
		for k := range q {
			q[k] = float64(p[3+k])
			length += q[k] * q[k]
		}
		length = max(math.Sqrt(length), least)
		for k := range q {
			q[k] /= length
		}
		c.turn = turned(q)
		focal := func(side int, angle float32) float64 {
			return float64(side) / 2 / max(math.Tan(float64(angle)/2), least)
		}
		c.focal = [2]float64{focal(w, p[8]), focal(h, p[7])}
		c.centre = [2]float64{float64(w) / 2, float64(h) / 2}
	}
	return packed(list)
}

// turned is the rotation of a quaternion whose real part is last. Upstream: transform.py quat_to_mat.
func turned(q [4]float64) matrix {
	i, j, k, r := q[0], q[1], q[2], q[3]
	s := 2 / (i*i + j*j + k*k + r*r)
	return matrix{
		1 - s*(j*j+k*k), s * (i*j - k*r), s * (i*k + j*r),
		s * (i*j + k*r), 1 - s*(i*i+k*k), s * (j*k - i*r),
		s * (i*k - j*r), s * (j*k + i*r), 1 - s*(i*i+j*j),
	}
}
