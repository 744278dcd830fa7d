package sampling

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"

	"comfygo/engine/tensor"
)

// TestVOIDEqualsUpstream compares with what testdata/void.py recorded; 1e-6 is allowed, as torch divides where it multiplies elsewhere.
func TestVOIDEqualsUpstream(t *testing.T) {
	t.Parallel()
	var want struct{ Sigmas, Whole, Part []float32 }
	raw, err := os.ReadFile("testdata/void.json")
	if err == nil {
		err = json.Unmarshal(raw, &want)
	}
	if err != nil {
		t.Fatal(err)
	}
	noise := tensor.New(1, 2, 3, 2)
	for i := range noise.Data {
		noise.Data[i] = float32(math.Sin(float64(i) * 0.7))
	}
	model := func(_ context.Context, x *tensor.Tensor, sigma float32) (*tensor.Tensor, error) {
		return apply(x, func(v float32) float32 { return v/(1+sigma) - 0.25 }), nil
	}
	for name, c := range map[string]struct{ sigmas, want []float32 }{"whole": {want.Sigmas, want.Whole}, "part": {want.Sigmas[:3], want.Part}} {
		steps := 0
		got, err := VOID().run(t.Context(), &Run{X: noise, Sigmas: c.sigmas, Denoise: model, Step: func(int, *tensor.Tensor, *tensor.Tensor) { steps++ }})
		if err != nil || steps != len(c.sigmas)-1 || len(got.Data) != len(c.want) {
			t.Fatalf("%s: %d steps, %v", name, steps, err)
		}
		for i, v := range got.Data {
			if d := math.Abs(float64(v - c.want[i])); d > 1e-6 {
				t.Errorf("%s: value %d is %v, want %v", name, i, v, c.want[i])
			}
		}
	}
}

// listening is a network that keeps its first input.
type listening struct{ first []float32 }

// Predict implements Network.
func (l *listening) Predict(_ context.Context, x *tensor.Tensor, _ []float32, _ Inputs) (*tensor.Tensor, error) {
	if l.first == nil {
		l.first = slices.Clone(x.Data)
	}
	return tensor.New(x.Shape...), nil
}

// TestVOIDStartsFromGivenNoise checks that a run starts from the unscaled noise, whatever the latent, the first level and a mask, and
// that noise of another size is rejected.
func TestVOIDStartsFromGivenNoise(t *testing.T) {
	t.Parallel()
	m, err := NewModelSampling(VPredictionDDPM, Settings{ZSNR: true})
	if err != nil {
		t.Fatal(err)
	}
	noise, mask := tensor.New(1, 4, 2, 2), tensor.New(1, 2, 2)
	for i := range noise.Data {
		noise.Data[i] = float32(i)
	}
	var network listening
	p := Params{Network: &network, Model: m, Format: LatentFormat{Channels: 4, Scale: 1, Downscale: 8}, Positive: []Cond{{Tokens: tensor.New(1, 1, 4)}}, CFG: 1, Latent: tensor.New(2, 4, 2, 2), NoiseMask: mask, Noise: noise}
	if _, _, err = SampleWith(t.Context(), p, VOID(), []float32{m.SigmaMax(), 1, 0}); err != nil {
		t.Fatal(err)
	}
	if want := append(slices.Clone(noise.Data), noise.Data...); !slices.Equal(network.first, want) {
		t.Errorf("the network reads %v first, want the noise", network.first)
	}
	p.Noise = tensor.New(1, 4, 2, 3)
	if _, _, err = SampleWith(t.Context(), p, VOID(), []float32{1, 0}); err == nil {
		t.Error("noise of another size: no error")
	}
	p.Along = []*tensor.Tensor{tensor.New(2, 4, 2, 2)}
	if _, _, err = SampleParts(t.Context(), p, VOID(), []float32{1, 0}); err == nil {
		t.Error("noise for a nested latent: no error")
	}
}
