package sampling

import (
	"slices"
	"testing"
)

// TestHookStrengths compares the strengths of hooks over a run with those of ComfyUI's comfy.hooks.HookKeyframeGroup over
// the levels of its scheduler "normal" with 8 steps.
func TestHookStrengths(t *testing.T) {
	t.Parallel()
	m, err := NewModelSampling(EPS, Settings{})
	if err != nil {
		t.Fatal(err)
	}
	levels := []float32{14.614640235900879, 6.677999496459961, 3.5220563411712646, 2.0606415271759033, 1.276832103729248, 0.7912598252296448, 0.4396657347679138, 0.029167160391807556, 0}
	two := []Keyframe{{1, 0, 1}, {0.2, 0.5, 1}}
	four := []Keyframe{{0.5, 0.3, 1}, {0.9, 0.6, 2}, {0.1, 0.65, 0}, {0.7, 0.9, 1}}
	early := []Keyframe{{1, 0, 3}, {2, 0.05, 1}, {3, 0.1, 0}}
	for _, c := range []struct {
		name   string
		frames []Keyframe
		first  int // of the levels
		want   []float64
	}{
		{"two", two, 0, []float64{1, 1, 1, 1, 0.2, 0.2, 0.2, 0.2}},
		{"two, from a later level on", two, 3, []float64{1, 0.2, 0.2, 0.2, 0.2}},
		{"four", four, 0, []float64{0.5, 0.5, 0.5, 0.5, 0.5, 0.9, 0.9, 0.7}},
		{"four, from a later level on", four, 3, []float64{0.5, 0.5, 0.9, 0.9, 0.7}},
		{"early", early, 0, []float64{1, 2, 3, 3, 3, 3, 3, 3}},
		{"early, from a later level on", early, 3, []float64{3, 3, 3, 3, 3}},
		{"none", nil, 6, []float64{1, 1}},
	} {
		states, hooks := hookStates{}, WeightHooks{{ID: "a", Value: "v", Keyframes: c.frames}}
		var got []float64
		run := levels[c.first:]
		for _, sigma := range run[:len(run)-1] {
			states.apply(m, run, hooks, sigma)
			again := states.apply(m, run, hooks, sigma) // a second entry, or a second call at the level, changes nothing
			got = append(got, again[0].Strength)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: strengths %v, want %v", c.name, got, c.want)
		}
	}
	if !(WeightHooks{{ID: "a"}}).same(WeightHooks{{ID: "a"}}) || (WeightHooks{{ID: "a"}}).same(nil) {
		t.Error("hooks are told apart by something other than their IDs")
	}
}
