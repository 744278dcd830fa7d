package noisewarp_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"testing"

	"comfygo/engine/tensor"
	"comfygo/engine/torchrand"
	"comfygo/internal/noisewarp"
)

// flow is what testdata/warp.py makes.
func flow(k, h, w int, size float64) *tensor.Tensor {
	out := tensor.New(2, h, w)
	for i := range out.Data {
		out.Data[i] = float32(math.Sin(float64(i)*0.37+float64(k)) * size)
	}
	return out
}

// TestEqualsUpstream compares noise that moved three times. Both draw the same random numbers; means of float32 make differences of 1e-6.
func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/warp.json")
	if err != nil {
		t.Fatal(err)
	}
	var stored map[string][]float64
	if err := json.Unmarshal(data, &stored); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		h, w int
		size float64
	}{"small": {32, 48, 0.9}, "far": {32, 48, 9}, "wide": {64, 32, 2.5}} {
		x := noisewarp.New(3, c.h, c.w, torchrand.New(0))
		for k := range 3 {
			if err := x.Warp(t.Context(), flow(k, c.h/8, c.w/8, c.size)); err != nil {
				t.Fatal(err)
			}
		}
		var got []float32
		for _, factor := range []int{1, 4} {
			small, err := x.Smaller(factor)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, small.Data...)
		}
		for i, want := range stored[name] {
			if math.Abs(float64(got[7*i])-want) > 1e-5*(1+math.Abs(want)) {
				t.Fatalf("%s: value %d is %v, want %v", name, 7*i, got[7*i], want)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	x := noisewarp.New(2, 16, 16, torchrand.New(0))
	if err := x.Warp(t.Context(), tensor.New(3, 4, 4)); err == nil {
		t.Error("three axes of a flow: no error")
	}
	ended, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stopped")
	cancel(stop)
	if err := x.Warp(ended, tensor.New(2, 4, 4)); !errors.Is(err, stop) {
		t.Errorf("an ended context: %v", err)
	}
}
