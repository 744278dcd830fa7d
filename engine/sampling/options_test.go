package sampling_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/goldencheck"
	"comfygo/tests/golden"
)

// must takes a sampler that can be made.
func must(s *sampling.Sampler, err error) *sampling.Sampler {
	if err != nil {
		panic(err)
	}
	return s
}

// every returns all samplers of the list and those with other options, by a name of their own.
func every(t *testing.T) map[string]*sampling.Sampler {
	t.Helper()
	odd := sampling.DefaultAdaptive
	odd.Order, odd.Eta, odd.Proportional, odd.Derivative = 2, 0.5, 0.2, 0.1
	out := map[string]*sampling.Sampler{
		"euler_ancestral 0.4":    sampling.EulerAncestral(0.4, 1.1),
		"euler_ancestral_pp 0.4": sampling.EulerAncestralCFGPP(0.4, 1.1),
		"euler_pp":               sampling.EulerPP(),
		"lms 7":                  must(sampling.LMS(7)),
		"2s 0.3":                 sampling.DPMPP2SAncestral(0.3, 0.9),
		"sde 0.3":                must(sampling.DPMPPSDE(0.3, 0.9, 0.7)),
		"2m_sde 0.3":             sampling.DPMPP2MSDE(true, 0.3, 0.9),
		"3m_sde 0.3":             sampling.DPMPP3MSDE(0.3, 0.9),
		"adaptive 2":             must(sampling.DPMAdaptive(odd)),
		"er reverse":             must(sampling.ERSDE(sampling.ERSDEReverse, 2, 0.5, 1)),
		"er ode":                 must(sampling.ERSDE(sampling.ERSDEODE, 3, 1, 1)),
		"sa simple":              must(sampling.SASolver(sampling.SASettings{Eta: 0.5, Start: 10, End: 1, Strength: 1, Predictor: 2, Corrector: 2, Simple: true})),
		"sa 6":                   must(sampling.SASolver(sampling.SASettings{Strength: 1, Predictor: 6, Corrector: 0, PECE: true})),
		"seeds_2 phi_2":          must(sampling.SEEDS2(true, 0.5, 1, 0.3)),
		"lcm clipped":            sampling.LCMSampler(1.2, 0.5, 2),
		"lcm_upscale":            sampling.LCMUpscale(1.5, -1, "bilinear"),
	}
	for _, name := range sampling.SamplerNames() {
		out[name] = must(sampling.NewSampler(name))
	}
	return out
}

const tableSteps = 7

// tableRun is a run over which all samplers are compared.
func tableRun(t *testing.T, net sampling.Network) (sampling.Params, []float32) {
	t.Helper()
	p := oneStep(t, net)
	p.DisableNoise, p.Seed = false, 5
	sigmas, err := sampling.Schedule(p.Model, "karras", tableSteps)
	if err != nil {
		t.Fatal(err)
	}
	return p, sigmas
}

// reports is the number of steps that a sampler reports; 0 means that the sampler chooses.
func reports(s *sampling.Sampler) int {
	switch s.Name() {
	case "dpm_fast":
		return tableSteps/3 + 1
	case "dpm_adaptive":
		return 0
	}
	return tableSteps
}

// TestEverySamplerReportsItsSteps counts the steps that a run reports: each once, in order, and the last before it ends.
func TestEverySamplerReportsItsSteps(t *testing.T) {
	t.Parallel()
	for name, s := range every(t) {
		p, sigmas := tableRun(t, &goldencheck.Toy{Scale: 0.001})
		p.Positive, p.Negative = context1(0.5), context1(-0.5)
		var seen []int
		p.OnStep = func(s sampling.Step) {
			seen = append(seen, s.Index)
			if s.Total != tableSteps || s.X == nil || s.Denoised == nil {
				t.Errorf("%s: step %d of %d tells nothing", name, s.Index, s.Total)
			}
		}
		if _, _, err := sampling.SampleWith(t.Context(), p, s, sigmas); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i, at := range seen {
			if i != at {
				t.Errorf("%s: steps %v are not in order", name, seen)
				break
			}
		}
		if want := reports(s); len(seen) == 0 || want > 0 && len(seen) != want {
			t.Errorf("%s: %d steps were reported, want %d", name, len(seen), want)
		}
	}
}

// TestEverySamplerEndsWithinAStep ends the context during each of the first predictions: none follows.
func TestEverySamplerEndsWithinAStep(t *testing.T) {
	t.Parallel()
	stop := errors.New("stop")
	for name, s := range every(t) {
		for at := 1; at <= 4; at++ {
			ctx, cancel := context.WithCancelCause(t.Context())
			net := &probe{then: func(calls int, _ *tensor.Tensor) {
				if calls == at {
					cancel(stop)
				}
			}}
			p, sigmas := tableRun(t, net)
			if _, _, err := sampling.SampleWith(ctx, p, s, sigmas); !errors.Is(err, stop) || len(net.shapes) != at {
				t.Errorf("%s: ending in prediction %d gives %v after %d predictions", name, at, err, len(net.shapes))
			}
			cancel(nil)
		}
	}
}

// TestEverySamplerNamesTheBrokenStep makes the network fail in its third prediction.
func TestEverySamplerNamesTheBrokenStep(t *testing.T) {
	t.Parallel()
	for name, s := range every(t) {
		for what, bad := range map[string]float64{"NaN": math.NaN(), "infinity": math.Inf(-1)} {
			net := &probe{then: func(calls int, out *tensor.Tensor) {
				if calls == 3 {
					out.Data[7] = float32(bad)
				}
			}}
			p, sigmas := tableRun(t, net)
			steps := 0
			p.OnStep = func(sampling.Step) { steps++ }
			_, _, err := sampling.SampleWith(t.Context(), p, s, sigmas)
			if want := fmt.Sprintf("with %s, step %d of %d", s.Name(), steps+1, tableSteps); !errors.Is(err, sampling.ErrNotFinite) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %s gives %v, want an error with %q", name, what, err, want)
			}
			if len(net.shapes) != 3 {
				t.Errorf("%s: %d predictions, want none after the third", name, len(net.shapes))
			}
		}
	}
}

