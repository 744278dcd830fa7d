package weights_test

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/weights"
)

// stored returns a stored entry whose elements are base, base+1, …
func stored(t *testing.T, name string, base int, shape ...int) weights.Entry {
	t.Helper()
	n := 1
	for _, d := range shape {
		n *= d
	}
	raw := make([]byte, 4*n)
	for i := range n {
		binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(float32(base+i)))
	}
	src, err := weights.Memory(name+".file", weights.Entry{Name: name, DType: dtype.F32, Shape: shape, Data: raw})
	if err != nil {
		t.Fatal(err)
	}
	e, _ := src.Lookup(name)
	return e
}

func must(t *testing.T) func(weights.Entry, error) weights.Entry {
	t.Helper()
	return func(e weights.Entry, err error) weights.Entry {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
}

func TestDerived(t *testing.T) {
	t.Parallel()
	if !(weights.Entry{Name: "a", DType: dtype.F32, Shape: []int{2}}).Described() {
		t.Error("an entry without elements does not count as described")
	}
	ok := must(t)
	a, b := stored(t, "a", 0, 3, 2), stored(t, "b", 100, 2, 2)
	for name, c := range map[string]struct {
		e     weights.Entry
		shape []int
		want  []float32
	}{
		"rows":              {ok(a.Rows(1, 2)), []int{2, 2}, []float32{2, 3, 4, 5}},
		"transpose":         {ok(a.Transpose()), []int{2, 3}, []float32{0, 2, 4, 1, 3, 5}},
		"twice transposed":  {ok(ok(a.Transpose()).Transpose()), []int{3, 2}, []float32{0, 1, 2, 3, 4, 5}},
		"columns":           {ok(a.Columns(1, 1)), []int{3, 1}, []float32{1, 3, 5}},
		"rows of computed":  {ok(ok(a.Transpose()).Rows(1, 1)), []int{1, 3}, []float32{1, 3, 5}},
		"reshape":           {ok(a.Reshape(2, 3)), []int{2, 3}, []float32{0, 1, 2, 3, 4, 5}},
		"place":             {ok(b.Place(3, 4, 1, 1)), []int{3, 4}, []float32{0, 0, 0, 0, 0, 100, 101, 0, 0, 102, 103, 0}},
		"place in its size": {ok(b.Place(2, 2, 0, 0)), []int{2, 2}, []float32{100, 101, 102, 103}},
		"concat rows":       {ok(weights.Concat(0, a, b)), []int{5, 2}, []float32{0, 1, 2, 3, 4, 5, 100, 101, 102, 103}},
		"concat columns":    {ok(weights.Concat(1, ok(a.Rows(0, 2)), b)), []int{2, 4}, []float32{0, 1, 100, 101, 2, 3, 102, 103}},
	} {
		if c.e.Described() {
			t.Errorf("%s: it has elements and counts as only described", name)
		}
		if !slices.Equal(c.e.Shape, c.shape) {
			t.Errorf("%s: shape %v, want %v", name, c.e.Shape, c.shape)
			continue
		}
		// Every range, as tasks of a large weight read it piece by piece.
		for from := range c.want {
			for to := from; to <= len(c.want); to++ {
				got := make([]float32, to-from)
				for i := range got {
					got[i] = -1
				}
				if err := weights.Range(got, c.e, from); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if !slices.Equal(got, c.want[from:to]) {
					t.Fatalf("%s: elements %d to %d are %v, want %v", name, from, to, got, c.want[from:to])
				}
			}
		}
		if all, err := weights.Float32s(c.e); err != nil || !slices.Equal(all, c.want) {
			t.Errorf("%s: %v, %v", name, all, err)
		}
		if err := weights.Scan(c.e); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDerivedRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	a, v := stored(t, "a", 0, 3, 2), stored(t, "v", 0, 3)
	scalar := stored(t, "s", 0)
	for name, f := range map[string]func() (weights.Entry, error){
		"rows beyond the end":    func() (weights.Entry, error) { return a.Rows(2, 2) },
		"columns beyond the end": func() (weights.Entry, error) { return a.Columns(1, 2) },
		"no rows":                func() (weights.Entry, error) { return a.Rows(0, 0) },
		"rows before the start":  func() (weights.Entry, error) { return a.Rows(-1, 2) },
		"rows of a scalar":       func() (weights.Entry, error) { return scalar.Rows(0, 1) },
		"transposing a vector":   func() (weights.Entry, error) { return v.Transpose() },
		"reshape":                func() (weights.Entry, error) { return a.Reshape(4, 2) },
		"placing over the edge":  func() (weights.Entry, error) { return a.Place(3, 2, 1, 0) },
		"placing before":         func() (weights.Entry, error) { return a.Place(9, 9, -1, 0) },
		"joining other columns":  func() (weights.Entry, error) { return weights.Concat(0, a, stored(t, "b", 0, 2, 3)) },
		"joining vectors":        func() (weights.Entry, error) { return weights.Concat(0, v, v) },
		"joining nothing":        func() (weights.Entry, error) { return weights.Concat(0) },
		"joining along no axis":  func() (weights.Entry, error) { return weights.Concat(2, a, a) },
		"placing a scalar":       func() (weights.Entry, error) { return scalar.Place(1, 1, 0, 0) },
		"joining negative axis":  func() (weights.Entry, error) { return weights.Concat(-1, a, a) },
		"rows of negative count": func() (weights.Entry, error) { return a.Rows(0, -1) },
	} {
		if e, err := f(); err == nil {
			t.Errorf("%s: no error but %v", name, e)
		}
	}
}

// TestKeys: equal keys must mean equal elements, across files, names, shapes and computations.
func TestKeys(t *testing.T) {
	t.Parallel()
	ok := must(t)
	a, again := stored(t, "a", 0, 4, 4), stored(t, "a", 5, 4, 4) // two contents of one name and path
	two := func(op string, parts ...weights.Entry) weights.Entry {
		return weights.Compute("x", []int{4, 4}, weights.Computation{Op: op, Parts: parts, Read: func([]float32, int) error { return nil }})
	}
	seen := map[string]string{}
	for name, e := range map[string]weights.Entry{
		"a": a, "other content": again, "rows": ok(a.Rows(0, 2)), "later rows": ok(a.Rows(2, 2)), "reshaped": ok(a.Reshape(16)),
		"transposed": ok(a.Transpose()), "placed": ok(a.Place(8, 8, 0, 0)), "placed elsewhere": ok(a.Place(8, 8, 0, 1)),
		"computed": two("f", a, again), "other order": two("f", again, a), "other computation": two("g", a, again),
		"one part": two("f", a), "joined": ok(weights.Concat(0, a, again)), "joined columns": ok(weights.Concat(1, a, again)),
		"rows of transposed": ok(ok(a.Transpose()).Rows(0, 2)), "reshaped transposed": ok(ok(a.Transpose()).Reshape(2, 8)),
		"nested": two("f", two("f", a, again), again),
	} {
		if other, twice := seen[e.Key()]; twice {
			t.Errorf("%s and %s have the key %s", name, other, e.Key())
		}
		seen[e.Key()] = name
	}
	if x, y := ok(a.Transpose()).Key(), ok(a.Transpose()).Key(); x != y {
		t.Errorf("one entry has the keys %s and %s", x, y)
	}
}

func TestPartsOfNestedComputation(t *testing.T) {
	t.Parallel()
	ok := must(t)
	a, b := stored(t, "a", 0, 2, 2), stored(t, "b", 0, 2, 2)
	e := ok(weights.Concat(0, ok(a.Transpose()), ok(b.Place(3, 2, 0, 0))))
	var names []string
	for _, p := range e.Parts() {
		names = append(names, p.Name)
		if p.Computed() {
			t.Errorf("part %v is computed", p)
		}
	}
	if got := strings.Join(names, " "); got != "a b" {
		t.Errorf("parts are %q", got)
	}
	e.Release()
}
