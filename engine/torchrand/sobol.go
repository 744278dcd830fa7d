package torchrand

import "math/bits"

// sobolBits is the number of bits of a point.
const sobolBits = 30

// Sobol3 returns n points in the unit cube, [n,3] row by row, as torch.quasirandom.SobolEngine(3, scramble=True, seed) draws them: a Sobol sequence (Joe
// and Kuo, "Constructing Sobol sequences with better two-dimensional projections"), scrambled by Matousek's linear matrices and a shift.
func Sobol3(seed uint64, n int) []float32 {
	const axes = 3
	state := directions()
	g := New(seed)
	bit := func() uint32 { return g.Uint32() & 1 }
	var point [axes]uint32
	for d := range axes {
		for i := range sobolBits {
			point[d] |= bit() << i
		}
	}
	for d := range axes {
		var rows [sobolBits]uint32 // of a lower triangular matrix of bits, the first column in the highest bit
		for r := range rows {
			for c := range sobolBits {
				if b := bit(); c < r {
					rows[r] |= b << (sobolBits - 1 - c)
				}
			}
			rows[r] |= 1 << (sobolBits - 1 - r)
		}
		for j, v := range state[d] {
			state[d][j] = 0
			for r, row := range rows {
				state[d][j] |= uint32(bits.OnesCount32(row&v)&1) << (sobolBits - 1 - r)
			}
		}
	}
	out := make([]float32, 0, axes*n)
	for i := range n {
		if i > 0 {
			for d := range axes {
				point[d] ^= state[d][bits.TrailingZeros32(^uint32(i-1))]
			}
		}
		for _, p := range point {
			out = append(out, float32(p)/(1<<sobolBits))
		}
	}
	return out
}

// directions are the direction numbers of the first three axes.
func directions() (out [3][sobolBits]uint32) {
	first := [3][]uint32{nil, {1}, {1, 3}}
	polynomials := [3]uint32{1, 3, 7}
	for d := range out {
		degree := len(first[d])
		for j := range sobolBits {
			switch {
			case d == 0:
				out[d][j] = 1
			case j < degree:
				out[d][j] = first[d][j]
			default:
				v := out[d][j-degree]
				for k := range degree {
					if polynomials[d]>>(degree-1-k)&1 == 1 {
						v ^= out[d][j-k-1] << (k + 1)
					}
				}
				out[d][j] = v
			}
		}
		for j := range sobolBits {
			out[d][j] <<= sobolBits - 1 - j
		}
	}
	return out
}
