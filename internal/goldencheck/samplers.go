package goldencheck

import (
	"context"
	"fmt"
	"slices"

	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/golden"
)

// Toy is the closed-form network that sampler goldens were computed with; see the "doc" of samplers/toy. It reads the first
// value of each row's text encoding.
type Toy struct {
	// Scale multiplies the timestep.
	Scale float32
	// Calls counts the calls of Predict.
	Calls int
}

// Predict implements sampling.Network.
func (n *Toy) Predict(_ context.Context, x *tensor.Tensor, t []float32, in sampling.Inputs) (*tensor.Tensor, error) {
	n.Calls++
	out := tensor.New(x.Shape...)
	for b := range x.Dim(0) {
		s, c := t[b]*n.Scale, in.Get(sampling.InputContext).Index(b).Data[0]
		to := out.Index(b).Data
		for i, v := range x.Index(b).Data {
			p := float32((i*37)%64)/32 - 1
			q := float32((i*53+17)%64)/64 - 0.5
			to[i] = 0.8*v + 0.25*v/(1+v*v) + 0.1*s*p + c*q
		}
	}
	return out, nil
}

type samplerCase struct {
	ID        string  `json:"id"`
	Model     string  `json:"model"`
	Sampler   string  `json:"sampler"`
	Scheduler string  `json:"scheduler"`
	Steps     int     `json:"steps"`
	CFG       float64 `json:"cfg"`
	Seed      seed    `json:"seed"`
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
	ErrPert   errorOf `json:"err_pert"`
}

// toyMask is the mask of sampler goldens, in their words.
const toyMask = "mask[y,x] = 1 if (y+x)%3>0 else 0"

func textOf(v float32) []sampling.Cond {
	return []sampling.Cond{{Tokens: &tensor.Tensor{Shape: []int{1, 1, 1}, Data: []float32{v}}}}
}

// params are the sampling parameters of a case.
func (c samplerCase) params(net *Toy, m *sampling.ModelSampling) (sampling.Params, error) {
	if len(c.Shape) < 4 || tensor.Count(c.Shape) <= 0 {
		return sampling.Params{}, fmt.Errorf("the case has a latent of shape %v", c.Shape)
	}
	p := sampling.Params{
		Network: net, Model: m, Format: sampling.LatentFormat{Channels: c.Shape[1], Scale: 1, Downscale: 8},
		Positive: textOf(c.CPos), Negative: textOf(c.CNeg), CFG: c.CFG,
		Latent: tensor.New(c.Shape...), Seed: uint64(c.Seed), Steps: c.Steps, Sampler: c.Sampler, Scheduler: c.Scheduler,
		Denoise: c.Denoise, DisableNoise: c.NoiseOff, StartStep: c.Start, LastStep: c.Last, FullDenoise: c.ForceFull,
	}
	if c.Latent != "" {
		p.Latent = golden.Scale(golden.Normal(c.Latent, c.Shape...), c.Amp)
	}
	if c.Mask == "" {
		return p, nil
	}
	if c.Mask != toyMask {
		return p, unavailable("the mask %q is not known", c.Mask)
	}
	h, w := c.Shape[len(c.Shape)-2], c.Shape[len(c.Shape)-1]
	p.NoiseMask = tensor.New(1, h, w)
	for i := range p.NoiseMask.Data {
		if (i/w+i%w)%3 > 0 {
			p.NoiseMask.Data[i] = 1
		}
	}
	return p, nil
}

// checkSamplers runs samplers on the closed-form network.
func checkSamplers(ctx context.Context, r *run, f *file) error {
	var g struct {
		Models map[string]struct {
			settings
			TScale float32 `json:"tscale"`
		} `json:"models"`
		Cases []samplerCase `json:"cases"`
	}
	stored, err := f.load(&g)
	if err != nil {
		return err
	}
	for _, c := range g.Cases {
		// The tolerance of the goldens' makers: 20 times the change that rounding noise in the model causes, at least 2e-5.
		s := tensorSet{stored: stored, prefix: c.ID + "/", tol: golden.Tolerance{RMSRel: max(2e-5, 20*c.ErrPert.RMSRel)}}
		model := g.Models[c.Model]
		err := c.run(ctx, model.settings, model.TScale, &s)
		r.note(f, fmt.Sprintf("%s %s %s %s", c.ID, c.Sampler, c.Model, c.Scheduler), s.detail(), err)
	}
	return nil
}

func (c samplerCase) run(ctx context.Context, st settings, tscale float32, s *tensorSet) error {
	if !slices.Contains(sampling.SamplerNames(), c.Sampler) {
		return unavailable("the sampler %s is not built", c.Sampler)
	}
	if !slices.Contains(sampling.SchedulerNames(), c.Scheduler) {
		return unavailable("the scheduler %s is not built", c.Scheduler)
	}
	m, err := st.build()
	if err != nil {
		return err
	}
	net := &Toy{Scale: tscale}
	p, err := c.params(net, m)
	if err != nil {
		return err
	}
	var steps []float32
	p.OnStep = func(s sampling.Step) { steps = append(steps, s.X.Data...) }
	got, err := sampling.Sample(ctx, p)
	if err != nil {
		return err
	}
	s.compare("out", got.Data)
	// Upstream passes these samplers' callback the same tensor in each step and changes it later on.
	stuck := slices.Contains([]string{"ipndm", "ipndm_v", "deis"}, c.Sampler)
	if s.stored.Has(c.ID+"/x") && !stuck {
		s.compare("x", steps)
	}
	if net.Calls != c.Calls {
		s.errs = append(s.errs, fmt.Errorf("the model ran %d times, want %d", net.Calls, c.Calls))
	}
	return s.err()
}
