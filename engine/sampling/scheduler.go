package sampling

import (
	"fmt"
	"math"
)

// A scheduler chooses the sigmas of a run, falling, usually with a zero at the end.
type scheduler func(m *ModelSampling, steps int) ([]float32, error)

var schedulers = []struct {
	name string
	run  scheduler
}{
	{"simple", simpleSchedule},
	{"sgm_uniform", sgmUniformSchedule},
	{"karras", karrasSchedule},
	{"exponential", exponentialSchedule},
	{"ddim_uniform", ddimSchedule},
	{"beta", betaPPFSchedule},
	{"normal", normalSchedule},
	{"linear_quadratic", linearQuadraticSchedule},
	{"kl_optimal", klOptimalSchedule},
}

// SchedulerNames lists the schedulers in upstream's order.
func SchedulerNames() []string {
	out := make([]string, len(schedulers))
	for i, s := range schedulers {
		out[i] = s.name
	}
	return out
}

// maxSteps limits the steps of a schedule, well above the 10000 steps of the nodes: set_steps divides by denoise.
const maxSteps = 1 << 24

// Schedule returns the sigmas of a scheduler for a number of steps. It fails for a name it does not know and for
// a number of steps that the scheduler cannot serve. Upstream: comfy.samplers.calculate_sigmas.
func Schedule(m *ModelSampling, name string, steps int) ([]float32, error) {
	if steps < 1 || steps > maxSteps {
		return nil, fmt.Errorf("making a %s schedule: %d steps", name, steps)
	}
	for _, s := range schedulers {
		if s.name != name {
			continue
		}
		sigmas, err := s.run(m, steps)
		if err != nil {
			return nil, fmt.Errorf("making a %s schedule of %d steps: %w", name, steps, err)
		}
		return sigmas, nil
	}
	return nil, fmt.Errorf("making a schedule: unknown scheduler %q", name)
}

func simpleSchedule(m *ModelSampling, steps int) ([]float32, error) {
	sigmas := m.Sigmas()
	stride := float64(len(sigmas)) / float64(steps)
	out := make([]float32, 0, steps+1)
	for i := range steps {
		out = append(out, sigmas[len(sigmas)-1-int(float64(i)*stride)])
	}
	return append(out, 0), nil
}

func ddimSchedule(m *ModelSampling, steps int) ([]float32, error) {
	sigmas := m.Sigmas()
	var rising []float32
	if closeTo(float64(sigmas[1]), 0, 1e-9, 0.00001) {
		steps++
	} else {
		rising = append(rising, 0)
	}
	for i, stride := 1, max(len(sigmas)/steps, 1); i < len(sigmas); i += stride {
		rising = append(rising, sigmas[i])
	}
	out := make([]float32, len(rising))
	for i, s := range rising {
		out[len(out)-1-i] = s
	}
	return out, nil
}

func normalSchedule(m *ModelSampling, steps int) ([]float32, error) {
	start, end := m.Timestep(m.SigmaMax()), m.Timestep(m.SigmaMin())
	if closeTo(float64(m.Sigma(end)), 0, 1e-9, 0.00001) {
		return levelsAt(m, linspace(start, end, steps+1)), nil
	}
	return append(levelsAt(m, linspace(start, end, steps)), 0), nil
}

func sgmUniformSchedule(m *ModelSampling, steps int) ([]float32, error) {
	times := linspace(m.Timestep(m.SigmaMax()), m.Timestep(m.SigmaMin()), steps+1)
	return append(levelsAt(m, times[:steps]), 0), nil
}

func levelsAt(m *ModelSampling, times []float32) []float32 {
	out := make([]float32, len(times), len(times)+1)
	for i, t := range times {
		out[i] = m.Sigma(t)
	}
	return out
}

func karrasSchedule(m *ModelSampling, steps int) ([]float32, error) {
	return KarrasSigmas(steps, float64(m.SigmaMax()), float64(m.SigmaMin()), 7)
}

func exponentialSchedule(m *ModelSampling, steps int) ([]float32, error) {
	return ExponentialSigmas(steps, float64(m.SigmaMax()), float64(m.SigmaMin()))
}

// betaPPFSchedule is BetaSigmas of the shape that its authors took.
func betaPPFSchedule(m *ModelSampling, steps int) ([]float32, error) {
	return BetaSigmas(m, steps, 0.6, 0.6)
}

// linearQuadraticSchedule falls linearly through the first half of the steps and quadratically after it (Mochi).
func linearQuadraticSchedule(m *ModelSampling, steps int) ([]float32, error) {
	const threshold = 0.025
	top := m.SigmaMax()
	if steps == 1 {
		return []float32{top, 0}, nil
	}
	linear := steps / 2
	n, l, q := float64(steps), float64(linear), float64(steps-linear)
	diff := l - threshold*n
	a := diff / (l * q * q)
	b := threshold/l - 2*diff/(q*q)
	c := a * (l * l)
	out := make([]float32, 0, steps+1)
	for i := range steps {
		x := float64(i)
		v := x * threshold / l
		if i >= linear {
			v = a*(x*x) + b*x + c
		}
		out = append(out, float32(1-v)*top)
	}
	return append(out, 0), nil
}

// klOptimalSchedule is evenly spaced in the arc tangent ("Align Your Steps", Sabour et al., 2024).
func klOptimalSchedule(m *ModelSampling, steps int) ([]float32, error) {
	if steps == 1 {
		return nil, fmt.Errorf("it needs at least 2 steps")
	}
	low, high := float32(math.Atan(float64(m.SigmaMin()))), float32(math.Atan(float64(m.SigmaMax())))
	out := make([]float32, steps, steps+1)
	for i := range out {
		r := float32(i) / float32(steps-1)
		out[i] = tan32(float32(r*low) + float32((1-r)*high))
	}
	return append(out, 0), nil
}
