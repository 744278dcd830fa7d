package vec

// AddBoth adds f*a*b to out.
func AddBoth(out, a, b []float32, f float32) {
	a, b = a[:len(out)], b[:len(out)]
	for i := addBothRun(out, a, b, f); i < len(out); i++ {
		out[i] += float32(float32(f*a[i]) * b[i])
	}
}

// Product sets out, rows of n values, to the matrix product of a, rows of k values, and b, k rows of n values. It is the one operation
// here that fuses: sums are taken in the order of k, each product being added unrounded where the CPU can.
func Product(out, a, b []float32, n, k int) {
	const together = 4
	for len(out) >= n && n > 0 {
		rows := min(len(out)/n, together)
		done := 0
		if rows == together {
			done = productRun(out, a, b, n, k)
		}
		for r := 0; r < rows && done < n; r++ {
			rest := out[r*n+done : (r+1)*n]
			clear(rest)
			for i := range k {
				AddScaled(rest, b[i*n+done:(i+1)*n], a[r*k+i])
			}
		}
		out, a = out[rows*n:], a[rows*k:]
	}
}

// Halves converts 16-bit floats, little-endian, to out and returns how many it converted: it stops at an infinity or a NaN, which are
// left to the caller, and before a rest that is too short for vectors. src has two bytes for each value of out.
func Halves(out []float32, src []byte) int { return halvesRun(out, src[:2*len(out)]) }
