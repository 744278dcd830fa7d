package imaging

import (
	"math"
)

// White point D65, and the matrices between linear RGB and XYZ, as kornia has them.
var (
	whitePoint = [3]float64{0.95047, 1, 1.08883}
	toXYZ      = [3][3]float64{{0.412453, 0.357580, 0.180423}, {0.212671, 0.715160, 0.072169}, {0.019334, 0.119193, 0.950227}}
	fromXYZ    = [3][3]float64{
		{3.2404813432005266, -1.5371515162713185, -0.4985363261688878},
		{-0.9692549499965682, 1.8759900014898907, 0.0415559265582928},
		{0.0556466391351772, -0.2040413383665112, 1.0573110696453443},
	}
)

// RGBToLab converts an sRGB color in 0…1 to CIE L*a*b*.
func RGBToLab(rgb [3]float32) [3]float32 {
	var linear, f [3]float64
	for i, v := range rgb {
		linear[i] = float64(v) / 12.92
		if v > 0.04045 {
			linear[i] = math.Pow((float64(v)+0.055)/1.055, 2.4)
		}
	}
	for i, row := range toXYZ {
		v := (row[0]*linear[0] + row[1]*linear[1] + row[2]*linear[2]) / whitePoint[i]
		f[i] = 7.787*v + 4.0/29
		if v > 0.008856 {
			f[i] = math.Cbrt(v)
		}
	}
	return [3]float32{float32(116*f[1] - 16), float32(500 * (f[0] - f[1])), float32(200 * (f[1] - f[2]))}
}

// LabToRGB converts CIE L*a*b* to sRGB, cut off at 0 and 1.
func LabToRGB(lab [3]float32) (rgb [3]float32) {
	fy := (float64(lab[0]) + 16) / 116
	f := [3]float64{float64(lab[1])/500 + fy, fy, max(fy-float64(lab[2])/200, 0)}
	var xyz [3]float64
	for i, v := range f {
		xyz[i] = (v - 4.0/29) / 7.787
		if v > 0.2068966 {
			xyz[i] = v * v * v
		}
		xyz[i] *= whitePoint[i]
	}
	for i, row := range fromXYZ {
		v := row[0]*xyz[0] + row[1]*xyz[1] + row[2]*xyz[2]
		if v > 0.0031308 {
			v = 1.055*math.Pow(v, 1/2.4) - 0.055
		} else {
			v *= 12.92
		}
		rgb[i] = float32(min(max(v, 0), 1))
	}
	return rgb
}

// LabStats are the mean and the covariance of colors in L*a*b*.
type LabStats struct {
	Mean       [3]float64
	Covariance [3][3]float64
}

// MeasureLab measures the colors of interleaved RGB values.
func MeasureLab(data []float32) (s LabStats) {
	n := float64(len(data) / 3)
	labs := make([][3]float32, len(data)/3)
	for i := range labs {
		labs[i] = RGBToLab([3]float32(data[3*i:]))
		for k, v := range labs[i] {
			s.Mean[k] += float64(v) / n
		}
	}
	for _, lab := range labs {
		for i := range 3 {
			for k := range 3 {
				s.Covariance[i][k] += (float64(lab[i]) - s.Mean[i]) * (float64(lab[k]) - s.Mean[k]) / n
			}
		}
	}
	return s
}

// LabTransform is an affine map of L*a*b*.
type LabTransform struct {
	matrix [3][3]float64
	offset [3]float64
}

// Apply maps a color.
func (t LabTransform) Apply(lab [3]float32) (out [3]float32) {
	for i, row := range t.matrix {
		out[i] = float32(row[0]*float64(lab[0]) + row[1]*float64(lab[1]) + row[2]*float64(lab[2]) + t.offset[i])
	}
	return out
}

const labEpsilon = 1e-6

// NewLabTransform returns the map of colors with statistics a to those with b: of each channel alone by its deviation (Reinhard), or with
// correlations by the Monge-Kantorovich linear map.
func NewLabTransform(a, b LabStats, correlated bool) (t LabTransform) {
	if correlated {
		t.matrix = mongeKantorovich(a.Covariance, b.Covariance)
	} else {
		for i := range 3 {
			t.matrix[i][i] = max(math.Sqrt(b.Covariance[i][i]), labEpsilon) / max(math.Sqrt(a.Covariance[i][i]), labEpsilon)
		}
	}
	for i, row := range t.matrix {
		t.offset[i] = b.Mean[i] - row[0]*a.Mean[0] - row[1]*a.Mean[1] - row[2]*a.Mean[2]
	}
	return t
}

func mongeKantorovich(a, b [3][3]float64) [3][3]float64 {
	values, vectors := eigen(a)
	var scaled, inverse [3][3]float64
	for k := range 3 {
		root := max(math.Sqrt(max(values[k], 0)), labEpsilon)
		for i := range 3 {
			scaled[i][k], inverse[i][k] = vectors[i][k]*root, vectors[i][k]/root
		}
	}
	middleValues, middleVectors := eigen(product(product(transposed(scaled), b), scaled))
	half := middleVectors
	for k := range 3 {
		root := math.Sqrt(max(middleValues[k], 0))
		for i := range 3 {
			half[i][k] *= root
		}
	}
	half = product(half, transposed(middleVectors))
	return product(product(inverse, half), transposed(inverse))
}

func product(a, b [3][3]float64) (out [3][3]float64) {
	for i := range 3 {
		for k := range 3 {
			for j := range 3 {
				out[i][k] += a[i][j] * b[j][k]
			}
		}
	}
	return out
}

func transposed(a [3][3]float64) (out [3][3]float64) {
	for i := range 3 {
		for k := range 3 {
			out[i][k] = a[k][i]
		}
	}
	return out
}

// eigen returns the eigenvalues of a symmetric matrix and its eigenvectors as columns, by Jacobi rotations.
func eigen(a [3][3]float64) (values [3]float64, vectors [3][3]float64) {
	const sweeps = 50
	for i := range 3 {
		vectors[i][i] = 1
	}
	for range sweeps {
		if math.Abs(a[0][1])+math.Abs(a[0][2])+math.Abs(a[1][2]) == 0 {
			break
		}
		for _, p := range [][2]int{{0, 1}, {0, 2}, {1, 2}} {
			i, k := p[0], p[1]
			if a[i][k] == 0 {
				continue
			}
			angle := 0.5 * math.Atan2(2*a[i][k], a[k][k]-a[i][i])
			sin, cos := math.Sincos(angle)
			rotation := [3][3]float64{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}
			rotation[i][i], rotation[k][k], rotation[i][k], rotation[k][i] = cos, cos, sin, -sin
			a = product(product(transposed(rotation), a), rotation)
			vectors = product(vectors, rotation)
		}
	}
	return [3]float64{a[0][0], a[1][1], a[2][2]}, vectors
}
