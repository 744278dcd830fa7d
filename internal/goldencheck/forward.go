package goldencheck

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"comfygo/engine"
	"comfygo/engine/dtype"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/golden"
)

// forwardCase is one conditioning with calls of the diffusion model at several sigmas.
type forwardCase struct {
	ID          string                       `json:"id"`
	XName       string                       `json:"xname"`
	LatentShape []int                        `json:"latent_shape"`
	Cond        []map[string]json.RawMessage `json:"cond"`
	Sigmas      []float64                    `json:"sigmas"`
	Err64       []errorOf                    `json:"err64"`
	Calls       []map[string]json.RawMessage `json:"calls"`
	// Schedule, when set, are the sigmas of the run that the calls belong to.
	Schedule []float32 `json:"schedule"`

	// normalMask makes inpainting masks of unit normal instead of uniform numbers.
	normalMask bool
}

// masked reports whether the conditioning has an inpainting mask.
func (c forwardCase) masked() bool {
	return slices.ContainsFunc(c.Cond, func(e map[string]json.RawMessage) bool { return e[sampling.KeyConcatMask] != nil })
}

// checkForward predicts as a sampler does, guided by one conditioning at scale 1, and compares what the network answered
// and what the sampler makes of it. A golden is one case, with its calls.
func checkForward(ctx context.Context, r *run, f *file) error {
	var g struct {
		Cases []forwardCase `json:"cases"`
		Model string        `json:"model_file"`
		Class string        `json:"config_class"`
	}
	stored, err := f.load(&g)
	if err != nil {
		return err
	}
	measured := []float64{r.measured[f.name]}
	for _, c := range g.Cases {
		for _, e := range c.Err64 {
			measured = append(measured, e.RMSRel)
		}
	}
	model, loadErr := r.diffusion(ctx, g.Model)
	for _, c := range g.Cases {
		s := tensorSet{stored: stored, prefix: c.ID + "/", tol: tolerance(measured...)}
		err := loadErr
		if err == nil {
			err = c.run(ctx, model, &s)
		}
		if err != nil && loadErr == nil && c.masked() { // the golden does not say which recipe its mask has
			other := tensorSet{stored: stored, prefix: s.prefix, tol: s.tol}
			c.normalMask = true
			if c.run(ctx, model, &other) == nil {
				s, err = other, nil
			}
		}
		r.note(f, strings.TrimSpace(c.ID+" "+g.Class), s.detail(), err)
	}
	return nil
}

func (r *run) diffusion(ctx context.Context, name string) (*engine.Model, error) {
	file, err := r.checkpoint(ctx, name)
	if err != nil {
		return nil, err
	}
	model, err := r.Runtime.LoadModel(file, dtype.Invalid)
	return model, notBuilt(err)
}

// recorder is a network that records its inputs and outputs.
type recorder struct {
	sampling.Network
	x, out *tensor.Tensor
	t      []float32
	in     sampling.Inputs
	calls  int
	// schedule, if set, gives the network the sigma that follows each one.
	schedule []float32
}

// Predict implements sampling.Network.
func (r *recorder) Predict(ctx context.Context, x *tensor.Tensor, t []float32, in sampling.Inputs) (*tensor.Tensor, error) {
	if r.schedule != nil {
		in.Next = nil
	}
	if i := slices.Index(r.schedule, in.Sigma); i >= 0 && i+1 < len(r.schedule) {
		in.Next = &r.schedule[i+1]
	}
	out, err := r.Network.Predict(ctx, x, t, in)
	r.x, r.t, r.in, r.out = x, t, in, out
	r.calls++
	return out, err
}

func (c forwardCase) run(ctx context.Context, model *engine.Model, s *tensorSet) error {
	if len(c.Calls) < len(c.Sigmas) || tensor.Count(c.LatentShape) <= 0 {
		return fmt.Errorf("%d sigmas and %d calls for a latent of shape %v", len(c.Sigmas), len(c.Calls), c.LatentShape)
	}
	conds, err := c.conds(s.stored)
	if err != nil {
		return err
	}
	for i, sigma := range c.Sigmas {
		at := fmt.Sprintf("%d.", i)
		x, err := c.noisy(i, float32(sigma), s.stored)
		if err != nil {
			return err
		}
		net := &recorder{Network: model, schedule: c.Schedule}
		denoised, err := sampling.DenoiseOnce(ctx, sampling.Params{
			Network: net, Model: model.Sampling(), Format: model.LatentFormat(), Inputs: model.Inputs,
			Hooks: model.Hooks(), Options: model.Options(), Guider: sampling.BasicGuider(conds),
		}, x, float32(sigma))
		if err != nil {
			return fmt.Errorf("call %d: %w", i, err)
		}
		wrong := len(s.errs)
		s.compare(at+"out", net.out.Data)
		s.compare(at+"denoised", denoised.Data)
		if len(s.errs) > wrong {
			s.errs = append(s.errs, net.explain(s, at, c.Calls[i])...)
		}
	}
	return s.err()
}

// explain names the arguments of a call that differ from upstream's: the cause of another answer.
func (r *recorder) explain(s *tensorSet, at string, call map[string]json.RawMessage) []error {
	e := tensorSet{stored: s.stored, prefix: s.prefix + at, tol: golden.Tolerance{RMSRel: 1e-6}}
	x := r.x.Data
	if beside := r.in.Get("concat"); beside != nil && r.x.Dim(0) == 1 {
		x = append(slices.Clone(x), beside.Data...)
	}
	e.compare("x", x)
	e.compare("timestep", r.t)
	for _, in := range r.in.List {
		if _, ok := call[in.Name]; ok && in.Value != nil {
			e.compare(in.Name, in.Value.Data)
		}
	}
	for i, err := range e.errs {
		e.errs[i] = fmt.Errorf("the network was called with another %w", err)
	}
	return e.errs
}

// noisy is the latent that the sampler has at a sigma: the stored one where it is whole, else made by the recipe. Models
// that add noise by scaling start from unit noise scaled to the sigma, rectified flows from the noise itself.
func (c forwardCase) noisy(call int, sigma float32, stored *golden.Tensors) (*tensor.Tensor, error) {
	name := fmt.Sprintf("%s/%d.x_sampler", c.ID, call)
	if stored.Has(name) {
		return stored.Get(name)
	}
	want, err := argument(c.Calls[call], "x_sampler")
	if err != nil {
		return nil, err
	}
	for _, factor := range []float32{1, float32(math.Sqrt(1 + float64(sigma)*float64(sigma)))} {
		x := golden.Normal(fmt.Sprintf("%s/x%d", c.XName, call), c.LatentShape...)
		if golden.SHA256(golden.Scale(x, factor).Data) == want.SHA256 {
			return x, nil
		}
	}
	return nil, unavailable("the noisy latent of call %d cannot be made from its recipe", call)
}

// arg is an argument of a recorded call.
type arg struct {
	Shape  []int  `json:"shape"`
	DType  string `json:"dtype"`
	SHA256 string `json:"sha256"`
}

func argument(call map[string]json.RawMessage, name string) (arg, error) {
	var a arg
	if err := unmarshalObject(call[name], &a); err != nil {
		return a, fmt.Errorf("reading the argument %s: %w", name, err)
	}
	return a, nil
}
