package sampling

import (
	"context"

	"comfygo/engine/tensor"
)

// predict returns the predictions of the sides with the given numbers; -1 stands for one that is left out, which is zero.
func (p *guided) predict(ctx context.Context, which ...int) ([]*tensor.Tensor, error) {
	sides := make([][]*entry, len(which))
	for i, n := range which {
		if n >= 0 {
			sides[i] = p.guide.sides[n]
		}
	}
	return p.guide.predict(ctx, sides, p.X, p.Sigma)
}

// guidance returns what hooks see.
func (p *guided) guidance(cond, uncond *tensor.Tensor, hasCond, hasUncond bool) Guidance {
	return Guidance{
		X: p.X, Sigma: p.Sigma, Scale: p.scale, Model: p.guide.model, Cond: cond, Uncond: uncond, HasCond: hasCond, HasUncond: hasUncond,
		Predict: func(ctx context.Context, conds []Cond) (*tensor.Tensor, error) {
			entries, err := p.guide.resolve(Side{Conds: conds, Negative: true}, p.X)
			if err != nil {
				return nil, err
			}
			out, err := p.guide.predict(ctx, [][]*entry{entries}, p.X, p.Sigma)
			return first(out), err
		},
	}
}

// before runs the hooks on the sides' predictions.
func (p *guided) before(ctx context.Context, out []*tensor.Tensor, which []int) ([]*tensor.Tensor, error) {
	for _, f := range p.guide.params.Hooks.Before {
		var err error
		if out, err = f(ctx, p.guidance(nil, nil, which[0] >= 0, which[1] >= 0), out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// combine guides and runs the hooks after it. Upstream: cfg_function.
func (p *guided) combine(ctx context.Context, g Guidance) (*tensor.Tensor, error) {
	var out *tensor.Tensor
	if f := p.guide.params.Hooks.Combine; f != nil {
		noise, err := f(ctx, g)
		if err != nil {
			return nil, err
		}
		out = sum(term{1, p.X}, term{-1, noise})
	} else {
		scale := float32(g.Scale)
		out = zip(g.Cond, g.Uncond, func(cond, uncond float32) float32 {
			return uncond + float32((cond-uncond)*scale)
		})
	}
	return p.after(g, out), nil
}

func (p *guided) after(g Guidance, out *tensor.Tensor) *tensor.Tensor {
	for _, f := range p.guide.params.Hooks.After {
		out = f(g, out)
	}
	p.guide.uncond = g.Uncond
	return out
}
