package sampling_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
)

// spreadNetwork is a network on several devices that waits until as many calls are going on as it has devices.
type spreadNetwork struct {
	device  int
	devices int
	shared  *spreadCalls
}

type spreadCalls struct {
	mu     sync.Mutex
	rows   map[int][]int
	failed error // on device 1
	panics bool  // device 1 does
	meet   func()
}

func (n *spreadNetwork) Devices() []sampling.Network {
	out := []sampling.Network{n}
	for i := 1; i < n.devices; i++ {
		out = append(out, &spreadNetwork{device: i, devices: 1, shared: n.shared})
	}
	return out
}

func (n *spreadNetwork) Predict(_ context.Context, x *tensor.Tensor, _ []float32, in sampling.Inputs) (*tensor.Tensor, error) {
	n.shared.mu.Lock()
	n.shared.rows[n.device] = append(n.shared.rows[n.device], x.Dim(0))
	n.shared.mu.Unlock()
	if n.shared.meet != nil {
		n.shared.meet()
	}
	if n.device == 1 && n.shared.failed != nil {
		if n.shared.panics {
			panic(n.shared.failed)
		}
		return nil, n.shared.failed
	}
	y := tensor.New(x.Shape...)
	text := in.Get(sampling.InputContext)
	for b := range x.Dim(0) {
		for i, v := range x.Index(b).Data {
			y.Index(b).Data[i] = v*0.5 + text.Index(b).Data[0]
		}
	}
	return y, nil
}

// TestSpread samples on one device and on several: the results are the same, and both sides of the guidance run at once.
func TestSpread(t *testing.T) {
	t.Parallel()
	sample := func(devices, entries int, calls *spreadCalls, options map[string]any) (*tensor.Tensor, *spreadCalls, error) {
		ms, err := sampling.NewModelSampling(sampling.EPS, sampling.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		text := func(v float32) []sampling.Cond {
			var out []sampling.Cond
			for i := range entries {
				c := tensor.New(1, 2, 3)
				c.Data[0] = v + float32(i)
				out = append(out, sampling.Cond{Tokens: c})
			}
			return out
		}
		y, err := sampling.Sample(t.Context(), sampling.Params{
			Network: &spreadNetwork{devices: devices, shared: calls}, Model: ms, Format: sampling.LatentFormat{Channels: 4, Scale: 1, Downscale: 8},
			Positive: text(0.25), Negative: text(-0.5), CFG: 3, Steps: 2, Seed: 7, Sampler: "euler", Scheduler: "normal", Denoise: 1, Latent: tensor.New(1, 4, 4, 4),
			Options: options,
		})
		return y, calls, err
	}
	run := func(devices, entries int) (*tensor.Tensor, *spreadCalls, error) {
		calls := &spreadCalls{rows: map[int][]int{}}
		if devices == 2 && entries == 1 {
			calls.meet = meeting(2)
		}
		return sample(devices, entries, calls, nil)
	}
	for _, entries := range []int{1, 3} {
		want, _, err := run(1, entries)
		if err != nil {
			t.Fatal(err)
		}
		for _, devices := range []int{2, 3} {
			got, calls, err := run(devices, entries)
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range got.Data { // the order of sums may differ
				if d := v - want.Data[i]; d > 1e-4 || d < -1e-4 {
					t.Fatalf("%d entries a side on %d devices: %g at %d, want %g", entries, devices, v, i, want.Data[i])
				}
			}
			for d := range min(devices, 2*entries) {
				if len(calls.rows[d]) == 0 {
					t.Errorf("%d entries a side on %d devices: device %d is idle; rows %v", entries, devices, d, calls.rows)
				}
			}
		}
	}
	broken := errors.New("the device is gone")
	for _, panics := range []bool{false, true} {
		calls := &spreadCalls{rows: map[int][]int{}, failed: broken, panics: panics}
		if _, _, err := sample(2, 1, calls, nil); !errors.Is(err, broken) {
			t.Errorf("a device that fails, by a panic: %v: %v", panics, err)
		}
	}
	if _, calls, err := sample(2, 1, &spreadCalls{rows: map[int][]int{}}, map[string]any{"cache": inOrder{}}); err != nil || len(calls.rows[1]) > 0 {
		t.Errorf("an option whose calls have an order: rows by device %v, %v", calls.rows, err)
	}
}

// inOrder is an option whose effect depends on the order of calls.
type inOrder struct{}

// Sequential implements sampling.Sequential.
func (inOrder) Sequential() {}

// meeting returns a function that returns when n callers have called it, again and again.
func meeting(n int) func() {
	var mu sync.Mutex
	gate, waiting := make(chan struct{}), 0
	return func() {
		mu.Lock()
		here := gate
		if waiting++; waiting == n {
			gate, waiting = make(chan struct{}), 0
			close(here)
		}
		mu.Unlock()
		<-here
	}
}
