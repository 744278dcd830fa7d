package sampling

import (
	"context"
	"math"
	"sync"

	"comfygo/engine/tensor"
)

// The functions of this file are hooks on guidance. They work on each row of a batch by itself unless they say otherwise.

// eachRow calls f with the elements of each row of tensors of the same shape.
func eachRow(f func(rows [][]float32), tensors ...*tensor.Tensor) {
	n := tensors[0].Dim(0)
	size := tensors[0].Len() / max(n, 1)
	rows := make([][]float32, len(tensors))
	for b := range n {
		for i, t := range tensors {
			rows[i] = t.Data[b*size : (b+1)*size]
		}
		f(rows)
	}
}

func dot(a, b []float32) float64 {
	total := 0.0
	for i, v := range a {
		total += float64(v) * float64(b[i])
	}
	return total
}

// RescaleCFG rescales the guided prediction to the spread of the positive one, to the share multiplier (Lin et al., "Common
// Diffusion Noise Schedules and Sample Steps are Flawed"). It works on velocities, or on clean latents for a flow.
func RescaleCFG(multiplier float64) CombineFunc {
	return func(_ context.Context, g Guidance) (*tensor.Tensor, error) {
		if g.Model.Flow() {
			return sum(term{1, g.X}, term{-1, rescaled(g.Cond, g.Uncond, g.Scale, multiplier, 1e-8)}), nil
		}
		den := g.Sigma*g.Sigma + 1
		root := sqrt32(den)
		velocity := func(denoised *tensor.Tensor) *tensor.Tensor {
			return zip(g.X, denoised, func(x, d float32) float32 { return float32((x/den-d)*root) / g.Sigma })
		}
		v := rescaled(velocity(g.Cond), velocity(g.Uncond), g.Scale, multiplier, 0)
		return zip(g.X, v, func(x, v float32) float32 { return x - (x/den - float32(v*g.Sigma)/root) }), nil
	}
}

// rescaled guides from uncond to cond and then mixes the result with itself rescaled to the standard deviation of cond.
func rescaled(cond, uncond *tensor.Tensor, scale, multiplier float64, least float32) *tensor.Tensor {
	guided := sum(term{1, uncond}, term{float32(scale), sum(term{1, cond}, term{-1, uncond})})
	eachRow(func(rows [][]float32) {
		ratio := deviationOf(rows[0]) / max(deviationOf(rows[1]), least)
		for i, v := range rows[1] {
			rows[1][i] = float32(float32(multiplier)*float32(v*ratio)) + float32(float32(1-multiplier)*v)
		}
	}, cond, guided)
	return guided
}

// CFGZeroStar scales the negative prediction by what makes it lie nearest to the positive one (Fan et al., "CFG-Zero*", arXiv
// 2503.18886).
func CFGZeroStar() AfterFunc {
	return func(_ context.Context, g Guidance, denoised *tensor.Tensor) (*tensor.Tensor, error) {
		out := denoised.Clone()
		pos, neg := sum(term{1, g.X}, term{-1, g.Cond}), sum(term{1, g.X}, term{-1, g.Uncond})
		eachRow(func(rows [][]float32) {
			alpha := float32(dot(rows[0], rows[1])) / (float32(dot(rows[1], rows[1])) + 1e-8)
			for i, u := range rows[2] {
				rows[3][i] = rows[3][i] + float32(u*(alpha-1)) + float32(float32(float32(g.Scale)*u)*(1-alpha))
			}
		}, pos, neg, g.Uncond, out)
		return out, nil
	}
}

// eachCell calls f with the values of all channels at each place of tensors of the same shape [B,C,axes…], gathered in
// slices that change with each call; what f leaves in the last slice is written back.
func eachCell(f func(values [][]float32), tensors ...*tensor.Tensor) {
	channels := tensors[0].Dim(1)
	cells := tensor.Count(tensors[0].Shape[2:])
	values := make([][]float32, len(tensors))
	for i := range values {
		values[i] = make([]float32, channels)
	}
	for b := range tensors[0].Dim(0) {
		for cell := range cells {
			for i, t := range tensors {
				for c := range channels {
					values[i][c] = t.Data[(b*channels+c)*cells+cell]
				}
			}
			f(values)
			for c, v := range values[len(values)-1] {
				tensors[len(tensors)-1].Data[(b*channels+c)*cells+cell] = v
			}
		}
	}
}

func length(v []float32) float32 { return float32(math.Sqrt(dot(v, v))) }

