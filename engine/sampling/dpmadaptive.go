package sampling

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/tensor"
)

// Adaptive are the options of the adaptive solver: its order (2 or 3), the relative and absolute error it tolerates, the
// length of its first step in log sigma, the coefficients of the controller of that length, the least change of length that
// lets a step count, the share of fresh noise and what multiplies that.
type Adaptive struct {
	Order                                    int
	Relative, Absolute, First                float64
	Proportional, Integral, Derivative, Safe float64
	Eta, Strength                            float64
}

// DefaultAdaptive are upstream's defaults.
var DefaultAdaptive = Adaptive{Order: 3, Relative: 0.05, Absolute: 0.0078, First: 0.05, Integral: 1, Safe: 0.81, Strength: 1}

// pid proposes lengths of steps from the error of the last ones (a PID controller).
type pid struct {
	h, b1, b2, b3, safe float64
	errs                [3]float64
	warm                bool
}

func newPID(o Adaptive) *pid {
	order := float64(o.Order)
	if o.Eta > 0 {
		order = 1.5
	}
	return &pid{
		h: math.Abs(o.First), safe: o.Safe,
		b1: (o.Proportional + o.Integral + o.Derivative) / order,
		b2: -(o.Proportional + 2*o.Derivative) / order,
		b3: o.Derivative / order,
	}
}

func (p *pid) accepts(failure float64) bool {
	const epsilon = 1e-8
	inverse := 1 / (failure + epsilon)
	if !p.warm {
		p.errs, p.warm = [3]float64{inverse, inverse, inverse}, true
	}
	p.errs[0] = inverse
	factor := math.Pow(p.errs[0], p.b1) * math.Pow(p.errs[1], p.b2) * math.Pow(p.errs[2], p.b3)
	factor = 1 + math.Atan(factor-1)
	ok := factor >= p.safe
	if ok {
		p.errs[2], p.errs[1] = p.errs[1], p.errs[0]
	}
	p.h *= factor
	return ok
}

// maxAdaptive bounds the steps of the adaptive solver, which a model that returns NaN could keep going without end.
const maxAdaptive = 10000

// sampleDPMAdaptive chooses its own steps so that two orders agree (DPM-Solver-12 and -23, Lu et al., arXiv 2206.00927).
func sampleDPMAdaptive(o Adaptive) samplerFunc {
	return func(ctx context.Context, r *Run) (*tensor.Tensor, error) {
		if len(r.Sigmas) <= 1 {
			return r.X, nil
		}
		t, end, err := r.bounds()
		if err != nil {
			return nil, err
		}
		if end <= t && o.Eta > 0 {
			return nil, fmt.Errorf("sampling: dpm_adaptive cannot add noise on the way from less noise to more")
		}
		a := &adaptive{Adaptive: o, solver: &dpmSolver{ctx, r}, control: newPID(o), noise: r.fresh(), end: end, forward: end > t, x: r.X, previous: r.X}
		if !a.forward {
			a.control.h = -a.control.h
		}
		for i := 0; a.before(t); i++ {
			if i == maxAdaptive {
				return nil, fmt.Errorf("sampling: dpm_adaptive found no end after %d steps", i)
			}
			var denoised *tensor.Tensor
			if t, denoised, err = a.step(t); err != nil {
				return nil, err
			}
			r.Step(i, a.x, denoised)
		}
		return a.x, nil
	}
}

// adaptive is the state of a run.
type adaptive struct {
	Adaptive
	solver      *dpmSolver
	control     *pid
	noise       NoiseSource
	end         float32
	forward     bool
	x, previous *tensor.Tensor
}

func (a *adaptive) before(t float32) bool {
	if a.forward {
		return t < a.end-1e-5
	}
	return t > a.end+1e-5
}

// step tries a step from time t and returns the new time, which is t if the step was rejected.
func (a *adaptive) step(t float32) (float32, *tensor.Tensor, error) {
	next := t + float32(a.control.h)
	if a.forward {
		next = min(a.end, next)
	} else {
		next = max(a.end, next)
	}
	target, up := next, float32(0)
	if a.Eta > 0 {
		down, _ := ancestral(levelAt(t), levelAt(next), float32(a.Eta))
		target = min(a.end, -log32(down))
		up = sqrt32(levelAt(next)*levelAt(next) - levelAt(target)*levelAt(target))
	}
	eps, err := a.solver.eps(a.x, t)
	if err != nil {
		return t, nil, err
	}
	denoised := sum(term{1, a.x}, term{-levelAt(t), eps})
	low, high, err := a.pair(t, target, eps)
	if err != nil {
		return t, nil, err
	}
	if a.control.accepts(a.disagreement(low, high)) {
		a.previous, a.x = low, sum(term{1, high}, term{up * float32(a.Strength), a.noise(levelAt(t), levelAt(next))})
		t = next
	}
	return t, denoised, nil
}

// pair returns the results of a step by the lower and the higher order.
func (a *adaptive) pair(t, next float32, eps *tensor.Tensor) (low, high *tensor.Tensor, err error) {
	ratio := float32(1.0 / 3)
	if a.Order == 2 {
		ratio = 0.5
	}
	mid, err := a.solver.middle(a.x, t, next, ratio, eps)
	if err != nil {
		return nil, nil, err
	}
	low = a.solver.step2(a.x, t, next, ratio, eps, mid)
	if a.Order == 2 {
		return a.solver.step1(a.x, t, next, eps), low, nil
	}
	high, err = a.solver.step3(a.x, t, next, eps, mid)
	return low, high, err
}

// disagreement returns the rms difference of two results relative to the tolerance.
func (a *adaptive) disagreement(low, high *tensor.Tensor) float64 {
	absolute, relative := float32(a.Absolute), float32(a.Relative)
	total := 0.0
	for i, l := range low.Data {
		delta := max(absolute, relative*max(abs32(l), abs32(a.previous.Data[i])))
		e := float64((l - high.Data[i]) / delta)
		total += e * e
	}
	return math.Sqrt(total) / math.Sqrt(float64(len(low.Data)))
}
