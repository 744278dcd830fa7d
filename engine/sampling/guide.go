package sampling

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"

	"comfygo/engine/tensor"
	"comfygo/engine/vec"
)

// ErrNotFinite reports that NaN or infinity turned up where numbers should be.
var ErrNotFinite = errors.New("the latent is not finite")

// guide predicts clean latents under the guidance of a run's conditionings. Upstream: CFGGuider with KSamplerX0Inpaint.
type guide struct {
	params  *Params
	model   *ModelSampling
	log     *slog.Logger
	guider  *Guider
	sampler string
	sides   [][]*entry // by the guider's sides
	shape   []int      // of the latents that the sides were prepared for
	// other predicts the sides of a second model, if the guider has one.
	other *guide
	// both has sides predicted even where the scale makes them irrelevant.
	both bool
	// uncond is the prediction from which the latest guidance started.
	uncond *tensor.Tensor
	// reuse, when set, leaves out predictions.
	reuse *reuser
	// inpaint, when set, keeps the part that the noise mask protects.
	inpaint *inpaint
	// first, when set, are the first frames that the network reads, in its space.
	first  *tensor.Tensor
	sigmas []float32
	steps  int
	// hooks are where the entries' hooks are among their keyframes.
	hooks hookStates
	// random is the run's generator, for networks that draw.
	random *Generator
	// state is what networks keep in the run.
	state *State
	// windowStep is the number of the latest step whose sigma is one of the schedule's, by which windows move.
	windowStep int
}

// denoise predicts the clean latent of x.
func (g *guide) denoise(ctx context.Context, x *tensor.Tensor, sigma float32) (*tensor.Tensor, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if err := g.checkFinite("the latent", x); err != nil {
		return nil, err
	}
	if err := g.checkShape(x); err != nil {
		return nil, err
	}
	mask := g.maskAt(sigma)
	if mask != nil {
		var err error
		if x, err = g.inpaint.before(g, mask, x, sigma); err != nil {
			return nil, err
		}
	}
	out, err := g.guided(ctx, x, sigma)
	if err != nil {
		return nil, err
	}
	if err := g.checkFinite("the prediction", out); err != nil {
		return nil, err
	}
	if mask != nil {
		out = g.inpaint.after(mask, out)
	}
	return out, nil
}

// guided predicts the clean latent of x without regard to a noise mask.
func (g *guide) guided(ctx context.Context, x *tensor.Tensor, sigma float32) (*tensor.Tensor, error) {
	run := func(ctx context.Context) (*tensor.Tensor, error) {
		return g.guider.guide(ctx, &guided{X: x, Sigma: sigma, guide: g, scale: g.scaleAt(sigma)})
	}
	if g.reuse == nil || !g.reuse.guided {
		return run(ctx)
	}
	return g.reuse.around(ctx, sigma, x, []*entry{nil}, run)
}

// scaleAt returns the guidance scale at a level.
func (g *guide) scaleAt(sigma float32) float64 {
	scale := g.guider.scale
	for _, r := range g.params.Hooks.Scales {
		if r.Low <= float64(sigma) && float64(sigma) <= r.High {
			scale = r.Scale
		}
	}
	return scale
}

// checkShape fails when a sampler has changed the latent's size and the run holds masks or images of the old one.
func (g *guide) checkShape(x *tensor.Tensor) error {
	same := len(x.Shape) == len(g.shape)
	for i := 0; same && i < len(g.shape); i++ {
		same = x.Shape[i] == g.shape[i]
	}
	if same {
		return nil
	}
	fixed := g.inpaint != nil
	for _, side := range g.sides {
		for _, e := range side {
			fixed = fixed || e.mask != nil || e.area != nil || slices.ContainsFunc(e.inputs, func(in Input) bool { return in.Rule.Spatial() })
		}
	}
	if fixed {
		return fmt.Errorf("sampling: %s made latents of shape %v out of %v, which the run's masks, areas or inpainting do not fit", g.sampler, x.Shape, g.shape)
	}
	return nil
}

// checkFinite fails when a tensor holds NaN or infinity: no later step could mend that, and the image would be black.
func (g *guide) checkFinite(what string, x *tensor.Tensor) error {
	if vec.Finite(x.Data) {
		return nil
	}
	bad := 0
	for _, v := range x.Data {
		if d := v - v; d != 0 { // NaN for infinities too
			bad++
		}
	}
	return fmt.Errorf("sampling with %s, step %d of %d: %s: %w (%d of %d values): the weights are damaged, the precision is too low for them or the sampler's settings are too strong",
		g.sampler, g.steps+1, max(len(g.sigmas)-1, 1), what, ErrNotFinite, bad, len(x.Data))
}

// maskAt returns the noise mask at a level, or nil.
func (g *guide) maskAt(sigma float32) *tensor.Tensor {
	switch {
	case g.inpaint == nil:
		return nil
	case g.params.Hooks.Mask == nil:
		return g.inpaint.mask
	}
	return g.params.Hooks.Mask(MaskInfo{Sigma: sigma, Sigmas: g.sigmas, Model: g.model}, g.inpaint.mask)
}

// inpaint keeps the parts of a latent that its noise mask protects.
type inpaint struct {
	mask, latent, noise *tensor.Tensor
}

// before returns x with the protected parts replaced by the latent at the same sigma.
func (p *inpaint) before(g *guide, mask, x *tensor.Tensor, sigma float32) (*tensor.Tensor, error) {
	var kept *tensor.Tensor
	if n, ok := g.params.Network.(PartsKeeper); ok && len(g.params.parts) > 1 {
		var err error
		if kept, err = n.KeptParts(Kept{Sigma: sigma, X: x, Latent: p.latent, Noise: p.noise, Mask: mask, Parts: g.params.parts, Model: g.model}); err != nil {
			return nil, err
		}
	}
	if n, ok := g.params.Network.(Keeper); ok && kept == nil {
		kept = n.Kept(sigma, p.latent)
	}
	if kept == nil {
		kept = g.model.AddNoise(sigma, p.noise, p.latent, false)
	}
	out := like(x)
	for i, k := range mask.Data {
		out.Data[i] = float32(x.Data[i]*k) + float32(kept.Data[i]*(1-k))
	}
	return out, nil
}

// after returns the prediction with the protected parts replaced by the latent.
func (p *inpaint) after(mask, denoised *tensor.Tensor) *tensor.Tensor {
	out := like(denoised)
	for i, k := range mask.Data {
		out.Data[i] = float32(denoised.Data[i]*k) + float32(p.latent.Data[i]*(1-k))
	}
	return out
}

// one reports whether a guidance scale changes nothing.
func one(scale float64) bool { return closeTo(scale, 1, 1e-9, 0) }

// checkScale fails for a scale that is not a number.
func checkScale(name string, v float64) error {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Errorf("sampling: %s is %v", name, v)
	}
	return nil
}