// CFGNorm shortens the guided prediction to at most the length of the positive one at each place, and multiplies it by strength.
func CFGNorm(strength float64) AfterFunc {
	return func(_ context.Context, g Guidance, denoised *tensor.Tensor) (*tensor.Tensor, error) {
		out := denoised.Clone()
		eachCell(func(v [][]float32) {
			scale := min(max(length(v[0])/(length(v[1])+1e-8), 0), 1)
			for c, x := range v[1] {
				v[1][c] = float32(x*scale) * float32(strength)
			}
		}, g.Cond, out)
		return out, nil
	}
}

// CFGNormNoise rescales the guided noise to the length of the positive one at each place, to the share strength.
func CFGNormNoise(strength float64) CombineFunc {
	return func(_ context.Context, g Guidance) (*tensor.Tensor, error) {
		cond, uncond := sum(term{1, g.X}, term{-1, g.Cond}), sum(term{1, g.X}, term{-1, g.Uncond})
		guided := sum(term{1, uncond}, term{float32(g.Scale), sum(term{1, cond}, term{-1, uncond})})
		eachCell(func(v [][]float32) {
			scale := float32(1)
			if l := length(v[1]); l > 0 {
				scale = length(v[0]) / max(l, 1e-12)
			}
			for c, x := range v[1] {
				v[1][c] = x * scale
				if strength != 1 {
					v[1][c] = float32(float32(strength)*v[1][c]) + float32(float32(1-strength)*x)
				}
			}
		}, cond, guided)
		return guided, nil
	}
}

// APG bounds the direction of guidance, gives it momentum and takes the part along the positive prediction only to the share
// eta (Sadat et al., "Eliminating Oversaturation and Artifacts of High Guidance Scales", arXiv 2410.02416). The momentum continues
// from prediction to prediction until the sigma rises, also across runs.
func APG(eta, threshold, momentum float64) BeforeFunc {
	a := &apg{eta: float32(eta), threshold: threshold, momentum: float32(momentum)}
	return a.apply
}

type apg struct {
	eta, momentum float32
	threshold     float64
	mu            sync.Mutex
	running       *tensor.Tensor
	last          float32
	started       bool
}

func (a *apg) apply(_ context.Context, g Guidance, sides []*tensor.Tensor) ([]*tensor.Tensor, error) {
	cond, uncond := sides[0], sides[1]
	difference := sum(term{1, cond}, term{-1, uncond})
	guidance := a.accumulate(g.Sigma, difference).Clone()
	tail := tensor.Count(guidance.Shape[max(len(guidance.Shape)-3, 0):])
	for at := 0; at+tail <= len(guidance.Data); at += tail {
		a.bend(guidance.Data[at:at+tail], cond.Data[at:at+tail])
	}
	scale := float32(g.Scale)
	out := sum(term{1, uncond}, term{1, guidance}, term{1, apply(difference, func(v float32) float32 { return v / scale })})
	return append([]*tensor.Tensor{out, uncond}, sides[2:]...), nil
}

// accumulate returns the guidance with its momentum.
func (a *apg) accumulate(sigma float32, guidance *tensor.Tensor) *tensor.Tensor {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.started && sigma > a.last {
		a.running = nil
	}
	a.started, a.last = true, sigma
	if a.momentum == 0 {
		return guidance
	}
	if a.running != nil && tensor.SameShape(a.running, guidance) {
		guidance = sum(term{a.momentum, a.running}, term{1, guidance})
	}
	a.running = guidance
	return guidance
}

// bend bounds a guidance and projects it.
func (a *apg) bend(guidance, cond []float32) {
	if a.threshold > 0 {
		scale := min(1, float32(a.threshold)/length(guidance))
		for i := range guidance {
			guidance[i] *= scale
		}
	}
	norm := max(length(cond), 1e-12)
	along := 0.0
	for i, v := range guidance {
		along += float64(v * (cond[i] / norm))
	}
	for i, v := range guidance {
		parallel := float32(along) * (cond[i] / norm)
		guidance[i] = (v - parallel) + float32(a.eta*parallel)
	}
}

// TCFG keeps of the negative side's noise only the part in the main direction of both sides (Kwon et al., "TCFG: Tangential Damping
// Classifier-free Guidance", arXiv 2503.18137).
func TCFG() BeforeFunc {
	return func(_ context.Context, g Guidance, sides []*tensor.Tensor) ([]*tensor.Tensor, error) {
		if !g.HasCond || !g.HasUncond {
			return sides, nil
		}
		cond, uncond := sum(term{1, g.X}, term{-1, sides[0]}), sum(term{1, g.X}, term{-1, sides[1]})
		eachRow(func(rows [][]float32) { damp(rows[0], rows[1]) }, cond, uncond)
		return append([]*tensor.Tensor{sides[0], sum(term{1, g.X}, term{-1, uncond})}, sides[2:]...), nil
	}
}

