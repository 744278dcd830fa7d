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

// TestLentValues: entries of other sides get the values of the positive side's one after the other, entries with an area and
// sides with values of their own get none.
func TestLentValues(t *testing.T) {
	t.Parallel()
	with := func(v any) Cond { return Cond{Values: map[string]any{KeyGLIGEN: v}} }
	positive := Side{Conds: []Cond{with("a"), {}, with("b"), {Area: &Area{}, Values: map[string]any{KeyGLIGEN: "c"}}}}
	for name, c := range map[string]struct {
		negative []Cond
		want     []any
	}{
		"one":      {[]Cond{{}}, []any{"b"}},
		"two":      {[]Cond{{}, {}, {}}, []any{"a", "b", nil}},
		"an area":  {[]Cond{{Area: &Area{}}, {}}, []any{nil, "b"}},
		"its own":  {[]Cond{{}, with("x")}, []any{nil, "x"}},
		"no entry": {nil, nil},
	} {
		sides := lendValues([]Side{positive, {Negative: true, Conds: c.negative}}, KeyGLIGEN)
		for i, e := range sides[1].Conds {
			if e.Values[KeyGLIGEN] != c.want[i] {
				t.Errorf("%s: entry %d has %v, wanted %v", name, i, e.Values[KeyGLIGEN], c.want[i])
			}
			if len(c.negative[i].Values) > 1 || c.want[i] != "x" && c.negative[i].Values != nil {
				t.Errorf("%s: the conditioning itself was changed", name)
			}
		}
		if len(sides[0].Conds) != 4 || sides[0].Conds[0].Values[KeyGLIGEN] != "a" {
			t.Errorf("%s: the positive side was changed", name)
		}
	}
}
