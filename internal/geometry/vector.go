package geometry

import "math"

// Vec is a vector of float32; operations round after each step, as torch's do.
type Vec [3]float32

// At returns vector i of values [N,3].
func At(values []float32, i int32) Vec {
	v := values[3*i : 3*i+3 : 3*i+3]
	return Vec{v[0], v[1], v[2]}
}

// Sub returns a-b.
func (a Vec) Sub(b Vec) Vec { return Vec{a[0] - b[0], a[1] - b[1], a[2] - b[2]} }

// Add returns a+b.
func (a Vec) Add(b Vec) Vec { return Vec{a[0] + b[0], a[1] + b[1], a[2] + b[2]} }

// Times returns a scaled by f.
func (a Vec) Times(f float32) Vec { return Vec{a[0] * f, a[1] * f, a[2] * f} }

// Dot returns the scalar product.
func (a Vec) Dot(b Vec) float32 {
	return float32(float32(a[0]*b[0])+float32(a[1]*b[1])) + float32(a[2]*b[2])
}

// Cross returns the vector product.
func (a Vec) Cross(b Vec) Vec {
	return Vec{
		float32(a[1]*b[2]) - float32(a[2]*b[1]),
		float32(a[2]*b[0]) - float32(a[0]*b[2]),
		float32(a[0]*b[1]) - float32(a[1]*b[0]),
	}
}

// Len returns the Euclidean length.
func (a Vec) Len() float32 { return float32(math.Sqrt(float64(a.Dot(a)))) }

// Unit returns a divided by its length, or by eps where that is longer (torch.nn.functional.normalize).
func (a Vec) Unit(eps float32) Vec {
	n := max(a.Len(), eps)
	return Vec{a[0] / n, a[1] / n, a[2] / n}
}

// Put stores the vector as vector i of values [N,3].
func (a Vec) Put(values []float32, i int32) {
	values[3*i], values[3*i+1], values[3*i+2] = a[0], a[1], a[2]
}

// Mix interpolates between a and b as torch.lerp does: product and sum are rounded once.
func Mix(a, b, t float32) float32 {
	if t < 0.5 && t > -0.5 {
		return float32(float64(a) + float64(t)*float64(b-a))
	}
	return float32(float64(b) + float64(t-1)*float64(b-a))
}

// Lerp interpolates between a and b.
func (a Vec) Lerp(b Vec, t float32) (out Vec) {
	for k := range out {
		out[k] = Mix(a[k], b[k], t)
	}
	return out
}

// Solve solves three linear equations, with the right-hand sides in the last column, by Gaussian elimination with partial pivoting. It
// also returns the determinant.
func Solve(a [3][4]float32) (x Vec, determinant float32) {
	determinant = 1
	for k := range 3 {
		pivot := k
		for i := k + 1; i < 3; i++ {
			if max(a[i][k], -a[i][k]) > max(a[pivot][k], -a[pivot][k]) {
				pivot = i
			}
		}
		if pivot != k {
			a[k], a[pivot] = a[pivot], a[k]
			determinant = -determinant
		}
		determinant *= a[k][k]
		for i := k + 1; i < 3; i++ {
			f := a[i][k] / a[k][k]
			for j := k + 1; j < 4; j++ {
				a[i][j] -= float32(f * a[k][j])
			}
		}
	}
	for k := 2; k >= 0; k-- {
		v := a[k][3]
		for j := k + 1; j < 3; j++ {
			v -= float32(a[k][j] * x[j])
		}
		x[k] = v / a[k][k]
	}
	return x, determinant
}
