package patch_test

import (
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/patch"
	"comfygo/engine/weights"
)

// TestOutputAdaptersComeLast: what a bypass loader adds to a layer's output is not multiplied by a later factor on the weight, as in
// upstream, where it is no change of the weight; differences of weights in its file are changes of the weight.
func TestOutputAdaptersComeLast(t *testing.T) {
	t.Parallel()
	const out, in, factor, strength = 6, 4, 0.5, 0.75
	base := random(t, "l.weight", dtype.F32, out, in)
	model := source(t, "model", base)
	f32 := func(name string, shape ...int) weights.Entry { return random(t, "a."+name, dtype.F32, shape...) }
	for name, c := range map[string]struct {
		file   []weights.Entry
		output bool
		scaled bool
	}{
		"LoRA":        {lowRank(t, "a", out, 2, in), false, true},
		"bypass LoRA": {lowRank(t, "a", out, 2, in), true, false},
		"bypass LoHa": {[]weights.Entry{f32("hada_w1_a", out, 2), f32("hada_w1_b", 2, in), f32("hada_w2_a", out, 2), f32("hada_w2_b", 2, in)}, true, false},
		"bypass diff": {[]weights.Entry{f32("diff", out, in)}, true, true},
	} {
		f := read(t, model, c.file...)
		alone := values(t, lookup(t, whole(t, patch.Stack{}.With(f, strength), model)))
		if c.output {
			f = f.OfOutput(shapes("m.", model))
		}
		half := patch.NewFile("half", []patch.Patch{{
			Target: patch.Target{Key: "m.l.weight", Baked: true}, Adapter: &patch.Blend{Other: base, Keep: factor},
		}})
		stack := patch.Stack{}.With(f, strength).With(half, 1)
		var want []float32
		for i, w := range values(t, base) {
			if c.scaled {
				want = append(want, factor*alone[i])
			} else {
				want = append(want, factor*w+alone[i]-w)
			}
		}
		near(t, name, values(t, lookup(t, whole(t, stack, model))), want)
		branches := stack.Part("m.").Adapters().Branches("l.weight")
		if got, want := len(branches) > 0, name == "bypass LoRA"; got != want {
			t.Errorf("%s: branches %t, want %t", name, got, want)
		}
	}
}

func whole(t *testing.T, s patch.Stack, model weights.Source) weights.Source {
	t.Helper()
	src, err := s.Whole("m.", model)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func lookup(t *testing.T, src weights.Source) weights.Entry {
	t.Helper()
	e, ok := src.Lookup("l.weight")
	if !ok {
		t.Fatal("the weight is missing")
	}
	return e
}