// damp projects uncond on the first right singular vector of the matrix with the rows uncond and cond, which is the combination of
// them that the greater eigenvector of their Gram matrix gives.
func damp(cond, uncond []float32) {
	uu, cc, uc := dot(uncond, uncond), dot(cond, cond), dot(uncond, cond)
	angle := 0.5 * math.Atan2(2*uc, uu-cc)
	a, b := math.Cos(angle), math.Sin(angle)
	square := a*a*uu + 2*a*b*uc + b*b*cc
	if !(square > 0) {
		return
	}
	along := (a*uu + b*uc) / square
	for i, u := range uncond {
		uncond[i] = float32(along * (a*float64(u) + b*float64(cond[i])))
	}
}

// Mahiro moves the guided prediction towards the positive one the more alike their directions are, over all rows together.
func Mahiro() AfterFunc {
	return func(_ context.Context, g Guidance, denoised *tensor.Tensor) (*tensor.Tensor, error) {
		scale := float32(g.Scale)
		leap := sum(term{scale, g.Cond})
		root := func(v float32) float32 {
			if v < 0 {
				return -sqrt32(-v)
			}
			return sqrt32(v)
		}
		negative := apply(g.Uncond, func(u float32) float32 { return root(u * scale) })
		merged := zip(leap, denoised, func(l, d float32) float32 { return root((l + d) / 2) })
		total, cells := 0.0, 0
		eachCell(func(v [][]float32) {
			total += dot(v[0], v[1]) / (max(math.Sqrt(dot(v[0], v[0])), 1e-8) * max(math.Sqrt(dot(v[1], v[1])), 1e-8))
			cells++
		}, negative, merged)
		alike := 2 * (float32(total/float64(max(cells, 1))) + 1)
		return zip(denoised, leap, func(d, l float32) float32 { return (float32(alike*d) + float32((4-alike)*l)) / 4 }), nil
	}
}

// EpsilonScaling divides the predicted noise by a factor (Ning et al., "Elucidating the Exposure Bias in Diffusion Models", arXiv
// 2308.15321).
func EpsilonScaling(factor float64) AfterFunc {
	if factor == 0 {
		factor = 1e-9
	}
	f := float32(factor)
	return func(_ context.Context, g Guidance, denoised *tensor.Tensor) (*tensor.Tensor, error) {
		return zip(g.X, denoised, func(x, d float32) float32 { return x - (x-d)/f }), nil
	}
}

// TemporalRescaling scales the score by the ratio of signal to noise: k is the factor at the end, width determines how early it
// is reached (arXiv 2510.01184).
func TemporalRescaling(k, width float64) AfterFunc {
	variance := float32(width * width)
	return func(_ context.Context, g Guidance, denoised *tensor.Tensor) (*tensor.Tensor, error) {
		if k == 1 || g.Sigma == 0 {
			return denoised, nil
		}
		half := g.Model.halfLogSNR(g.Sigma)
		snr := exp32(2 * half)
		if snr == 0 {
			return denoised, nil
		}
		ratio := float32(k)
		if !math.IsInf(float64(snr), 1) {
			ratio = (snr*variance + 1) / (snr*variance/float32(k) + 1)
		}
		alpha := g.Sigma * exp32(half)
		return zip(g.X, denoised, func(x, d float32) float32 { return mixed(x/alpha, d, ratio) }), nil
	}
}

// PerpNegCombine is the guidance of PerpNegGuider with a prediction of its own for the empty conditioning.
func PerpNegCombine(empty []Cond, negScale float64) CombineFunc {
	return func(ctx context.Context, g Guidance) (*tensor.Tensor, error) {
		nothing, err := g.Predict(ctx, empty)
		if err != nil {
			return nil, err
		}
		return sum(term{1, g.X}, term{-1, PerpNeg(g.Cond, g.Uncond, nothing, negScale, g.Scale)}), nil
	}
}

// NoisyLatent returns a latent of the VAE's space with noise of the levels' span. Upstream: AddNoise.
func NoisyLatent(m *ModelSampling, f LatentFormat, sigmas []float32, noise, latent *tensor.Tensor) *tensor.Tensor {
	scale := sigmas[0]
	if len(sigmas) > 1 {
		scale = abs32(sigmas[0] - sigmas[len(sigmas)-1])
	}
	for _, v := range latent.Data {
		if v != 0 {
			latent = f.In(latent)
			break
		}
	}
	out := f.Out(m.AddNoise(scale, noise, latent, false))
	return apply(out, func(v float32) float32 {
		if v-v != 0 {
			return 0
		}
		return v
	})
}