// TestOptionsMeetTheList compares samplers made with options to the equivalent ones of the list.
func TestOptionsMeetTheList(t *testing.T) {
	t.Parallel()
	m, err := sampling.NewModelSampling(sampling.EPS, sampling.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	sa := sampling.SASettings{Eta: 1, Start: m.PercentToSigma(0.2), End: m.PercentToSigma(0.8), Strength: 1, Predictor: 3, Corrector: 4}
	pece := sa
	pece.PECE = true
	for _, c := range []struct {
		name string
		s    *sampling.Sampler
	}{
		{"euler", sampling.EulerAncestral(0, 1)},
		{"euler", must(sampling.LMS(1))},
		{"euler_ancestral", sampling.EulerAncestral(1, 1)},
		{"euler_cfg_pp", sampling.EulerAncestralCFGPP(0, 1)},
		{"euler_ancestral_cfg_pp", sampling.EulerAncestralCFGPP(1, 1)},
		{"lms", must(sampling.LMS(4))},
		{"dpmpp_2s_ancestral", sampling.DPMPP2SAncestral(1, 1)},
		{"dpmpp_sde", must(sampling.DPMPPSDE(1, 1, 0.5))},
		{"dpmpp_2m_sde", sampling.DPMPP2MSDE(false, 1, 1)},
		{"dpmpp_2m_sde_heun", sampling.DPMPP2MSDE(true, 1, 1)},
		{"dpmpp_3m_sde", sampling.DPMPP3MSDE(1, 1)},
		{"dpmpp_2m", sampling.DPMPP2MSDE(false, 0, 1)},
		{"dpm_adaptive", must(sampling.DPMAdaptive(sampling.DefaultAdaptive))},
		{"er_sde", must(sampling.ERSDE(sampling.ERSDEExtended, 3, 1, 1))},
		{"sa_solver", must(sampling.SASolver(sa))},
		{"sa_solver_pece", must(sampling.SASolver(pece))},
		{"seeds_2", must(sampling.SEEDS2(false, 1, 1, 0.5))},
		{"exp_heun_2_x0", must(sampling.SEEDS2(true, 0, 1, 1))},
		{"exp_heun_2_x0_sde", must(sampling.SEEDS2(true, 1, 1, 1))},
		{"lcm", sampling.LCMSampler(1, 1, 0)},
	} {
		run := func(s *sampling.Sampler) []float32 {
			p, sigmas := tableRun(t, &goldencheck.Toy{Scale: 0.001})
			p.Positive, p.Negative = context1(0.5), context1(-0.5)
			out, _, err := sampling.SampleWith(t.Context(), p, s, sigmas)
			if err != nil {
				t.Fatal(err)
			}
			return out.Data
		}
		// dpmpp_2m reaches its formula by other steps of rounding than the stochastic one without noise.
		golden.Compare(t, c.name, run(c.s), run(must(sampling.NewSampler(c.name))), golden.Tolerance{RMSRel: 2e-5})
	}
}

func TestLCMUpscaleGrowsTheLatent(t *testing.T) {
	t.Parallel()
	p, sigmas := tableRun(t, &probe{})
	out, _, err := sampling.SampleWith(t.Context(), p, sampling.LCMUpscale(1.5, 2, "bislerp"), sigmas)
	if err != nil || !slices.Equal(out.Shape, []int{2, 4, 24, 24}) {
		t.Fatalf("got %v, %v; want 24 by 24", out, err)
	}
	p, sigmas = tableRun(t, &probe{})
	p.NoiseMask = tensor.New(1, 16, 16)
	if _, _, err := sampling.SampleWith(t.Context(), p, sampling.LCMUpscale(1.5, 2, "bislerp"), sigmas); err == nil {
		t.Error("a mask was applied to a latent of another size")
	}
	p.NoiseMask = nil
	if _, _, err := sampling.SampleWith(t.Context(), p, sampling.LCMUpscale(0.01, 2, "bislerp"), sigmas); err == nil {
		t.Error("a latent without cells was accepted")
	}
}

func TestWrongOptionsAreErrors(t *testing.T) {
	t.Parallel()
	bad := sampling.DefaultAdaptive
	bad.Order = 4
	for name, make := range map[string]func() (*sampling.Sampler, error){
		"lms":          func() (*sampling.Sampler, error) { return sampling.LMS(0) },
		"dpmpp_sde":    func() (*sampling.Sampler, error) { return sampling.DPMPPSDE(1, 1, 0) },
		"dpm_adaptive": func() (*sampling.Sampler, error) { return sampling.DPMAdaptive(bad) },
		"er_sde form":  func() (*sampling.Sampler, error) { return sampling.ERSDE("x", 3, 1, 1) },
		"er_sde":       func() (*sampling.Sampler, error) { return sampling.ERSDE(sampling.ERSDEODE, 4, 1, 1) },
		"sa_solver":    func() (*sampling.Sampler, error) { return sampling.SASolver(sampling.SASettings{Predictor: 7}) },
		"seeds_2":      func() (*sampling.Sampler, error) { return sampling.SEEDS2(true, 1, 1, 0) },
		"no sampler":   func() (*sampling.Sampler, error) { return sampling.NewSampler("x") },
	} {
		if s, err := make(); err == nil {
			t.Errorf("%s gives %v", name, s)
		}
	}
}
