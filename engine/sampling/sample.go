// Package sampling turns noise into latents: schedules, samplers, guidance and the batching of conditionings, with noise
// and arithmetic equal to those of ComfyUI on torch's CPU generator.
//
// It knows tensors and the Network interface. It knows no model family, no file, no node and no HTTP.
package sampling

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"

	"comfygo/engine/tensor"
)

// Params is one sampling run, as the KSampler nodes describe it.
type Params struct {
	Network Network
	Model   *ModelSampling
	Format  LatentFormat
	// Inputs, when set, returns the network's inputs for a conditioning entry; nil gives it the text encoding alone.
	Inputs func(ctx context.Context, c *Cond, r Request) ([]Input, error)

	Positive, Negative []Cond
	// CFG is the guidance scale; at 1 the negative side is not predicted.
	CFG float64
	// Guider, when set, is used in place of Positive, Negative and CFG.
	Guider *Guider
	// Hooks change the guidance.
	Hooks Hooks
	// Options are for the network: Inputs.Options of each call.
	Options map[string]any

	// Latent is the start [B,C,H,W] in the VAE's space.
	Latent *tensor.Tensor
	// NoiseMask, when set, is 1 where the latent may change, [B,H,W] or [B,1,H,W] at any size.
	NoiseMask *tensor.Tensor
	// Along are further parts of a nested latent, AlongMasks their noise masks or nil. SampleParts takes them.
	Along, AlongMasks []*tensor.Tensor
	parts             [][]int // the shapes of all parts of a nested latent, which Latent holds packed
	// BatchIndex, when set, numbers the rows for the noise.
	BatchIndex []int
	// DownscaleRatio is the image-to-latent factor that an empty latent was made for; 0 when unknown.
	DownscaleRatio int
	// TemporalRatio is the factor between samples of audio and latent values that an empty latent was made for; 0 when unknown.
	TemporalRatio int

	Seed      uint64
	Steps     int
	Sampler   string
	Scheduler string
	// Denoise is the share of the noise to start from, in 0…1.
	Denoise float64
	// DisableNoise starts from the latent without adding noise, because it already contains noise.
	DisableNoise bool
	// Noise, when set, is the noise to start from in place of that of the seed: of the latent's shape, or one row for all.
	Noise *tensor.Tensor
	// StartStep and LastStep bound the steps to run; FullDenoise ends at zero noise all the same.
	StartStep, LastStep *int
	FullDenoise         bool

	// Fits reports whether the network can run with x of this shape and this many tokens; nil: always. One entry
	// alone is run in any case.
	Fits func(shape []int, tokens int) bool
	// OnStep, when set, is called for each step after its prediction.
	OnStep func(Step)
	// Log may be nil.
	Log *slog.Logger
}

// Step is a step of a run.
type Step struct {
	// Index counts from 0, Total is the number of steps of the whole run.
	Index, Total int
	// X is the noisy latent, Denoised the predicted clean latent; both in the network's space, not to be changed. Those of a
	// nested latent are packed, and Parts holds the shapes to unpack them by.
	X, Denoised *tensor.Tensor
	Parts       [][]int
}

// Sample runs a sampler and returns the new latent in the VAE's space. It fails on names it does not know, on shapes that
// do not fit, when ctx ends (with its cause) and with ErrNotFinite when the network is broken. Upstream:
// common_ksampler and comfy.sample.sample.
func Sample(ctx context.Context, p Params) (*tensor.Tensor, error) {
	s, sigmas, err := p.Levels()
	if err != nil {
		return nil, err
	}
	out, _, err := SampleWith(ctx, p, s, sigmas)
	return out, err
}

// Levels returns the sampler of p and the levels that it goes through by p's steps, scheduler and denoise; none if there is nothing
// to do. It fails on unknown names.
func (p *Params) Levels() (*Sampler, []float32, error) {
	s, err := NewSampler(p.Sampler)
	if err != nil {
		return nil, nil, err
	}
	if err := p.check(); err != nil {
		return nil, nil, err
	}
	sigmas, err := Sigmas(p.Model, p.Sampler, p.Scheduler, p.Steps, p.Denoise)
	if err != nil {
		return nil, nil, err
	}
	return s, cutSteps(sigmas, p.StartStep, p.LastStep, p.FullDenoise), nil
}

