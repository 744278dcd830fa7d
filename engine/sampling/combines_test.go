package sampling_test

import (
	"context"
	"testing"

	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/tests/golden"
)

type combineGolden struct {
	Cases []struct {
		ID     string    `json:"id"`
		Name   string    `json:"name"`
		Params []float64 `json:"params"`
		Scale  float64   `json:"scale"`
		Sigma  float32   `json:"sigma"`
	} `json:"cases"`
}

// The functions add and multiply a few values up to 30; lengths are sums that torch adds up in another order.
var combineTolerance = golden.Tolerance{MaxAbs: 1e-5}

func TestCombinesEqualUpstream(t *testing.T) {
	t.Parallel()
	var g combineGolden
	stored := golden.Load(t, "samplers/combine", &g)
	for _, c := range g.Cases {
		f := map[string]func() sampling.CombineFunc{
			"VideoLinearCFGGuidance":   func() sampling.CombineFunc { return sampling.LinearCFG(c.Params[0]) },
			"VideoTriangleCFGGuidance": func() sampling.CombineFunc { return sampling.TriangleCFG(c.Params[0]) },
			"RenormCFG":                func() sampling.CombineFunc { return sampling.RenormCFG(c.Params[0], c.Params[1]) },
		}[c.Name]()
		get := func(name string) *tensor.Tensor { return stored.Get(t, c.ID+"/"+name) }
		x := get("x")
		noise, err := f(t.Context(), sampling.Guidance{X: x, Sigma: c.Sigma, Scale: c.Scale, Cond: get("cond"), Uncond: get("uncond"), HasCond: true, HasUncond: true})
		if err != nil {
			t.Fatal(err)
		}
		guided := tensor.New(x.Shape...)
		for i, v := range x.Data {
			guided.Data[i] = v - noise.Data[i]
		}
		golden.Compare(t, c.Name+" "+c.ID, guided.Data, get("out").Data, combineTolerance)
	}
}

// sides answers with the value of the text encoding everywhere.
type sides struct{ calls int }

func (s *sides) Predict(_ context.Context, x *tensor.Tensor, t []float32, in sampling.Inputs) (*tensor.Tensor, error) {
	s.calls++
	out := tensor.New(x.Shape...)
	size := x.Len() / x.Dim(0)
	for i := range out.Data {
		out.Data[i] = in.Get(sampling.InputContext).Index(i / size).Data[0]
	}
	return out, nil
}

// TestPartsGuiderHasAScaleForEachPart takes one step of a flow, whose network predicts the velocity: x moves by the guided value.
func TestPartsGuiderHasAScaleForEachPart(t *testing.T) {
	t.Parallel()
	m, err := sampling.NewModelSampling(sampling.Flow, sampling.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	euler := must(sampling.NewSampler("euler"))
	for _, c := range []struct {
		scale, others float64
		video, sound  float32
	}{
		{3, 7, -1 + 3*3, -1 + 3*7}, {1, 2, 2, 5}, {4, 4, 11, 11},
	} {
		p := sampling.Params{
			Network: &sides{}, Model: m, Format: sampling.LatentFormat{Scale: 1}, DisableNoise: true,
			Latent: tensor.New(1, 2, 1, 2, 2), Along: []*tensor.Tensor{tensor.New(1, 3, 4)},
			Guider: sampling.PartsGuider(conds(2), conds(-1), c.scale, c.others),
		}
		out, _, err := sampling.SampleParts(t.Context(), p, euler, []float32{1, 0})
		if err != nil {
			t.Fatal(err)
		}
		if video, sound := -out[0].Data[3], -out[1].Data[0]; !near(video, c.video) || !near(sound, c.sound) {
			t.Errorf("scales %v and %v move the video by %v and the sound by %v, want %v and %v", c.scale, c.others, video, sound, c.video, c.sound)
		}
		p.Along = nil
		alone, _, err := sampling.SampleWith(t.Context(), p, euler, []float32{1, 0})
		if err != nil {
			t.Fatal(err)
		}
		if got := -alone.Data[0]; !near(got, c.video) {
			t.Errorf("scales %v and %v move a video without sound by %v, want %v", c.scale, c.others, got, c.video)
		}
	}
}
