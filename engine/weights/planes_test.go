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

// TestPlane reads the planes of a weight over time, in pieces that begin and end within a plane, as numbers and as bytes.
func TestPlane(t *testing.T) {
	t.Parallel()
	const out, in, planes, h, w = 2, 3, 3, 2, 2
	e := stored(t, "conv", 0, out, in, planes, h, w)
	for k := range planes {
		p := must(t)(e.Plane("tap", k))
		if !slices.Equal(p.Shape, []int{out, in, h, w}) {
			t.Fatalf("plane %d has the shape %v", k, p.Shape)
		}
		var want []float32
		for g := range out * in {
			for i := range h * w {
				want = append(want, float32((g*planes+k)*h*w+i))
			}
		}
		for _, from := range []int{0, 1, 5, len(want) - 1} {
			got := make([]float32, len(want)-from)
			if err := weights.Range(got, p, from); err != nil || !slices.Equal(got, want[from:]) {
				t.Errorf("plane %d from %d: %v, %v", k, from, got, err)
			}
			raw := make([]byte, 4*len(got))
			if err := weights.Copy(raw, p, from); err != nil {
				t.Fatal(err)
			}
			for i, v := range want[from:] {
				if got := math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:])); got != v {
					t.Errorf("plane %d from %d: byte copy has %v at %d, want %v", k, from, got, i, v)
				}
			}
		}
		if !p.Copies(dtype.F32) || p.Copies(dtype.BF16) || e.Copies(dtype.F32) {
			t.Error("wrong entries count as copies")
		}
		if err := weights.Copy(make([]byte, 8), p, len(want)-1); err == nil || !strings.Contains(err.Error(), "8 bytes from element 23 on") {
			t.Errorf("copying beyond the end: %v", err)
		}
	}
	first, again, second := must(t)(e.Plane("a", 0)), must(t)(e.Plane("b", 0)), must(t)(e.Plane("a", 1))
	if first.Key() != again.Key() || first.Key() == second.Key() {
		t.Error("the keys of planes do not tell them apart by what they hold")
	}
	transposed := must(t)(must(t)(must(t)(e.Reshape(out*in*planes, h*w)).Transpose()).Reshape(out, in, planes, h, w))
	if p := must(t)(transposed.Plane("tap", 0)); p.Copies(dtype.F32) {
		t.Error("a plane of a computed entry has no bytes to copy")
	}
	if p := must(t)((weights.Entry{Name: "x", DType: dtype.F32, Shape: e.Shape}).Plane("tap", 2)); !p.Described() || p.Count() != out*in*h*w {
		t.Errorf("a described entry gives %v", p)
	}
	for name, wrong := range map[string]func() (weights.Entry, error){
		"four axes": func() (weights.Entry, error) { return first.Plane("tap", 0) },
		"too far":   func() (weights.Entry, error) { return e.Plane("tap", planes) },
	} {
		if _, err := wrong(); err == nil || !strings.Contains(err.Error(), "taking plane") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
