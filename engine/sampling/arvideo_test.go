package sampling_test

import (
	"context"
	"strings"
	"testing"

	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
)

// still is a network that predicts nothing; blocks says whether it is causal.
type still struct{ blocks bool }

func (s still) Causal() bool { return s.blocks }

func (still) Predict(_ context.Context, x *tensor.Tensor, _ []float32, _ sampling.Inputs) (*tensor.Tensor, error) {
	return tensor.New(x.Shape...), nil
}

func TestWrongBlocks(t *testing.T) {
	t.Parallel()
	m, err := sampling.NewModelSampling(sampling.Flow, sampling.Settings{Shift: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = sampling.ARVideo(0); err == nil {
		t.Error("no frames: no error")
	}
	s, err := sampling.ARVideo(1)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		causal  bool
		latent  *tensor.Tensor
		options map[string]any
		want    string
	}{
		"another model": {false, tensor.New(1, 1, 2, 2, 2), nil, "causal"},
		"an image":      {true, tensor.New(1, 1, 2, 2), nil, "wanted a video"},
		"beginning":     {true, tensor.New(1, 1, 2, 2, 2), map[string]any{sampling.OptionBeginning: tensor.New(1, 1, 3, 2, 2)}, "first frames"},
	} {
		p := sampling.Params{Network: still{c.causal}, Model: m, Positive: []sampling.Cond{{Tokens: tensor.New(1, 1, 1)}}, CFG: 1, Format: sampling.LatentFormat{Channels: 1, Scale: 1}, Latent: c.latent, Options: c.options}
		if _, _, err := sampling.SampleWith(t.Context(), p, s, []float32{1, 0.5, 0}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
