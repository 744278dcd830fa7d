package sampling_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/tests/golden"
)

// toy is the closed-form network of the golden samplers/toy; see that file's "doc".
type toy struct {
	tscale float32
	calls  int
}

func (n *toy) Predict(_ context.Context, x *tensor.Tensor, t []float32, in sampling.Inputs) (*tensor.Tensor, error) {
	n.calls++
	out := tensor.New(x.Shape...)
	size := x.Len() / x.Dim(0)
	for b := range x.Dim(0) {
		s, c := t[b]*n.tscale, in.Get(sampling.InputContext).Index(b).Data[0]
		from, to := x.Index(b).Data, out.Index(b).Data
		for i := range size {
			p := float32((i*37)%64)/32 - 1
			q := float32((i*53+17)%64)/64 - 0.5
			v := from[i]
			to[i] = 0.8*v + 0.25*v/(1+v*v) + 0.1*s*p + c*q
		}
	}
	return out, nil
}

type toyCase struct {
	ID        string  `json:"id"`
	Model     string  `json:"model"`
	Sampler   string  `json:"sampler"`
	Scheduler string  `json:"scheduler"`
	Steps     int     `json:"steps"`
	CFG       float64 `json:"cfg"`
	Seed      uint64  `json:"seed"`
	Denoise   float64 `json:"denoise"`
	Shape     []int   `json:"shape"`
	CPos      float32 `json:"cpos"`
	CNeg      float32 `json:"cneg"`
	Latent    string  `json:"latent"`
	Amp       float32 `json:"amp"`
	Mask      string  `json:"mask"`
	Start     *int    `json:"start"`
	Last      *int    `json:"last"`
	ForceFull bool    `json:"force_full"`
	NoiseOff  bool    `json:"noise_off"`
	Calls     int     `json:"calls"`
	ErrPert   struct {
		RMSRel float64 `json:"rms_rel"`
	} `json:"err_pert"`
}

type toyGolden struct {
	Models map[string]struct {
		goldenSettings
		TScale float32 `json:"tscale"`
	} `json:"models"`
	Cases []toyCase `json:"cases"`
}

func context1(v float32) []sampling.Cond {
	return []sampling.Cond{{Tokens: &tensor.Tensor{Shape: []int{1, 1, 1}, Data: []float32{v}}}}
}

func (c toyCase) params(t *testing.T, net *toy, m *sampling.ModelSampling) sampling.Params {
	t.Helper()
	p := sampling.Params{
		Network: net, Model: m, Format: sampling.LatentFormat{Channels: c.Shape[1], Scale: 1, Downscale: 8},
		Positive: context1(c.CPos), Negative: context1(c.CNeg), CFG: c.CFG,
		Latent: tensor.New(c.Shape...), Seed: c.Seed, Steps: c.Steps, Sampler: c.Sampler, Scheduler: c.Scheduler,
		Denoise: c.Denoise, DisableNoise: c.NoiseOff, StartStep: c.Start, LastStep: c.Last, FullDenoise: c.ForceFull,
	}
	if c.Latent != "" {
		p.Latent = golden.Scale(golden.Normal(c.Latent, c.Shape...), c.Amp)
	}
	if c.Mask != "" {
		p.NoiseMask = tensor.New(1, c.Shape[2], c.Shape[3])
		for i := range p.NoiseMask.Data {
			if (i/c.Shape[3]+i%c.Shape[3])%3 > 0 {
				p.NoiseMask.Data[i] = 1
			}
		}
	}
	return p
}

// toyTolerance is what the goldens' makers suggest: 20 times the change that rounding noise in the model causes, at least
// 2e-5 of the latent's rms.
func toyTolerance(c toyCase) golden.Tolerance {
	return golden.Tolerance{RMSRel: max(2e-5, 20*c.ErrPert.RMSRel)}
}

func TestSamplersEqualUpstream(t *testing.T) {
	t.Parallel()
	var g toyGolden
	stored := golden.Load(t, "samplers/toy", &g)
	seen := map[string]bool{}
	for _, c := range g.Cases {
		seen[c.Sampler] = true
		t.Run(fmt.Sprintf("%s %s %s %s", c.ID, c.Sampler, c.Model, c.Scheduler), func(t *testing.T) {
			t.Parallel()
			net := &toy{tscale: g.Models[c.Model].TScale}
			p := c.params(t, net, g.Models[c.Model].build(t))
			var xs []float32
			p.OnStep = func(s sampling.Step) { xs = append(xs, s.X.Data...) }
			got, err := sampling.Sample(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			d := golden.Compare(t, "latent", got.Data, stored.Get(t, c.ID+"/out").Data, toyTolerance(c))
			t.Log(d)
			// These three tell their callback of the first latent in each step.
			stuck := slices.Contains([]string{"ipndm", "ipndm_v", "deis"}, c.Sampler)
			if stored.Has(c.ID+"/x") && !stuck {
				golden.Compare(t, "latents on the way", xs, stored.Get(t, c.ID+"/x").Data, toyTolerance(c))
			}
			if net.calls != c.Calls {
				t.Errorf("the model ran %d times, want %d", net.calls, c.Calls)
			}
		})
	}
	for _, name := range sampling.SamplerNames() {
		if !seen[name] {
			t.Errorf("no golden runs the sampler %s", name)
		}
	}
}
