package sampling

import (
	"context"
	"fmt"

	"comfygo/engine/tensor"
)

// dpmSolver holds the steps of DPM-Solver (Lu et al., arXiv 2206.00927) in the time t = -log(sigma).
type dpmSolver struct {
	ctx context.Context
	run *Run
}

func levelAt(t float32) float32 { return exp32(-t) }

// eps returns the noise that x holds at time t, with its denoised form.
func (s *dpmSolver) eps(x *tensor.Tensor, t float32) (eps *tensor.Tensor, err error) {
	sigma := levelAt(t)
	denoised, err := s.run.Denoise(s.ctx, x, sigma)
	if err != nil {
		return nil, err
	}
	return slope(x, sigma, denoised), nil
}

func (s *dpmSolver) step1(x *tensor.Tensor, t, next float32, eps *tensor.Tensor) *tensor.Tensor {
	return sum(term{1, x}, term{-(levelAt(next) * expm132(next-t)), eps})
}

// middle returns the noise at share ratio of the way of a step.
func (s *dpmSolver) middle(x *tensor.Tensor, t, next, ratio float32, eps *tensor.Tensor) (*tensor.Tensor, error) {
	h := next - t
	at := t + ratio*h
	return s.eps(sum(term{1, x}, term{-(levelAt(at) * expm132(ratio*h)), eps}), at)
}

// step2 takes a step of order 2 from the noise at its start and at share ratio of its way.
func (s *dpmSolver) step2(x *tensor.Tensor, t, next, ratio float32, eps, mid *tensor.Tensor) *tensor.Tensor {
	h, sigma := next-t, levelAt(next)
	return sum(term{1, x}, term{-(sigma * expm132(h)), eps},
		term{-(sigma / (2 * ratio) * expm132(h)), sum(term{1, mid}, term{-1, eps})})
}

// step3 takes a step of order 3 from the noise at its start and at a third of its way.
func (s *dpmSolver) step3(x *tensor.Tensor, t, next float32, eps, third *tensor.Tensor) (*tensor.Tensor, error) {
	const r1, r2 = float32(1.0 / 3), float32(2.0 / 3)
	h := next - t
	at := t + r2*h
	sigma := levelAt(at)
	u := sum(term{1, x}, term{-(sigma * expm132(r2*h)), eps},
		term{-(sigma * (r2 / r1) * (expm132(r2*h)/(r2*h) - 1)), sum(term{1, third}, term{-1, eps})})
	eps2, err := s.eps(u, at)
	if err != nil {
		return nil, err
	}
	sigma = levelAt(next)
	return sum(term{1, x}, term{-(sigma * expm132(h)), eps},
		term{-(sigma / r2 * (expm132(h)/h - 1)), sum(term{1, eps2}, term{-1, eps})}), nil
}

// bounds returns the times between which the solvers run: from the first level to the last above zero.
func (r *Run) bounds() (from, to float32, err error) {
	low := r.Sigmas[len(r.Sigmas)-1]
	if low == 0 {
		low = r.Sigmas[len(r.Sigmas)-2]
	}
	if high := r.Sigmas[0]; low > 0 && high > 0 {
		return -log32(high), -log32(low), nil
	}
	return 0, 0, fmt.Errorf("sampling: the levels %v hold a zero before their end", r.Sigmas)
}

// sampleDPMFast makes one prediction per step of the schedule on average; a step of order 3 takes three.
func sampleDPMFast(ctx context.Context, r *Run) (*tensor.Tensor, error) {
	if len(r.Sigmas) <= 1 {
		return r.X, nil
	}
	from, to, err := r.bounds()
	if err != nil {
		return nil, err
	}
	n := len(r.Sigmas) - 1
	times := linspace(from, to, n/3+2)
	s := &dpmSolver{ctx, r}
	x := r.X
	for i, order := range fastOrders(n) {
		t, next := times[i], times[i+1]
		eps, err := s.eps(x, t)
		if err != nil {
			return nil, err
		}
		r.Step(i, x, sum(term{1, x}, term{-levelAt(t), eps}))
		if x, err = s.fastStep(x, t, next, order, eps); err != nil {
			return nil, err
		}
	}
	return x, nil
}

func (s *dpmSolver) fastStep(x *tensor.Tensor, t, next float32, order int, eps *tensor.Tensor) (*tensor.Tensor, error) {
	switch order {
	case 1:
		return s.step1(x, t, next, eps), nil
	case 2:
		mid, err := s.middle(x, t, next, 0.5, eps)
		if err != nil {
			return nil, err
		}
		return s.step2(x, t, next, 0.5, eps, mid), nil
	}
	third, err := s.middle(x, t, next, 1.0/3, eps)
	if err != nil {
		return nil, err
	}
	return s.step3(x, t, next, eps, third)
}

// fastOrders shares n predictions out over steps of order 3 and one or two lower ones at the end.
func fastOrders(n int) []int {
	var out []int
	for range n / 3 {
		out = append(out, 3)
	}
	if n%3 != 0 {
		return append(out, n%3)
	}
	return append(out[:max(len(out)-1, 0)], 2, 1)
}
