package sampling

import (
	"context"
	"math"

	"comfygo/engine/tensor"
)

// Guider is how the predictions for several conditionings become one: what GUIDER links carry beside the model. It is
// immutable.
type Guider struct {
	sides []Side
	scale float64
	guide func(ctx context.Context, p *guided) (*tensor.Tensor, error)
	// check, when set, fails for settings that no run can use.
	check func() error
	// second, when set, is the model that predicts the sides from secondFrom on.
	second     *Params
	secondFrom int
}

// Side is one conditioning of a guider.
type Side struct {
	Conds []Cond
	// Negative reports that models which distinguish the sides treat it as a negative one.
	Negative bool
}

// guided is one prediction in the making.
type guided struct {
	// X is the noisy latent at level Sigma.
	X     *tensor.Tensor
	Sigma float32
	guide *guide
	scale float64
}

// CFGGuider is classifier-free guidance (Ho and Salimans, "Classifier-Free Diffusion Guidance"). Upstream: CFGGuider and
// sampling_function.
func CFGGuider(positive, negative []Cond, scale float64) *Guider {
	return &Guider{
		sides: []Side{{Conds: positive}, {Conds: negative, Negative: true}}, scale: scale,
		guide: twoSided, check: func() error { return checkScale("cfg", scale) },
	}
}

// BasicGuider follows one conditioning alone.
func BasicGuider(conds []Cond) *Guider {
	return &Guider{sides: []Side{{Conds: conds}}, scale: 1, guide: twoSided}
}

// DualModelGuider is classifier-free guidance whose negative side another model predicts: second holds its Network, Model,
// Format, Inputs and Fits.
func DualModelGuider(positive, negative []Cond, scale float64, second Params) *Guider {
	g := CFGGuider(positive, negative, scale)
	g.second, g.secondFrom, g.guide = &second, 1, twoModels
	return g
}

// twoSided predicts the first two sides and combines them.
func twoSided(ctx context.Context, p *guided) (*tensor.Tensor, error) {
	which := []int{0, 1}
	if len(p.guide.sides) < 2 || one(p.scale) && !p.guide.both {
		which[1] = -1
	}
	out, err := p.predict(ctx, which...)
	if err != nil {
		return nil, err
	}
	if out, err = p.before(ctx, out, which); err != nil {
		return nil, err
	}
	return p.combine(ctx, p.guidance(out[0], out[1], true, which[1] >= 0))
}

func twoModels(ctx context.Context, p *guided) (*tensor.Tensor, error) {
	out, err := p.predict(ctx, 0)
	if err != nil || one(p.guide.guider.scale) || one(p.scale) && !p.guide.both {
		if err == nil {
			p.guide.uncond = out[0]
		}
		return first(out), err
	}
	second := *p
	second.guide = p.guide.other
	negative, err := second.predict(ctx, 1)
	if err != nil {
		return nil, err
	}
	return p.combine(ctx, p.guidance(out[0], negative[0], true, true))
}

func first(out []*tensor.Tensor) *tensor.Tensor {
	if len(out) == 0 {
		return nil
	}
	return out[0]
}

// DualCFGGuider guides by two positive conditionings: from negative to second by secondScale, from second to first by
// scale (InstructPix2Pix, Brooks et al., 2023). The nested form applies the second scale to the result of the first.
func DualCFGGuider(firstSide, secondSide, negative []Cond, scale, secondScale float64, nested bool) *Guider {
	g := &Guider{
		sides: []Side{{Conds: firstSide}, {Conds: secondSide, Negative: true}, {Conds: negative, Negative: true}}, scale: scale,
		check: func() error {
			if err := checkScale("cfg_conds", scale); err != nil {
				return err
			}
			return checkScale("cfg_cond2_negative", secondScale)
		},
	}
	g.guide = func(ctx context.Context, p *guided) (*tensor.Tensor, error) {
		return p.dual(ctx, scale, secondScale)
	}
	if nested {
		g.guide = func(ctx context.Context, p *guided) (*tensor.Tensor, error) {
			return p.nested(ctx, scale, secondScale)
		}
	}
	return g
}

func (p *guided) dual(ctx context.Context, scale, secondScale float64) (*tensor.Tensor, error) {
	which := []int{2, 1, 0}
	if !p.guide.both && one(secondScale) {
		which[0] = -1
		if one(scale) {
			which[1] = -1
		}
	}
	out, err := p.predict(ctx, which...)
	if err != nil {
		return nil, err
	}
	p.scale = secondScale
	inner, err := p.combine(ctx, p.guidance(out[1], out[0], which[1] >= 0, which[0] >= 0))
	if err != nil {
		return nil, err
	}
	return sum(term{1, inner}, term{float32(scale), sum(term{1, out[2]}, term{-1, out[1]})}), nil
}

func (p *guided) nested(ctx context.Context, scale, secondScale float64) (*tensor.Tensor, error) {
	out, err := p.predict(ctx, 2, 1, 0)
	if err != nil {
		return nil, err
	}
	p.scale = scale
	inner, err := p.combine(ctx, p.guidance(out[2], out[1], true, true))
	if err != nil {
		return nil, err
	}
	return sum(term{1, out[0]}, term{float32(secondScale), sum(term{1, inner}, term{-1, out[0]})}), nil
}

// PerpNegGuider removes the component parallel to the positive direction from the negative one (Armandpour et al.,
// "Re-imagine the Negative Prompt Algorithm"). Both start at the prediction for the empty conditioning.
func PerpNegGuider(positive, negative, empty []Cond, scale, negScale float64) *Guider {
	g := &Guider{
		sides: []Side{{Conds: positive}, {Conds: empty, Negative: true}, {Conds: negative, Negative: true}}, scale: scale,
		check: func() error {
			if err := checkScale("cfg", scale); err != nil {
				return err
			}
			return checkScale("neg_scale", negScale)
		},
	}
	g.guide = func(ctx context.Context, p *guided) (*tensor.Tensor, error) { return p.perpNeg(ctx, negScale) }
	return g
}

func (p *guided) perpNeg(ctx context.Context, negScale float64) (*tensor.Tensor, error) {
	which := []int{0, 2, 1}
	if !p.guide.both && closeTo(negScale, 0, 1e-9, 0) {
		which[1] = -1
		if one(p.scale) {
			which[2] = -1
		}
	}
	out, err := p.predict(ctx, which...)
	if err != nil {
		return nil, err
	}
	if out, err = p.before(ctx, out, which); err != nil {
		return nil, err
	}
	return p.after(ctx, p.guidance(out[0], out[1], true, which[1] >= 0), PerpNeg(out[0], out[1], out[2], negScale, p.scale))
}

// PerpNeg returns the prediction for empty moved by scale towards pos and, by negScale, away from the part of neg that is
// perpendicular to it.
func PerpNeg(pos, neg, empty *tensor.Tensor, negScale, scale float64) *tensor.Tensor {
	p, n := sum(term{1, pos}, term{-1, empty}), sum(term{1, neg}, term{-1, empty})
	var dot, square float64
	for i, v := range p.Data {
		dot += float64(n.Data[i]) * float64(v)
		square += float64(v) * float64(v)
	}
	norm := float32(math.Sqrt(square))
	share := float32(dot) / (norm * norm)
	perp := sum(term{1, n}, term{-share, p})
	return sum(term{1, empty}, term{float32(scale), sum(term{1, p}, term{-float32(negScale), perp})})
}
