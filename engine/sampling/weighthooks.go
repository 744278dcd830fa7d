package sampling

import "slices"

// WeightHook changes the weights of a network while the entries that have it are sampled. Upstream: comfy/hooks.py WeightHook.
type WeightHook struct {
	// ID identifies the hook and its keyframes: copies of one hook share it.
	ID string
	// Value is the network's identifier of the change.
	Value any
	// Keyframes change the strength over the run; without any it is 1.
	Keyframes []Keyframe
}

// Keyframe is a strength of a hook from a share of the way from noise to image on.
type Keyframe struct {
	Strength, Start float64
	// Steps is the minimum number of levels that use the keyframe, unless it starts before the levels of the run.
	Steps int
}

// WeightHooks are the hooks of an entry, in order. Entries run in one batch only with others that have the same ones.
type WeightHooks []WeightHook

// same reports whether two entries have the same hooks.
func (w WeightHooks) same(o WeightHooks) bool {
	return slices.EqualFunc(w, o, func(a, b WeightHook) bool { return a.ID == b.ID })
}

// AppliedHook is a hook with its strength at one level.
type AppliedHook struct {
	Value    any
	Strength float64
}

// hookStates are where the hooks of a run are among their keyframes.
type hookStates map[string]*hookState

// hookState is the place of one hook: upstream's HookKeyframeGroup.
type hookState struct {
	index, used int
	sigma       float32
	started     bool
}

// apply returns hooks with their strengths at a level.
func (s hookStates) apply(m *ModelSampling, sigmas []float32, hooks WeightHooks, sigma float32) []AppliedHook {
	out := make([]AppliedHook, len(hooks))
	for i, h := range hooks {
		if out[i] = (AppliedHook{h.Value, 1}); len(h.Keyframes) == 0 {
			continue
		}
		state := s[h.ID]
		if state == nil {
			state = &hookState{}
			s[h.ID] = state
		}
		state.advance(m, slices.Max(sigmas), h.Keyframes, sigma)
		out[i].Strength = h.Keyframes[state.index].Strength
	}
	return out
}

// advance goes to the keyframe of a level. A keyframe ends after its minimum number of levels, and one with such a minimum
// is not skipped.
func (s *hookState) advance(m *ModelSampling, highest float32, frames []Keyframe, sigma float32) {
	if s.started && s.sigma == sigma {
		return
	}
	start := func(f Keyframe) float32 { return float32(m.PercentToSigma(f.Start)) }
	least := func(f Keyframe) int {
		if start(f) > highest {
			return 0
		}
		return f.Steps
	}
	if s.used >= least(frames[s.index]) {
		for i := s.index + 1; i < len(frames) && start(frames[i]) >= sigma; i++ {
			s.index, s.used = i, 0
			if least(frames[i]) > 0 {
				break
			}
		}
	}
	s.used++
	s.sigma, s.started = sigma, true
}
