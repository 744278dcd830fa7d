package pointmap

import (
	"context"
	"math"
)

// equations are linear equations: each row is the sum of some unknowns with factors.
type equations interface {
	// rows and columns are the numbers of equations and unknowns.
	rows() int
	columns() int
	// times adds A·x to y, transposed adds Aᵀ·y to x.
	times(y, x []float64)
	transposed(x, y []float64)
}

// solveLeast finds the unknowns for which the squares of the differences of equations from b are least, by LSMR (Fong and Saunders, "LSMR: An
// iterative algorithm for sparse least-squares problems", 2011) with SciPy's rules for its end, which is at a relative error of tolerance. from, when
// set, is where it begins; the unknowns are then rounded to float32 in each step, as they are there.
func solveLeast(ctx context.Context, a equations, b []float64, from []float32, tolerance float64) ([]float64, error) {
	const leastCondition = 1e-8
	m, n := a.rows(), a.columns()
	u, x := make([]float64, m), make([]float64, n)
	copy(u, b)
	if from != nil {
		for i, v := range from {
			x[i] = float64(v)
		}
		ax := make([]float64, m)
		a.times(ax, x)
		for i := range u {
			u[i] -= ax[i]
		}
	}
	sizeB, beta, alpha := length(b), length(u), 0.0
	v := make([]float64, n)
	if beta > 0 {
		scale(u, 1/beta)
		a.transposed(v, u)
		alpha = length(v)
	}
	if alpha > 0 {
		scale(v, 1/alpha)
	}
	if alpha*beta == 0 {
		return x, nil
	}
	if sizeB == 0 {
		return make([]float64, n), nil
	}
	s := lsmr{zetabar: alpha * beta, alphabar: alpha, rho: 1, rhobar: 1, cbar: 1, betadd: beta, rhodold: 1, normA2: alpha * alpha, minrbar: 1e100}
	h, hbar := append([]float64(nil), v...), make([]float64, n)
	for turn := 1; turn <= min(m, n); turn++ {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		scale(u, -alpha)
		a.times(u, v)
		if beta = length(u); beta > 0 {
			scale(u, 1/beta)
			scale(v, -beta)
			a.transposed(v, u)
			if alpha = length(v); alpha > 0 {
				scale(v, 1/alpha)
			}
		}
		w := s.rotate(alpha, beta)
		for i := range x {
			hbar[i] = hbar[i]*w.hbar + h[i]
			x[i] += w.x * hbar[i]
			if from != nil {
				x[i] = float64(float32(x[i]))
			}
			h[i] = h[i]*w.h + v[i]
		}
		if s.ends(turn, sizeB, length(x), tolerance, leastCondition) {
			break
		}
	}
	return x, nil
}

func scale(v []float64, by float64) {
	for i := range v {
		v[i] *= by
	}
}

// lsmr are the numbers of a turn, by the names that the paper gives them.
type lsmr struct {
	zetabar, alphabar, rho, rhobar, cbar, sbar                 float64
	betadd, betad, rhodold, tautildeold, thetatilde, zeta      float64
	normA2, maxrbar, minrbar, rhotemp, rhobarold, normR, normA float64
}

// factors are those by which the vectors are joined.
type factors struct{ hbar, x, h float64 }

// rotation is a plane rotation that makes the second of two numbers zero.
func rotation(a, b float64) (c, s, r float64) {
	sign := func(v float64) float64 {
		if v == 0 {
			return 0
		}
		return math.Copysign(1, v)
	}
	switch {
	case b == 0:
		return sign(a), 0, math.Abs(a)
	case a == 0:
		return 0, sign(b), math.Abs(b)
	case math.Abs(b) > math.Abs(a):
		tau := a / b
		s = sign(b) / math.Sqrt(1+tau*tau)
		return s * tau, s, b / s
	}
	tau := b / a
	c = sign(a) / math.Sqrt(1+tau*tau)
	return c, c * tau, a / c
}

// rotate takes the next numbers of the bidiagonal form.
func (l *lsmr) rotate(alpha, beta float64) factors {
	chat, shat, alphahat := rotation(l.alphabar, 0)
	rhoold := l.rho
	c, s, rho := rotation(alphahat, beta)
	l.rho = rho
	thetanew := s * alpha
	l.alphabar = c * alpha

	l.rhobarold = l.rhobar
	zetaold := l.zeta
	thetabar := l.sbar * rho
	l.rhotemp = l.cbar * rho
	l.cbar, l.sbar, l.rhobar = rotation(l.cbar*rho, thetanew)
	l.zeta = l.cbar * l.zetabar
	l.zetabar = -l.sbar * l.zetabar
	w := factors{hbar: -(thetabar * rho / (rhoold * l.rhobarold)), x: l.zeta / (rho * l.rhobar), h: -(thetanew / rho)}

	betaacute, betacheck := chat*l.betadd, -shat*l.betadd
	betahat := c * betaacute
	l.betadd = -s * betaacute
	thetatildeold := l.thetatilde
	ctildeold, stildeold, rhotildeold := rotation(l.rhodold, thetabar)
	l.thetatilde = stildeold * l.rhobar
	l.rhodold = ctildeold * l.rhobar
	l.betad = -stildeold*l.betad + ctildeold*betahat
	l.tautildeold = (zetaold - thetatildeold*l.tautildeold) / rhotildeold
	taud := (l.zeta - l.thetatilde*l.tautildeold) / l.rhodold
	// Without damping betacheck is zero, and so is the sum of its squares.
	l.normR = math.Sqrt(betacheck*betacheck + (l.betad-taud)*(l.betad-taud) + l.betadd*l.betadd)

	l.normA2 += beta * beta
	l.normA = math.Sqrt(l.normA2)
	l.normA2 += alpha * alpha
	return w
}

// ends reports that the solution is good enough, or that it gets no better.
func (l *lsmr) ends(turn int, sizeB, sizeX, tolerance, leastCondition float64) bool {
	l.maxrbar = max(l.maxrbar, l.rhobarold)
	if turn > 1 {
		l.minrbar = min(l.minrbar, l.rhobarold)
	}
	condition := max(l.maxrbar, l.rhotemp) / min(l.minrbar, l.rhotemp)
	test1, test2, test3 := l.normR/sizeB, math.Inf(1), 1/condition
	if l.normA*l.normR != 0 {
		test2 = math.Abs(l.zetabar) / (l.normA * l.normR)
	}
	relative := l.normA * sizeX / sizeB
	t1 := test1 / (1 + relative)
	return 1+test3 <= 1 || 1+test2 <= 1 || 1+t1 <= 1 || test3 <= leastCondition || test2 <= tolerance || test1 <= tolerance+tolerance*relative
}