// SampleWith runs a sampler through the given levels, whatever the steps, scheduler and denoise of p. It returns the new
// latent and the last prediction of the clean one, both in the VAE's space; without any step that is the same. Without
// levels the latent is unchanged. Upstream: the SamplerCustom nodes and CFGGuider.sample.
func SampleWith(ctx context.Context, p Params, s *Sampler, sigmas []float32) (latent, denoised *tensor.Tensor, err error) {
	if s == nil {
		return nil, nil, errNoSampler
	}
	if err := p.check(); err != nil {
		return nil, nil, err
	}
	start, err := p.fixEmpty()
	if err != nil || len(sigmas) == 0 {
		return start, start, err
	}
	noise, generator := like(start), NewGenerator(p.Seed)
	switch {
	case p.Noise != nil:
		noise, err = GivenNoise(p.Noise, start.Shape)
	case !p.DisableNoise:
		noise, generator, err = drawNoise(start.Shape, p.Seed, p.BatchIndex)
	}
	if err != nil {
		return nil, nil, err
	}
	return p.run(ctx, s, sigmas, noise, start, generator)
}

var errNoSampler = errors.New("sampling: no sampler given")

func (p *Params) check() error {
	switch {
	case p.Network == nil || p.Model == nil:
		return fmt.Errorf("sampling: no model given")
	case p.Latent == nil || len(p.Latent.Shape) < 3 || p.Latent.Len() == 0 || p.parts == nil && len(p.Along) == 0 && !p.Format.Line && len(p.Latent.Shape) < 4:
		return fmt.Errorf("sampling: the latent is empty")
	case p.Guider == nil && len(p.Positive) == 0:
		return fmt.Errorf("sampling: the positive conditioning is empty")
	}
	if g := p.guider(); g.check != nil {
		return g.check()
	}
	return nil
}

// fixEmpty returns the latent; an empty one is converted to the channels and the scale of the model. Upstream:
// fix_empty_latent_channels.
func (p *Params) fixEmpty() (*tensor.Tensor, error) {
	x := p.Latent
	empty := !slices.ContainsFunc(x.Data, func(v float32) bool { return v != 0 })
	shape := slices.Clone(x.Shape)
	if empty {
		if p.Format.Channels > 0 {
			shape[1] = p.Format.Channels
		}
		if p.DownscaleRatio > 0 && p.Format.Downscale > 0 && p.DownscaleRatio != p.Format.Downscale {
			ratio := float64(p.DownscaleRatio) / float64(p.Format.Downscale)
			for i := len(shape) - 2; i < len(shape); i++ {
				shape[i] = max(int(math.RoundToEven(float64(shape[i])*ratio)), 1)
			}
		}
	} else if p.Format.Channels > 0 && shape[1] != p.Format.Channels {
		return nil, fmt.Errorf("sampling: the latent has %d channels, the model works on %d", shape[1], p.Format.Channels)
	}
	if p.Format.Video && len(shape) == 4 {
		shape = slices.Insert(shape, 2, 1)
	}
	if empty && p.TemporalRatio > 0 && p.Format.Temporal > 0 && len(shape) > 2 {
		ratio := float64(p.TemporalRatio) / float64(p.Format.Temporal)
		shape[2] = max(int(math.RoundToEven(float64(shape[2])*ratio)), 1)
	}
	if empty {
		return tensor.New(shape...), nil
	}
	return x.Reshape(shape...)
}

func (p *Params) guider() *Guider {
	if p.Guider != nil {
		return p.Guider
	}
	return CFGGuider(p.Positive, p.Negative, p.CFG)
}

