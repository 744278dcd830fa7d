package sampling_test

import (
	"context"
	"math"
	"testing"

	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
)

// layered predicts 1 for the positive and -1 for the negative side, less a quarter for each layer that it leaves out.
type layered struct{ calls int }

func (n *layered) Predict(_ context.Context, x *tensor.Tensor, _ []float32, in sampling.Inputs) (*tensor.Tensor, error) {
	n.calls++
	double, _ := in.Options[sampling.OptionSkipDouble].([]int)
	single, _ := in.Options[sampling.OptionSkipSingle].([]int)
	out := tensor.New(x.Shape...)
	size := x.Len() / x.Dim(0)
	for i := range out.Data {
		out.Data[i] = in.Get(sampling.InputContext).Index(i / size).Data[0] - 0.25*float32(len(double)+len(single))
		if i%2 == 1 { // so that there is a spread
			out.Data[i] *= 3
		}
	}
	return out, nil
}

// TestSkippedLayers takes one step of a flow, which moves by the guided value.
func TestSkippedLayers(t *testing.T) {
	t.Parallel()
	m, err := sampling.NewModelSampling(sampling.Flow, sampling.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	layers := sampling.SkippedLayers{Double: []int{7, 8}, Single: []int{9}, Low: 0.5, High: 1}
	late := layers
	late.High = 0.75
	plain := -1 + 2*(1 - -1.0) // guided at a scale of 2
	away := plain + 3*0.75
	for name, c := range map[string]struct {
		hooks sampling.Hooks
		want  float64
		calls int
	}{
		"none":      {sampling.Hooks{}, plain, 1},
		"away":      {sampling.Hooks{}.WithAfter(sampling.SkipLayerGuidance(layers, 3, 0)), away, 2},
		"rescaled":  {sampling.Hooks{}.WithAfter(sampling.SkipLayerGuidance(layers, 3, 1)), 1, 2},
		"too early": {sampling.Hooks{}.WithAfter(sampling.SkipLayerGuidance(late, 3, 0)), plain, 1},
		"no scale":  {sampling.Hooks{}.WithAfter(sampling.SkipLayerGuidance(layers, 0, 0)), plain, 1},
		"negative":  {sampling.Hooks{}.WithBefore(sampling.SkipLayers(layers)), -1.75 + 2*(1 - -1.75), 2},
		"not yet":   {sampling.Hooks{}.WithBefore(sampling.SkipLayers(late)), plain, 1},
	} {
		net := &layered{}
		p := sampling.Params{
			Network: net, Model: m, Format: sampling.LatentFormat{Scale: 1}, DisableNoise: true, Hooks: c.hooks,
			Latent: tensor.New(1, 1, 2, 2), Positive: conds(1), Negative: conds(-1), CFG: 2,
		}
		out, _, err := sampling.SampleWith(t.Context(), p, must(sampling.NewSampler("euler")), []float32{1, 0})
		if err != nil {
			t.Fatal(err)
		}
		if got := -float64(out.Data[0]); math.Abs(got-c.want) > 1e-5 || net.calls != c.calls {
			t.Errorf("%s: the latent moves by %v in %d predictions, want %v in %d", name, got, net.calls, c.want, c.calls)
		}
	}
}

// TestBlurKeepsConstants: a blur changes no constant plane, and no cell that gets little attention.
func TestBlurKeepsConstants(t *testing.T) {
	t.Parallel()
	x := tensor.New(1, 2, 8, 8)
	for i := range x.Data {
		x.Data[i] = float32(i / 64)
	}
	seen := tensor.New(1, 4)
	for i := range seen.Data {
		seen.Data[i] = 2
	}
	guide := func(x *tensor.Tensor) *tensor.Tensor {
		f := sampling.SelfAttentionGuidance(1, 2, func() *tensor.Tensor { return seen })
		y, err := f(t.Context(), sampling.Guidance{X: x, Uncond: x, At: func(_ context.Context, negative bool, at *tensor.Tensor) (*tensor.Tensor, error) {
			if !negative {
				t.Error("the positive side is predicted for the blurred latent")
			}
			return tensor.New(at.Shape...), nil // so that the latent is added to what it was
		}}, x)
		if err != nil {
			t.Fatal(err)
		}
		return y
	}
	for i, v := range guide(x).Data {
		if d := v - 2*x.Data[i]; d > 1e-6 || d < -1e-6 {
			t.Fatalf("a constant plane changes by %g", d)
		}
	}
	x.Data[0] = 9
	if y := guide(x); y.Data[0] == 18 {
		t.Error("a cell with much attention is not blurred")
	}
	clear(seen.Data)
	if y := guide(x); y.Data[0] != 18 || y.Data[1] != 2*x.Data[1] {
		t.Error("cells without attention are blurred")
	}
}
