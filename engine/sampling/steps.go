package sampling

import (
	"fmt"
	"slices"
)

// dropsPenultimate lists the samplers that run one level more and leave out the last but one: their last step would
// otherwise reach below the level the model was trained on.
var dropsPenultimate = []string{"dpm_2", "dpm_2_ancestral", "uni_pc", "uni_pc_bh2"}

// Sigmas returns the levels that a sampler runs through in a number of steps. A denoise below 1 takes the lower part of
// a longer schedule, 0 gives none. Upstream: KSampler.set_steps.
func Sigmas(m *ModelSampling, sampler, schedule string, steps int, denoise float64) ([]float32, error) {
	if denoise > 0.9999 {
		return fullSigmas(m, sampler, schedule, steps)
	}
	if denoise <= 0 {
		return nil, nil
	}
	total := float64(steps) / denoise
	if total > maxSteps {
		return nil, fmt.Errorf("making a schedule: %d steps at a denoise of %g need %.0f levels, more than %d", steps, denoise, total, maxSteps)
	}
	sigmas, err := fullSigmas(m, sampler, schedule, int(total))
	if err != nil {
		return nil, err
	}
	return sigmas[max(len(sigmas)-(steps+1), 0):], nil
}

func fullSigmas(m *ModelSampling, sampler, schedule string, steps int) ([]float32, error) {
	if !slices.Contains(dropsPenultimate, sampler) {
		return Schedule(m, schedule, steps)
	}
	sigmas, err := Schedule(m, schedule, steps+1)
	if err != nil {
		return nil, err
	}
	if len(sigmas) < 2 {
		return sigmas, nil
	}
	return slices.Delete(sigmas, len(sigmas)-2, len(sigmas)-1), nil
}

// cutSteps returns the part of a schedule between two steps; either may be nil. Ending early with fullDenoise goes
// straight to zero from the last step. An empty result means that nothing is left to do. Upstream: KSampler.sample.
func cutSteps(sigmas []float32, start, last *int, fullDenoise bool) []float32 {
	sigmas = slices.Clone(sigmas)
	if last != nil && *last < len(sigmas)-1 {
		sigmas = sigmas[:max(*last, 0)+1]
		if fullDenoise {
			sigmas[len(sigmas)-1] = 0
		}
	}
	if start != nil {
		if *start >= len(sigmas)-1 {
			return nil
		}
		sigmas = sigmas[max(*start, 0):]
	}
	return sigmas
}