// run samples in the network's space.
func (p *Params) run(ctx context.Context, s *Sampler, sigmas []float32, noise, latent *tensor.Tensor, generator *Generator) (out, denoised *tensor.Tensor, err error) {
	if slices.ContainsFunc(latent.Data, func(v float32) bool { return v != 0 }) {
		latent = p.scaleParts(p.Format.In(latent), p.carried())
	}
	if w := p.Hooks.Windows; w != nil && w.FreeNoise {
		noise = w.freeNoise(noise, p.Seed)
	}
	g := newGuide(p, p.guider(), s, sigmas)
	g.random, g.state = generator, &State{}
	if g.other != nil {
		g.other.random, g.other.state = generator, g.state
	}
	if f := p.Hooks.First; f != nil {
		g.first = p.Format.In(f.Latent)
	}
	g.log.Debug("sampling", "sampler", s.name, "steps", len(sigmas)-1, "from", sigmas[0], "latents", latent.Shape, "seed", p.Seed)
	mask, err := p.mask(latent.Shape)
	if err != nil {
		return nil, nil, err
	}
	if s.raw {
		mask = nil
	}
	if mask != nil {
		g.inpaint = &inpaint{mask: mask, latent: latent, noise: noise}
		if s.freshInpaint {
			fresh := like(latent)
			NewGenerator(p.Seed + 1).Randn(fresh.Data)
			g.inpaint.noise = fresh
		}
	}
	if err := g.prepare(ctx, latent, mask); err != nil {
		return nil, nil, err
	}
	r := &Run{
		Denoise: g.denoise, Model: p.Model, Sigmas: slices.Clone(sigmas), Seed: p.Seed, Generator: generator,
		X:      p.Model.AddNoise(sigmas[0], noise, latent, p.Model.maxDenoise(sigmas)),
		Format: p.Format,
		Option: func(name string) any { return p.Options[name] },
		SetOption: func(name string, value any) {
			options := map[string]any{name: value}
			for k, v := range p.Options {
				if k != name {
					options[k] = v
				}
			}
			p.Options = options
		},
		Uncond: func() *tensor.Tensor { return g.uncond },
		Step: func(i int, x, guess *tensor.Tensor) {
			g.steps++
			denoised = guess
			if p.OnStep != nil {
				p.OnStep(Step{Index: i, Total: len(sigmas) - 1, X: x, Denoised: guess, Parts: p.parts})
			}
		},
	}
	if s.raw {
		r.X = noise
	}
	if n, ok := p.Network.(Causal); s.causal && (!ok || !n.Causal()) {
		return nil, nil, fmt.Errorf("sampling with %s: it is for causal models, which predict a video block by block: choose another sampler", s.name)
	}
	if out, err = s.run(ctx, r); err != nil {
		return nil, nil, err
	}
	if !s.raw {
		out = p.Model.Finish(r.Sigmas[len(r.Sigmas)-1], out)
	}
	if err := g.checkFinite("the result", out); err != nil {
		return nil, nil, err
	}
	plain := func(x *tensor.Tensor) *tensor.Tensor { return p.Format.Out(p.scaleParts(x, 1/p.carried())) }
	out = plain(out)
	last := out
	if denoised != nil {
		last = plain(denoised)
	}
	if f := p.Hooks.First; f != nil && f.Results {
		if out, err = beginning(out, f.Latent); err != nil {
			return nil, nil, err
		}
	}
	return out, last, nil
}

func newGuide(p *Params, guider *Guider, s *Sampler, sigmas []float32) *guide {
	g := &guide{params: p, model: p.Model, log: p.Log, guider: guider, sampler: s.name, sigmas: sigmas, hooks: hookStates{}, both: s.uncond || p.Hooks.BothSides}
	g.reuse = newReuser(p.Hooks.Reuse, p.Model)
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	if guider.second != nil {
		second := *guider.second
		second.NoiseMask, second.Options = p.NoiseMask, p.Options
		g.other = &guide{params: &second, model: second.Model, log: g.log, guider: guider, sampler: s.name, sigmas: sigmas, hooks: g.hooks}
	}
	return g
}

// prepare resolves the conditionings for latents like the given one. Upstream: process_conds.
func (g *guide) prepare(ctx context.Context, latent, mask *tensor.Tensor) error {
	g.shape = latent.Shape
	for i, side := range lendValues(g.guider.sides, KeyGLIGEN) {
		entries, err := g.resolveAll(ctx, side, latent, mask)
		if err != nil {
			return err
		}
		g.sides = append(g.sides, entries)
		if g.other == nil {
			continue
		}
		if i < g.guider.secondFrom {
			g.other.sides = append(g.other.sides, nil)
			continue
		}
		if entries, err = g.other.resolveAll(ctx, side, latent, mask); err != nil {
			return err
		}
		g.other.sides = append(g.other.sides, entries)
	}
	matchAreas(g.sides)
	g.lendControls()
	if g.other != nil {
		g.other.lendControls()
	}
	return nil
}

// resolve prepares a conditioning without regard to the others.
func (g *guide) resolve(ctx context.Context, side Side, latent *tensor.Tensor) ([]*entry, error) {
	var mask *tensor.Tensor
	if g.inpaint != nil {
		mask, latent = g.inpaint.mask, g.inpaint.latent
	}
	return g.resolveAll(ctx, side, latent, mask)
}

func (g *guide) resolveAll(ctx context.Context, side Side, latent, mask *tensor.Tensor) ([]*entry, error) {
	entries, err := resolveAll(g.model, side.Conds, latent.Shape)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.inputs, err = g.inputs(ctx, e.cond, latent, mask, side.Negative); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

func (g *guide) inputs(ctx context.Context, c *Cond, latent, mask *tensor.Tensor, negative bool) ([]Input, error) {
	if g.params.Inputs == nil {
		return textInputs(c.Tokens), nil
	}
	return g.params.Inputs(ctx, c, Request{Shape: latent.Shape, Latent: latent, Mask: mask, Negative: negative, Format: g.params.Format, Seed: g.params.Seed, Parts: g.params.parts})
}
