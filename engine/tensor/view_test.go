package tensor_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"comfygo/engine/tensor"
)

// TestViewsOfViews compares random chains of views with the same steps on an array that is indexed value by value.
func TestViewsOfViews(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test
	for range 300 {
		shape := make([]int, 1+r.IntN(4))
		for i := range shape {
			shape[i] = 1 + r.IntN(20)
		}
		base := tensor.New(shape...)
		for i := range base.Data {
			base.Data[i] = float32(i)
		}
		v := tensor.ViewOf(base)
		want := indexed{shape: shape, at: func(place []int) float32 { return base.Data[offset(shape, place)] }}
		steps := ""
		for range r.IntN(5) {
			var err error
			var step string
			v, want, step, err = extend(r, v, want)
			steps += step
			if err != nil {
				t.Fatalf("%v%s: %v", shape, steps, err)
			}
			if r.IntN(4) == 0 {
				v.Dense() // the next step reads the laid-out values
			}
		}
		got := v.Dense()
		if !slices.Equal(got.Shape, want.shape) || !slices.Equal(v.Shape(), want.shape) || v.Len() != len(got.Data) || v.MemoryBytes() != int64(4*len(got.Data)) {
			t.Fatalf("%v%s: shape %v, want %v", shape, steps, got.Shape, want.shape)
		}
		if !slices.Equal(got.Data, want.values()) {
			t.Fatalf("%v%s: other values", shape, steps)
		}
	}
}

// indexed is an array by its definition.
type indexed struct {
	shape []int
	at    func(place []int) float32
}

func offset(shape, place []int) int {
	n := 0
	for i, p := range place {
		n = n*shape[i] + p
	}
	return n
}

func (a indexed) values() []float32 {
	var out []float32
	place := make([]int, len(a.shape))
	for range tensor.Count(a.shape) {
		out = append(out, a.at(place))
		for i := len(place) - 1; i >= 0; i-- {
			if place[i]++; place[i] < a.shape[i] {
				break
			}
			place[i] = 0
		}
	}
	return out
}

// extend takes one random step on both.
func extend(r *rand.Rand, v *tensor.View, a indexed) (*tensor.View, indexed, string, error) {
	shape, axis := slices.Clone(a.shape), r.IntN(len(a.shape))
	through := func(change func(place []int) []int) func([]int) float32 {
		return func(place []int) float32 { return a.at(change(slices.Clone(place))) }
	}
	switch r.IntN(5) {
	case 0:
		from := r.IntN(shape[axis])
		to := from + 1 + r.IntN(shape[axis]-from)
		shape[axis] = to - from
		d, err := v.Narrow(axis, from, to)
		return d, indexed{shape, through(func(p []int) []int { p[axis] += from; return p })}, fmt.Sprintf(" narrow %d %d %d", axis, from, to), err
	case 1:
		n := shape[axis]
		d, err := v.Reverse(axis)
		return d, indexed{shape, through(func(p []int) []int { p[axis] = n - 1 - p[axis]; return p })}, fmt.Sprintf(" reverse %d", axis), err
	case 2:
		other := r.IntN(len(shape))
		shape[axis], shape[other] = shape[other], shape[axis]
		d, err := v.Swap(axis, other)
		return d, indexed{shape, through(func(p []int) []int { p[axis], p[other] = p[other], p[axis]; return p })}, fmt.Sprintf(" swap %d %d", axis, other), err
	case 3:
		if len(shape) > 1 {
			i := r.IntN(shape[axis])
			d, err := v.Select(axis, i)
			return d, indexed{slices.Delete(shape, axis, axis+1), through(func(p []int) []int { return slices.Insert(p, axis, i) })}, fmt.Sprintf(" select %d %d", axis, i), err
		}
	}
	n := 1 + r.IntN(4)
	return v.Repeat(n), indexed{append(shape, n), through(func(p []int) []int { return p[:len(p)-1] })}, fmt.Sprintf(" repeat %d", n), nil
}

