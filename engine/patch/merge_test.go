package patch_test

import (
	"maps"
	"slices"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/patch"
	"comfygo/engine/weights"
)

// product computes up·mid·down [out,in·taps] in float64.
func product(t *testing.T, up, down weights.Entry, mid *weights.Entry) []float64 {
	t.Helper()
	u, d := values(t, up), values(t, down)
	out, rank := up.Shape[0], down.Shape[0]
	in, taps := len(d)/rank, 1
	m := make([]float32, rank*rank) // identity
	for i := range rank {
		m[i*rank+i] = 1
	}
	if mid != nil {
		m, taps = values(t, *mid), mid.Shape[2]*mid.Shape[3]
	}
	y := make([]float64, out*in*taps)
	for o := range out {
		for a := range rank {
			for b := range rank {
				for i := range in {
					for k := range taps {
						y[(o*in+i)*taps+k] += float64(u[o*rank+a]) * float64(m[(a*rank+b)*taps+k]) * float64(d[b*in+i])
					}
				}
			}
		}
	}
	return y
}

// TestChangedWeights compares the values of changed weights with plain arithmetic.
func TestChangedWeights(t *testing.T) {
	t.Parallel()
	const out, in, rank = 6, 4, 2
	base := random(t, "l.weight", dtype.F16, out, in, 3, 3)
	low := lowRank(t, "a", out, rank, in, 3, 3) // alpha is half the rank
	tuck := tucker(t, "a", out, rank, in, 3)
	half := tucker(t, "a", out/2, rank, in, 3)
	diff := random(t, "a.diff", dtype.F16, out, in, 3, 3)
	set := random(t, "a.set_weight", dtype.F16, out, in, 3, 3)
	plain := func(factor float64, delta []float64) func(i int, w float64) float64 {
		return func(i int, w float64) float64 { return w + factor*delta[i] }
	}
	deltaOf := func(es []weights.Entry, mid bool) []float64 {
		if mid {
			return product(t, es[0], es[1], &es[3])
		}
		return product(t, es[0], es[1], nil)
	}
	diffs := func(e weights.Entry) []float64 {
		var d []float64
		for _, v := range values(t, e) {
			d = append(d, float64(v))
		}
		return d
	}
	whole := patch.Target{Key: "m.l.weight", Baked: true}
	rowSize := in * 9
	for name, c := range map[string]struct {
		file   []weights.Entry
		target patch.Target
		want   func(i int, w float64) float64
	}{
		"low rank": {low, whole, plain(0.75*0.5, deltaOf(low, false))},
		"tucker":   {tuck, whole, plain(0.75*0.5, deltaOf(tuck, true))},
		"diff":     {[]weights.Entry{diff}, whole, plain(0.75, diffs(diff))},
		"set":      {[]weights.Entry{set}, whole, func(i int, _ float64) float64 { return diffs(set)[i] }},
		"rows": {half, patch.Target{Key: "m.l.weight", From: 2, Rows: 3, Baked: true}, func(i int, w float64) float64 {
			if i < 2*rowSize || i >= 5*rowSize {
				return w
			}
			return w + 0.75*0.5*deltaOf(half, true)[i-2*rowSize]
		}},
		"swapped": {low, patch.Target{Key: "m.l.weight", SwapHalves: true, Baked: true}, func(i int, w float64) float64 {
			return w + 0.75*0.5*deltaOf(low, false)[(i+out/2*rowSize)%(out*rowSize)]
		}},
		"low rank and diff: the later form counts": {append(slices.Clone(low), diff), whole, plain(0.75, diffs(diff))},
		"diff and set": {[]weights.Entry{diff, set}, whole, func(i int, _ float64) float64 { return diffs(set)[i] }},
	} {
		model := source(t, "model", base)
		var keys patch.KeyMap
		keys.Add("a", c.target)
		f, err := patch.Read(source(t, "a.safetensors", c.file...), &keys, shapes("m.", model))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		src, err := patch.Stack{}.With(f, 0.75).Part("m.").Source(model)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		e, _ := src.Lookup("l.weight")
		want := make([]float32, base.Count())
		for i, w := range values(t, base) {
			want[i] = float32(c.want(i, float64(w)))
		}
		near(t, name, values(t, e), want)
		// A piece that starts and ends inside rows.
		piece := make([]float32, 71)
		if err := weights.Range(piece, e, 50); err != nil || !slices.Equal(piece, values(t, e)[50:121]) {
			t.Errorf("%s: a part of the weight differs from the whole, or %v", name, err)
		}
	}
}

func TestBiasAndNormChanges(t *testing.T) {
	t.Parallel()
	model := source(t, "model", random(t, "l.weight", dtype.F32, 4), random(t, "l.bias", dtype.F32, 4))
	var keys patch.KeyMap
	keys.AddKey("a", "m.l.weight")
	w, b := random(t, "a.w_norm", dtype.F32, 4), random(t, "a.b_norm", dtype.F32, 4)
	f, err := patch.Read(source(t, "a", w, b), &keys, shapes("m.", model))
	if err != nil {
		t.Fatal(err)
	}
	src, err := patch.Stack{}.With(f, 2).Part("m.").Source(model)
	if err != nil {
		t.Fatal(err)
	}
	for name, delta := range map[string]weights.Entry{"l.weight": w, "l.bias": b} {
		before, _ := model.Lookup(name)
		after, _ := src.Lookup(name)
		want := values(t, before)
		for i, d := range values(t, delta) {
			want[i] += 2 * d
		}
		near(t, name, values(t, after), want)
	}
}

