package unwrap

import "math"

// The plane of a chart is the eigenvector of the smallest eigenvalue of a symmetric matrix. Its sign decides which way the chart is seen, so
// that it is computed in the steps of LAPACK's dsyevd: a reflection to tridiagonal form, then implicit QL or QR.

const (
	epsilon = 0x1p-53
	tiny    = 0x1p-1022
)

// smallest returns the eigenvector of the smallest eigenvalue of a symmetric 3x3 matrix; it reads the lower part only.
func smallest(a [3][3]float64) [3]float64 {
	d, e, v, tau := tridiagonal(a)
	z := [3][3]float64{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}
	t := &tridiag{d: d, e: e, z: &z}
	t.solve()
	best := 0
	for k := 1; k < 3; k++ {
		if t.d[k] < t.d[best] {
			best = k
		}
	}
	x := [3]float64{z[0][best], z[1][best], z[2][best]}
	// The reflection is 1 - tau·w·wᵀ with w = (0, 1, v).
	s := tau * (x[1] + v*x[2])
	return [3]float64{x[0], x[1] - s, x[2] - s*v}
}

// tridiagonal reduces a matrix by one reflection (dsytd2).
func tridiagonal(a [3][3]float64) (d [3]float64, e [2]float64, v, tau float64) {
	alpha, x := a[1][0], a[2][0]
	if x == 0 {
		return [3]float64{a[0][0], a[1][1], a[2][2]}, [2]float64{alpha, a[2][1]}, 0, 0
	}
	beta := -math.Copysign(math.Hypot(alpha, x), alpha)
	tau = (beta - alpha) / beta
	v = x * (1 / (alpha - beta))
	y0, y1 := tau*(a[1][1]+a[2][1]*v), tau*(a[2][1]+a[2][2]*v)
	half := -0.5 * tau * (y0 + y1*v)
	w0, w1 := y0+half, y1+half*v
	return [3]float64{a[0][0], a[1][1] - 2*w0, a[2][2] - 2*v*w1}, [2]float64{beta, a[2][1] - v*w0 - w1}, v, tau
}

// tridiag is a tridiagonal matrix with the rotations that have been applied to it (dsteqr).
type tridiag struct {
	d [3]float64
	e [2]float64
	z *[3][3]float64
}

func (t *tridiag) solve() {
	const n, rounds = 3, 90
	for first := 0; first < n; {
		last := first
		for ; last < n-1; last++ {
			tst := math.Abs(t.e[last])
			if tst == 0 {
				break
			}
			if tst <= math.Sqrt(math.Abs(t.d[last]))*math.Sqrt(math.Abs(t.d[last+1]))*epsilon {
				t.e[last] = 0
				break
			}
		}
		l, end := first, last
		first = last + 1
		if l == end {
			continue
		}
		if math.Abs(t.d[end]) < math.Abs(t.d[l]) {
			t.qr(end, l, rounds)
		} else {
			t.ql(l, end, rounds)
		}
	}
}

func small(e, a, b float64) bool {
	return e*e <= epsilon*epsilon*math.Abs(a)*math.Abs(b)+tiny
}

// ql finds the eigenvalues of rows l to end from the first on.
func (t *tridiag) ql(l, end, rounds int) {
	for l <= end && rounds > 0 {
		m := l
		for m < end && !small(t.e[m], t.d[m], t.d[m+1]) {
			m++
		}
		if m < end {
			t.e[m] = 0
		}
		switch m {
		case l:
			l++
			continue
		case l + 1:
			a, b, c, s := pair(t.d[l], t.e[l], t.d[l+1])
			t.rotate(l, c, s)
			t.d[l], t.d[l+1], t.e[l] = a, b, 0
			l += 2
			continue
		}
		rounds--
		p := t.d[l]
		g := (t.d[l+1] - p) / (2 * t.e[l])
		r := math.Hypot(g, 1)
		g = t.d[m] - p + t.e[l]/(g+math.Copysign(r, g))
		s, c := 1.0, 1.0
		p = 0
		var cs, sn [2]float64
		for i := m - 1; i >= l; i-- {
			f, b := s*t.e[i], c*t.e[i]
			c, s, r = givens(g, f)
			if i != m-1 {
				t.e[i+1] = r
			}
			g = t.d[i+1] - p
			r = (t.d[i]-g)*s + 2*c*b
			p = s * r
			t.d[i+1] = g + p
			g = c*r - b
			cs[i], sn[i] = c, -s
		}
		for i := m - 1; i >= l; i-- {
			t.rotate(i, cs[i], sn[i])
		}
		t.d[l] -= p
		t.e[l] = g
	}
}

