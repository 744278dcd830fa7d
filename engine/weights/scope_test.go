package weights_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// source makes a source of zeros from "name shape" pairs such as "a.weight 2 3".
func source(t *testing.T, specs ...string) weights.Source {
	t.Helper()
	var entries []weights.Entry
	for _, s := range specs {
		f := strings.Fields(s)
		shape := make([]int, len(f)-1)
		for i, d := range f[1:] {
			if _, err := fmt.Sscan(d, &shape[i]); err != nil {
				t.Fatal(err)
			}
		}
		entries = append(entries, weights.Entry{Name: f[0], DType: dtype.F32, Shape: shape, Data: make([]byte, 4*tensor.Count(shape))})
	}
	src, err := weights.Memory("m.safetensors", entries...)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func TestScopeAccounts(t *testing.T) {
	t.Parallel()
	s := weights.NewScope(source(t, "b.0.weight 2 3", "b.0.bias 2", "b.1.weight 4 3", "b.3.weight 1", "extra 1", "position_ids 1 77"))
	if r := s.At("b.0").Weight("weight", 2, -1); r.Missing() || r.Name != "b.0.weight" || r.Entry.Count() != 6 {
		t.Errorf("b.0.weight: %+v", r)
	}
	b1 := s.At("b").Index(1)
	if r := b1.Optional("bias"); r != nil {
		t.Errorf("b.1.bias: %+v", r)
	}
	if err := s.Err(); err != nil {
		t.Errorf("nothing is wrong yet: %v", err)
	}
	if r := b1.Weight("weight", 4, 4); !r.Missing() || !slices.Equal(r.Entry.Shape, []int{4, 4}) {
		t.Errorf("misshapen b.1.weight: %+v", r)
	}
	if r := b1.Weight("gain", -1, 5); !r.Missing() || !slices.Equal(r.Entry.Shape, []int{1, 5}) {
		t.Errorf("missing b.1.gain: %+v", r)
	}
	b1.Weight("gain", -1, 5) // reported once
	if n := s.Count("b"); n != 2 {
		t.Errorf("%d blocks before the gap, want 2", n)
	}
	if !s.Has("extra") || s.Has("b") || !s.HasAny("b") || s.HasAny("ext") || s.At("b").Has("0") {
		t.Error("Has or HasAny is wrong")
	}
	if got := s.At("b").Children(); !slices.Equal(got, []string{"0", "1", "3"}) {
		t.Errorf("children %q", got)
	}
	if got := s.Shape("b.0.weight"); !slices.Equal(got, []int{2, 3}) || s.Shape("none") != nil {
		t.Errorf("shape %v", got)
	}
	s.Ignore("position_ids")
	if got := s.Unused(); !slices.Equal(got, []string{"b.0.bias", "b.3.weight", "extra"}) {
		t.Errorf("unused %q", got)
	}
	if got := s.At("b").Unused(); !slices.Equal(got, []string{"b.0.bias", "b.3.weight"}) {
		t.Errorf("unused below b %q", got)
	}
	want := "binding the weights of m.safetensors: 1 tensors missing: b.1.gain; 1 tensors of the wrong shape: b.1.weight is [4 3], wanted [4 4]"
	if err := s.Err(); err == nil || err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	var keys *weights.KeysError
	if err := s.ErrStrict(); !errors.As(err, &keys) || len(keys.Unused) != 3 || !strings.HasPrefix(err.Error(), want+"; 3 tensors unused: ") {
		t.Errorf("strict error %q", err)
	}
}

func TestKeysErrorIsShort(t *testing.T) {
	t.Parallel()
	s := weights.NewScope(source(t, "a 1"))
	for i := range 700 {
		s.Weight(fmt.Sprintf("k%d", i))
	}
	err := s.Err().Error()
	if !strings.Contains(err, "700 tensors missing: k0, k1, ") || !strings.HasSuffix(err, "k19 and 680 more") {
		t.Errorf("error %q", err)
	}
}

func TestSub(t *testing.T) {
	t.Parallel()
	src := source(t, "model.a 1", "model.b 2", "other 3")
	sub := weights.Sub(weights.Sub(src, "mod"), "el.")
	if !slices.Equal(sub.Names(), []string{"a", "b"}) {
		t.Errorf("names %q", sub.Names())
	}
	e, ok := sub.Lookup("b")
	if !ok || e.Name != "model.b" || e.Count() != 2 {
		t.Errorf("entry %v", e)
	}
	if _, ok := sub.Lookup("other"); ok {
		t.Error("a name outside the view was found")
	}
	if all := weights.Sub(src, ""); len(all.Names()) != 3 || all.Path() != "m.safetensors" {
		t.Errorf("whole view: %q of %s", all.Names(), all.Path())
	}
	if _, err := weights.Memory("m", weights.Entry{Name: "a"}, weights.Entry{Name: "a"}); err == nil {
		t.Error("a name twice was accepted")
	}
}