// TestStackOrder: a replacement discards the changes of the files before it, so none of these may stay a branch; those after
// it may.
func TestStackOrder(t *testing.T) {
	t.Parallel()
	model := source(t, "model", random(t, "l.weight", dtype.F32, 6, 4), random(t, "n.weight", dtype.F32, 6, 4))
	var keys patch.KeyMap
	keys.AddKey("a", "m.l.weight")
	keys.AddKey("b", "m.n.weight")
	read := func(es ...weights.Entry) *patch.File {
		f, err := patch.Read(source(t, "file", es...), &keys, shapes("m.", model))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	low := read(append(lowRank(t, "a", 6, 2, 4), lowRank(t, "b", 6, 2, 4)...)...)
	set := read(random(t, "a.set_weight", dtype.F32, 6, 4))
	part := patch.Stack{}.With(low, 1).With(set, 0.5).With(low, 2).Part("m.")
	src, err := part.Source(model)
	if err != nil {
		t.Fatal(err)
	}
	a := part.Adapters()
	if got := a.Strengths(); !slices.Equal(got, []float32{2, 1}) {
		t.Errorf("strengths %v", got)
	}
	if b := a.Branches("l.weight"); len(b) != 1 || b[0].Strength != 0 {
		t.Errorf("%d branches beside a weight that is replaced, want that of the last file", len(b))
	}
	if n := len(a.Branches("n.weight")); n != 2 {
		t.Errorf("%d branches, want 2", n)
	}
	want := values(t, random(t, "a.set_weight", dtype.F32, 6, 4))
	e, _ := src.Lookup("l.weight")
	near(t, "behind the replacement", values(t, e), want)
	if (patch.Stack{}).Part("m.") != nil || (patch.Stack{}).With(low, 1).Part("other.") != nil {
		t.Error("an empty stack, or one of another part, changes something")
	}
}

// TestStructure: stacks of one structure share a graph, and each has its own digest, which distinguishes their factors.
func TestStructure(t *testing.T) {
	t.Parallel()
	model := source(t, "model", random(t, "l.weight", dtype.F32, 6, 4), random(t, "c.weight", dtype.F32, 6, 4, 3, 3))
	var keys patch.KeyMap
	keys.AddKey("a", "m.l.weight")
	keys.AddKey("c", "m.c.weight")
	read := func(path string, es ...weights.Entry) *patch.File {
		f, err := patch.Read(source(t, path, es...), &keys, shapes("m.", model))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	low, other, wide := read("low", lowRank(t, "a", 6, 2, 4)...), read("low", lowRank(t, "a", 6, 2, 4)...), read("wide", lowRank(t, "a", 6, 3, 4)...)
	float := read("f32", random(t, "a.lora_up.weight", dtype.F32, 6, 2), random(t, "a.lora_down.weight", dtype.F32, 2, 4))
	more, mid := read("more", append(lowRank(t, "a", 6, 2, 4), lowRank(t, "c", 6, 2, 4, 3, 3)...)...), read("mid", tucker(t, "c", 6, 2, 4, 3)...)
	diff := read("diff", random(t, "a.diff", dtype.F32, 6, 4))
	var none patch.Stack
	if none.Part("m.").Structure() != "" || none.Part("m.").Adapters().Digest() != "" {
		t.Error("nothing has a structure or a digest")
	}
	all, digests := map[string]int{}, map[string]int{}
	for i, group := range [][]patch.Stack{
		{none.With(low, 1), none.With(low, -0.5), none.With(other, 1), none.With(wide, 1), none.With(low, 1).With(wide, 1), none.With(low, 1).With(low, 1)},
		{none.With(more, 1), none.With(low, 1).With(more, 1)},
		{none.With(float, 1)},
		{none.With(low, 1).With(float, 1), none.With(float, 1).With(other, 1)},
		{none.With(mid, 1)},
		{none.With(mid, 1).With(mid, 1)},
		{none.With(mid, 1).With(more, 1)},
		{none.With(diff, 1), none.With(diff, 0.5), none.With(diff, 1).With(diff, 1)},
		{none.With(low, 1).With(diff, 1)},
	} {
		first := group[0].Part("m.").Structure()
		if was, twice := all[first]; twice {
			t.Errorf("groups %d and %d have one structure", was, i)
		}
		all[first] = i
		for k, s := range group {
			part := s.Part("m.")
			if part.Structure() != first {
				t.Errorf("group %d: stack %d has another structure than the first", i, k)
			}
			if i == 0 {
				digests[part.Adapters().Digest()]++
			}
		}
	}
	if d := none.With(diff, 1).Part("m."); d.Values() == none.With(diff, 0.5).Part("m.").Values() || d.Values() == d.Structure() {
		t.Error("another strength of a change that is no branch gives the same weights")
	}
	if len(digests) != 5 { // of six stacks, two of which differ in the strength alone
		t.Errorf("digests of the first group: %v", digests)
	}
}

func TestKeyMapOrder(t *testing.T) {
	t.Parallel()
	var m, n patch.KeyMap
	m.AddKey("x", "1")
	m.AddKey("y", "2")
	n.AddKey("z", "3")
	n.AddKey("x", "4")
	m.Join(&n)
	m.Join(nil)
	if got := slices.Collect(maps.Keys(maps.Collect(m.All()))); len(got) != 3 || m.Len() != 3 {
		t.Errorf("names %v", got)
	}
	if target, _ := m.Lookup("x"); target.Key != "4" {
		t.Errorf("x is %v", target)
	}
}