func TestViewRefuses(t *testing.T) {
	t.Parallel()
	v := tensor.ViewOf(tensor.New(2, 3))
	for name, err := range map[string]error{
		"an axis beyond the last": second(v.Reverse(2)),
		"a negative axis":         second(v.Swap(0, -1)),
		"a place beyond the last": second(v.Select(1, 3)),
		"nothing":                 second(v.Narrow(0, 1, 1)),
		"a negative place":        second(v.Narrow(0, -1, 1)),
		"too many places":         second(v.Narrow(0, 0, 3)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if tensor.ViewOf(nil).Dense() != nil {
		t.Error("a view of no tensor has values")
	}
	empty, err := tensor.ViewOf(tensor.New(0, 3)).Reverse(1)
	if err != nil || len(empty.Dense().Data) != 0 {
		t.Errorf("reversing an empty tensor: %v", err)
	}
}

// TestViewIsLaidOutOnce wants the same tensor in all goroutines, and none of its own for a whole tensor.
func TestViewIsLaidOutOnce(t *testing.T) {
	t.Parallel()
	base := tensor.New(8, 8, 3)
	if tensor.ViewOf(base).Dense() != base {
		t.Error("a view of a whole tensor is a copy")
	}
	v, err := tensor.ViewOf(base).Swap(0, 1)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	got := make([]*tensor.Tensor, 8)
	for i := range got {
		wg.Go(func() { got[i] = v.Dense() })
	}
	wg.Wait()
	for _, g := range got {
		if g != got[0] || g == nil {
			t.Fatal("the values were laid out more than once")
		}
	}
}

func second(_ *tensor.View, err error) error { return err }

// TestJoin joins views of tensors, of narrowed ones and of what was joined before, and compares with the parts one after another.
func TestJoin(t *testing.T) {
	t.Parallel()
	a, b := tensor.New(2, 3), tensor.New(1, 3)
	for i := range a.Data {
		a.Data[i] = float32(i)
	}
	for i := range b.Data {
		b.Data[i] = float32(10 + i)
	}
	last, err := tensor.ViewOf(a).Narrow(0, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	twice, err := tensor.Join(tensor.ViewOf(b), last)
	if err != nil {
		t.Fatal(err)
	}
	laid, err := tensor.Join(tensor.ViewOf(b), tensor.ViewOf(b))
	if err != nil {
		t.Fatal(err)
	}
	laid.Dense()
	for name, c := range map[string]struct {
		parts []*tensor.View
		want  []float32
	}{
		"one":           {[]*tensor.View{last}, []float32{3, 4, 5}},
		"two":           {[]*tensor.View{tensor.ViewOf(a), tensor.ViewOf(b)}, []float32{0, 1, 2, 3, 4, 5, 10, 11, 12}},
		"the same":      {[]*tensor.View{last, last}, []float32{3, 4, 5, 3, 4, 5}},
		"joined before": {[]*tensor.View{twice, last}, []float32{10, 11, 12, 3, 4, 5, 3, 4, 5}},
		"laid out":      {[]*tensor.View{laid, last}, []float32{10, 11, 12, 10, 11, 12, 3, 4, 5}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j, err := tensor.Join(c.parts...)
			if err != nil {
				t.Fatal(err)
			}
			if want := []int{len(c.want) / 3, 3}; !slices.Equal(j.Shape(), want) || j.MemoryBytes() != int64(4*len(c.want)) {
				t.Errorf("shape %v, %d bytes; want %v", j.Shape(), j.MemoryBytes(), want)
			}
			end, err := j.Narrow(0, j.Shape()[0]-1, j.Shape()[0])
			if err != nil {
				t.Fatal(err)
			}
			if got := end.Dense().Data; !slices.Equal(got, c.want[len(c.want)-3:]) {
				t.Errorf("its last place is %v, want %v", got, c.want[len(c.want)-3:])
			}
			if got := j.Dense().Data; !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
	for name, other := range map[string]*tensor.View{"other axes": tensor.ViewOf(tensor.New(2, 4)), "another rank": tensor.ViewOf(tensor.New(2, 3, 1)), "no axes": tensor.ViewOf(tensor.New())} {
		if _, err := tensor.Join(tensor.ViewOf(a), other); err == nil {
			t.Errorf("%s: joined", name)
		}
	}
}