// qr finds the eigenvalues of rows end to l from the last on.
func (t *tridiag) qr(l, end, rounds int) {
	// The names follow ql: l is the row at work, end the last one, with l >= end.
	l, end = max(l, end), min(l, end)
	for l >= end && rounds > 0 {
		m := l
		for m > end && !small(t.e[m-1], t.d[m], t.d[m-1]) {
			m--
		}
		if m > end {
			t.e[m-1] = 0
		}
		switch m {
		case l:
			l--
			continue
		case l - 1:
			a, b, c, s := pair(t.d[l-1], t.e[l-1], t.d[l])
			t.rotate(l-1, c, s)
			t.d[l-1], t.d[l], t.e[l-1] = a, b, 0
			l -= 2
			continue
		}
		rounds--
		p := t.d[l]
		g := (t.d[l-1] - p) / (2 * t.e[l-1])
		r := math.Hypot(g, 1)
		g = t.d[m] - p + t.e[l-1]/(g+math.Copysign(r, g))
		s, c := 1.0, 1.0
		p = 0
		var cs, sn [2]float64
		for i := m; i < l; i++ {
			f, b := s*t.e[i], c*t.e[i]
			c, s, r = givens(g, f)
			if i != m {
				t.e[i-1] = r
			}
			g = t.d[i] - p
			r = (t.d[i+1]-g)*s + 2*c*b
			p = s * r
			t.d[i] = g + p
			g = c*r - b
			cs[i], sn[i] = c, s
		}
		for i := m; i < l; i++ {
			t.rotate(i, cs[i], sn[i])
		}
		t.d[l] -= p
		t.e[l-1] = g
	}
}

// rotate turns columns j and j+1 (dlasr).
func (t *tridiag) rotate(j int, c, s float64) {
	for i := range t.z {
		a, b := t.z[i][j], t.z[i][j+1]
		t.z[i][j+1] = c*b - s*a
		t.z[i][j] = s*b + c*a
	}
}

// givens makes a rotation that turns (f, g) into (r, 0) (dlartg).
func givens(f, g float64) (c, s, r float64) {
	switch {
	case g == 0:
		return 1, 0, f
	case f == 0:
		return 0, math.Copysign(1, g), math.Abs(g)
	}
	d := math.Sqrt(f*f + g*g)
	r = math.Copysign(d, f)
	return math.Abs(f) / d, g / r, r
}

// pair solves the symmetric matrix (a b; b c): its eigenvalues, the larger absolute one first, and the rotation (dlaev2).
func pair(a, b, c float64) (large, other, cs, sn float64) {
	sum, diff, twice := a+c, a-c, b+b
	adf, ab := math.Abs(diff), math.Abs(twice)
	most, least := c, a
	if math.Abs(a) > math.Abs(c) {
		most, least = a, c
	}
	root := ab * math.Sqrt2
	switch {
	case adf > ab:
		root = adf * math.Sqrt(1+(ab/adf)*(ab/adf))
	case adf < ab:
		root = ab * math.Sqrt(1+(adf/ab)*(adf/ab))
	}
	sign := 1
	switch {
	case sum < 0:
		large, sign = 0.5*(sum-root), -1
		other = (most/large)*least - (b/large)*b
	case sum > 0:
		large = 0.5 * (sum + root)
		other = (most/large)*least - (b/large)*b
	default:
		large, other = 0.5*root, -0.5*root
	}
	second, x := 1, diff+root
	if diff < 0 {
		second, x = -1, diff-root
	}
	switch {
	case math.Abs(x) > ab:
		ct := -twice / x
		sn = 1 / math.Sqrt(1+ct*ct)
		cs = ct * sn
	case ab == 0:
		cs, sn = 1, 0
	default:
		tn := -x / twice
		cs = 1 / math.Sqrt(1+tn*tn)
		sn = tn * cs
	}
	if sign == second {
		cs, sn = -sn, cs
	}
	return large, other, cs, sn
}
