package sampling

import (
	"context"

	"comfygo/engine/tensor"
)

// Hooks change how predictions are guided; the zero value changes nothing. They are a value: With… methods return a changed
// copy, so that models can share common parts. Upstream: the sampler_… entries of a model's options.
type Hooks struct {
	// Combine, when set, replaces classifier-free guidance. Upstream: sampler_cfg_function.
	Combine CombineFunc
	// Before run in order on the predictions of the sides. Upstream: sampler_pre_cfg_function.
	Before []BeforeFunc
	// After run in order on the guided prediction. Upstream: sampler_post_cfg_function.
	After []AfterFunc
	// Scales set the guidance scale at ranges of levels; the last one that holds a level counts.
	Scales []ScaleRange
	// Mask, when set, returns the noise mask for a level in place of the given one, in the same shape. Upstream:
	// denoise_mask_function.
	Mask func(info MaskInfo, mask *tensor.Tensor) *tensor.Tensor
	// Reuse, when set, leaves out predictions that would change little.
	Reuse *Reuse
	// Windows, when set, has long latents predicted in parts.
	Windows *Windows
	// First, when set, are the first frames that the network reads.
	First *FirstFrames
	// BothSides predicts the negative side at a scale of 1, too. Upstream: disable_cfg1_optimization.
	BothSides bool
}

// MaskInfo is what Hooks.Mask knows: the level, the levels of the run and their meaning.
type MaskInfo struct {
	Sigma  float32
	Sigmas []float32
	Model  *ModelSampling
}

// ScaleRange sets the guidance scale at levels from High down to Low.
type ScaleRange struct {
	Low, High, Scale float64
}

// Guidance is the input of hooks for one prediction. Its tensors must not be changed.
type Guidance struct {
	// X is the noisy latent at level Sigma.
	X     *tensor.Tensor
	Sigma float32
	// Scale is the guidance scale.
	Scale float64
	Model *ModelSampling
	// Cond and Uncond are the predicted clean latents of both sides, unset in BeforeFunc. Uncond is all zeros where
	// HasUncond is false: that side was not predicted.
	Cond, Uncond       *tensor.Tensor
	HasCond, HasUncond bool
	// Predict predicts the clean latent for another conditioning, as a negative one.
	Predict func(ctx context.Context, conds []Cond) (*tensor.Tensor, error)
	// Again predicts the positive or the negative side once more with other options for the network, which are added to
	// those of the run: guidance by a network that leaves layers out needs that.
	Again func(ctx context.Context, negative bool, options map[string]any) (*tensor.Tensor, error)
	// At predicts the positive or the negative side for another noisy latent at the same sigma.
	At func(ctx context.Context, negative bool, x *tensor.Tensor) (*tensor.Tensor, error)
}

// CombineFunc returns the guided prediction's distance from X: the noise that the guided latent holds.
type CombineFunc func(ctx context.Context, g Guidance) (*tensor.Tensor, error)

// BeforeFunc returns the predictions to guide with in place of those of the sides, positive first, in the same number.
type BeforeFunc func(ctx context.Context, g Guidance, sides []*tensor.Tensor) ([]*tensor.Tensor, error)

// AfterFunc returns what to use in place of the guided prediction.
type AfterFunc func(ctx context.Context, g Guidance, denoised *tensor.Tensor) (*tensor.Tensor, error)

// WithCombine returns the hooks with another guidance.
func (h Hooks) WithCombine(f CombineFunc) Hooks {
	h.Combine = f
	return h
}

// WithBefore returns the hooks with one more function on the sides' predictions.
func (h Hooks) WithBefore(f BeforeFunc) Hooks {
	h.Before = append(h.Before[:len(h.Before):len(h.Before)], f)
	return h
}

// WithAfter returns the hooks with one more function on the guided prediction.
func (h Hooks) WithAfter(f AfterFunc) Hooks {
	h.After = append(h.After[:len(h.After):len(h.After)], f)
	return h
}

// WithWindows returns the hooks with windows in place of the former ones.
func (h Hooks) WithWindows(w Windows) Hooks {
	h.Windows = &w
	return h
}

// WithScale returns the hooks with one more range of levels that has its own guidance scale.
func (h Hooks) WithScale(r ScaleRange) Hooks {
	h.Scales = append(h.Scales[:len(h.Scales):len(h.Scales)], r)
	return h
}
