package sampling

import "fmt"

// The functions of this file return samplers with other settings than those of the list: eta is the share of fresh noise in
// a step, strength multiplies that noise. Upstream: the Sampler… nodes.

// EulerAncestral returns euler_ancestral.
func EulerAncestral(eta, strength float64) *Sampler {
	return &Sampler{name: "euler_ancestral", run: sampleEulerAncestral(float32(eta), float32(strength))}
}

// EulerAncestralCFGPP returns euler_ancestral_cfg_pp.
func EulerAncestralCFGPP(eta, strength float64) *Sampler {
	return &Sampler{name: "euler_ancestral_cfg_pp", run: sampleEulerCFGPP(float32(eta), float32(strength)), uncond: true}
}

// EulerPP returns the alternative form of euler_cfg_pp.
func EulerPP() *Sampler { return &Sampler{name: "euler_pp", run: sampleEulerPP, uncond: true} }

// LMS returns lms of an order from 1 on.
func LMS(order int) (*Sampler, error) {
	if order < 1 || order > 100 {
		return nil, fmt.Errorf("making the sampler lms: its order is %d", order)
	}
	return &Sampler{name: "lms", run: sampleLMS(order)}, nil
}

// DPMPP2SAncestral returns dpmpp_2s_ancestral.
func DPMPP2SAncestral(eta, strength float64) *Sampler {
	return &Sampler{name: "dpmpp_2s_ancestral", run: sampleDPMPP2SAncestral(float32(eta), float32(strength))}
}

// DPMPPSDE returns dpmpp_sde with its middle prediction at share ratio of each step, which must be above 0.
func DPMPPSDE(eta, strength, ratio float64) (*Sampler, error) {
	if !(ratio > 0) {
		return nil, fmt.Errorf("making the sampler dpmpp_sde: r must be above 0, got %g", ratio)
	}
	return &Sampler{name: "dpmpp_sde", run: sampleDPMPPSDE(sdeSettings{float32(eta), float32(strength), ratio})}, nil
}

// DPMPP2MSDE returns dpmpp_2m_sde with the midpoint or the Heun form of its correction.
func DPMPP2MSDE(heun bool, eta, strength float64) *Sampler {
	return &Sampler{name: "dpmpp_2m_sde", run: sampleDPMPP2MSDE(heun, sdeSettings{eta: float32(eta), strength: float32(strength)})}
}

// DPMPP3MSDE returns dpmpp_3m_sde.
func DPMPP3MSDE(eta, strength float64) *Sampler {
	return &Sampler{name: "dpmpp_3m_sde", run: sampleDPMPP3MSDE(sdeSettings{eta: float32(eta), strength: float32(strength)})}
}

// DPMAdaptive returns dpm_adaptive.
func DPMAdaptive(o Adaptive) (*Sampler, error) {
	if o.Order != 2 && o.Order != 3 {
		return nil, fmt.Errorf("making the sampler dpm_adaptive: its order must be 2 or 3, got %d", o.Order)
	}
	return &Sampler{name: "dpm_adaptive", run: sampleDPMAdaptive(o)}, nil
}

// The forms of ERSDE.
const (
	ERSDEExtended = "ER-SDE"
	ERSDEReverse  = "Reverse-time SDE"
	ERSDEODE      = "ODE"
)

// ERSDE returns er_sde in one of its forms with up to three stages.
func ERSDE(form string, stages int, eta, strength float64) (*Sampler, error) {
	o := erSettings{strength: float32(strength), stages: stages}
	if stages < 1 || stages > 3 {
		return nil, fmt.Errorf("making the sampler er_sde: it has 1 to 3 stages, not %d", stages)
	}
	switch {
	case form == ERSDEODE, eta == 0:
		o.scale, o.strength = odeScale, 0
	case form == ERSDEExtended:
		o.scale = erScale(float32(eta))
	case form == ERSDEReverse:
		o.scale = reverseScale(float32(eta))
	default:
		return nil, fmt.Errorf("making the sampler er_sde: unknown form %q", form)
	}
	return &Sampler{name: "er_sde", run: sampleERSDE(o)}, nil
}

// SASettings are the options of SASolver.
type SASettings struct {
	// Eta is the share of noise at levels from Start down to End.
	Eta, Start, End, Strength float64
	// Predictor and Corrector are orders up to 6; a corrector of order 0 is none.
	Predictor, Corrector int
	// PECE evaluates the corrected state again, Simple uses the paper's shorter form of order 2.
	PECE, Simple bool
}

// SASolver returns sa_solver.
func SASolver(o SASettings) (*Sampler, error) {
	if o.Predictor < 1 || o.Predictor > 6 || o.Corrector < 0 || o.Corrector > 6 {
		return nil, fmt.Errorf("making the sampler sa_solver: orders %d and %d are not within 1 to 6 and 0 to 6", o.Predictor, o.Corrector)
	}
	return &Sampler{name: "sa_solver", run: sampleSASolver(o.PECE, &saSettings{
		predictor: o.Predictor, corrector: o.Corrector, pece: o.PECE, simple: o.Simple,
		eta: float32(o.Eta), strength: float32(o.Strength), start: o.Start, end: o.End,
	})}, nil
}

// SEEDS2 returns seeds_2 with its middle stage at share ratio of each step, which must be above 0; secondOrder takes the weights
// of the exponential Heun method.
func SEEDS2(secondOrder bool, eta, strength, ratio float64) (*Sampler, error) {
	if !(ratio > 0) {
		return nil, fmt.Errorf("making the sampler seeds_2: r must be above 0, got %g", ratio)
	}
	return &Sampler{name: "seeds_2", run: sampleSeeds2(float32(eta), float32(strength), float32(ratio), secondOrder)}, nil
}

// LCMSampler returns lcm with noise multiplied by first in the first step up to last in the last one, after being cut at clip times
// its standard deviation unless clip is 0.
func LCMSampler(first, last, clip float64) *Sampler {
	return &Sampler{name: "lcm", run: sampleLCM(first, last, clip)}
}

// LCMUpscale returns lcm that enlarges the latent to ratio times its size during its first steps; a negative number means
// half of all.
func LCMUpscale(ratio float64, steps int, method string) *Sampler {
	return &Sampler{name: "lcm_upscale", run: sampleLCMUpscale(ratio, steps, method)}
}

// VOID is the sampler of VOID, DDIM in terms of the share of the video in the network's input: it starts from the noise without the scale
// that other samplers apply at the first level. Upstream: nodes_void.py VOID_DDIM.
func VOID() *Sampler { return &Sampler{name: "void_ddim", run: sampleVOID, raw: true} }
