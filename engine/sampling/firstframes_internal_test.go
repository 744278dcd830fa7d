package sampling

import (
	"context"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/tensor"
)

// watching is a network that keeps what it reads, and predicts ones.
type watching struct{ seen []*tensor.Tensor }

// Predict implements Network.
func (w *watching) Predict(_ context.Context, x *tensor.Tensor, _ []float32, _ Inputs) (*tensor.Tensor, error) {
	w.seen = append(w.seen, x.Clone())
	return filled(x, 1), nil
}

// TestFirstFrames checks that a run's network reads the first frames at each step, and which frames the result has.
func TestFirstFrames(t *testing.T) {
	t.Parallel()
	m, err := NewModelSampling(Flow, Settings{Shift: 1})
	if err != nil {
		t.Fatal(err)
	}
	first := &tensor.Tensor{Shape: []int{1, 1, 2, 1, 1}, Data: []float32{3, 5}}
	for _, results := range []bool{false, true} {
		net := &watching{}
		p := Params{
			Network: net, Model: m, Format: LatentFormat{Channels: 1, Scale: 2, Shift: 1, Video: true},
			Positive: []Cond{{Tokens: tensor.New(1, 1, 1)}}, CFG: 1, Latent: tensor.New(2, 1, 4, 1, 1),
			Seed: 1, Steps: 3, Sampler: "euler", Scheduler: "simple", Denoise: 1, Hooks: Hooks{}.WithFirstFrames(FirstFrames{Latent: first, Results: results}),
		}
		out, err := Sample(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if len(net.seen) != 3 {
			t.Fatalf("%d calls, want one a step", len(net.seen))
		}
		for _, x := range net.seen {
			for row := range 2 {
				if got := x.Index(row).Data[:2]; !slices.Equal(got, []float32{4, 8}) { // (3-1)·2, (5-1)·2
					t.Errorf("row %d: the network read %v", row, got)
				}
			}
		}
		if got := slices.Equal(out.Index(1).Data[:2], first.Data); got != results {
			t.Errorf("the result begins with %v, asked for: %v", out.Index(1).Data[:2], results)
		}
	}
	for _, shape := range [][]int{{1, 1, 5, 1, 1}, {1, 2, 2, 1, 1}, {2, 1, 2, 1, 1}, {1, 1, 2, 1, 2}, {1, 1, 2}} {
		if _, err := beginning(tensor.New(2, 1, 4, 1, 1), tensor.New(shape...)); err == nil || !strings.Contains(err.Error(), "first frames") {
			t.Errorf("%v: %v", shape, err)
		}
	}
}
