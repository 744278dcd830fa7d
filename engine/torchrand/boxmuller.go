package torchrand

import "math"

// Torch computes logarithm, sine and cosine of these values with the polynomials of Moshier's Cephes library in float32, and its
// compiler fuses products into sums. What follows takes the same steps in the same order, so that the results are
// torch's to the bit; CPUs of the x86-64 family take them eight at a time.

// The constants of the steps, with a row of eight for each in vectors.
const (
	rootHalf = float32(0.707106781186547524)
	ln2Low   = float32(-2.12194440e-4)
	ln2High  = float32(0.693359375)
	fourByPi = float32(1.27323954473516)
	piHigh   = float32(-0.78515625)
	piMiddle = float32(-2.4187564849853515625e-4)
	piLow    = float32(-3.77489497744594108e-8)
)

var (
	logTerms = [9]float32{
		7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
		-1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
	}
	cosTerms = [3]float32{2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2}
	sinTerms = [3]float32{-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1}
)

// boxMullerPlain turns blocks of 16 uniform values into normal ones in place (Box and Muller, 1958).
func boxMullerPlain(values []float32) {
	const half = blockLen / 2
	for ; len(values) >= blockLen; values = values[blockLen:] {
		b := values[:blockLen]
		for j := range half {
			radius := float32(math.Sqrt(float64(-2 * logBelow1(1-b[j]))))
			sin, cos := sincos(float32(2*math.Pi) * b[j+half])
			b[j], b[j+half] = radius*cos, radius*sin
		}
	}
}

// logBelow1 is the logarithm of a normal number up to 1.
func logBelow1(x float32) float32 {
	bits := math.Float32bits(x)
	e := float32(int32(bits>>23)-0x7f) + 1
	x = math.Float32frombits(bits&0x007fffff | math.Float32bits(0.5))
	if x < rootHalf {
		e--
		x += x - 1
	} else {
		x--
	}
	z := x * x
	y := fma(logTerms[0], x, logTerms[1])
	y = fma(y, x, logTerms[2])
	y = fma(y, x, logTerms[3])
	y = fma(y, x, logTerms[4])
	y = fma(y, x, logTerms[5])
	y = fma(y, x, logTerms[6])
	y = fma(y, x, logTerms[7])
	y = fma(y, x, logTerms[8])
	y *= x
	y = fma(y, z, float32(e*ln2Low))
	y = fma(z, -0.5, y)
	return fma(e, ln2High, x+y)
}

// sincos is the sine and cosine of an angle from 0 to 2π.
func sincos(x float32) (sin, cos float32) {
	octant := (int32(x*fourByPi) + 1) &^ 1
	y := float32(octant)
	x = fma(y, piHigh, x)
	x = fma(y, piMiddle, x)
	x = fma(y, piLow, x)
	z := x * x
	cos = fma(fma(cosTerms[0], z, cosTerms[1]), z, cosTerms[2])
	cos = fma(float32(cos*z), z, -float32(z*0.5)) + 1
	sin = fma(fma(sinTerms[0], z, sinTerms[1]), z, sinTerms[2])
	sin = fma(float32(sin*z), x, x)
	// Without branches, which random angles would mislead.
	s, c := math.Float32bits(sin), math.Float32bits(cos)
	swap := (s ^ c) & -uint32(octant>>1&1)
	s, c = s^swap^uint32(octant&4)<<29, c^swap^uint32(^(octant-2)&4)<<29
	return math.Float32frombits(s), math.Float32frombits(c)
}
