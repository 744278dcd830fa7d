package dit_test

import (
	"errors"
	"sync"
	"testing"

	"comfygo/engine/family/dit"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
)

// TestOnce keeps a result for each inputs of a run, none that failed, while calls of several devices are made at once.
func TestOnce(t *testing.T) {
	t.Parallel()
	state, owner := &sampling.State{}, new(int)
	inputs := func(v float32) sampling.Inputs {
		x := tensor.New(1, 1)
		x.Data[0] = v
		return sampling.Inputs{State: state, List: []sampling.Input{{Name: "x", Value: x}}}
	}
	broken := errors.New("broken")
	if _, err := dit.Once(inputs(0), owner, func() (float32, error) { return 0, broken }); !errors.Is(err, broken) {
		t.Errorf("a result that cannot be made: %v", err)
	}
	var calls sync.WaitGroup
	for v := range 8 {
		for range 4 {
			calls.Go(func() {
				in := inputs(float32(v))
				got, err := dit.Once(in, owner, func() (float32, error) { return in.List[0].Value.Data[0] * 2, nil })
				if err != nil || got != float32(2*v) {
					t.Errorf("the result of %d is %g, %v", v, got, err)
				}
			})
		}
	}
	calls.Wait()
	if got, err := dit.Once(inputs(3), owner, func() (float32, error) { return 0, broken }); err != nil || got != 6 {
		t.Errorf("a result that is known is %g, %v", got, err)
	}
}
