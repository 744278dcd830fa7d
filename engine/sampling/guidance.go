package sampling

import (
	"context"
	"maps"

	"comfygo/engine/tensor"
)

// predict returns the predictions of the sides with the given numbers; -1 means an omitted side, whose prediction is zero.
func (p *guided) predict(ctx context.Context, which ...int) ([]*tensor.Tensor, error) {
	sides := make([][]*entry, len(which))
	for i, n := range which {
		if n >= 0 {
			sides[i] = p.guide.sides[n]
		}
	}
	return p.guide.predict(ctx, sides, p.X, p.Sigma)
}

// guidance returns the input of hooks.
func (p *guided) guidance(cond, uncond *tensor.Tensor, hasCond, hasUncond bool) Guidance {
	return Guidance{
		Again: p.again, At: p.at,
		X: p.X, Sigma: p.Sigma, Scale: p.scale, Model: p.guide.model, Cond: cond, Uncond: uncond, HasCond: hasCond, HasUncond: hasUncond,
		Predict: func(ctx context.Context, conds []Cond) (*tensor.Tensor, error) {
			entries, err := p.guide.resolve(ctx, Side{Conds: conds, Negative: true}, p.X)
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
		out = sum(term{1, g.Uncond}, term{float32(g.Scale), sum(term{1, g.Cond}, term{-1, g.Uncond})})
	}
	return p.after(ctx, g, out)
}

func (p *guided) after(ctx context.Context, g Guidance, out *tensor.Tensor) (*tensor.Tensor, error) {
	for _, f := range p.guide.params.Hooks.After {
		var err error
		if out, err = f(ctx, g, out); err != nil {
			return nil, err
		}
	}
	p.guide.uncond = g.Uncond
	return out, nil
}

// at predicts a side for another noisy latent at the same sigma.
func (p *guided) at(ctx context.Context, negative bool, x *tensor.Tensor) (*tensor.Tensor, error) {
	side := 0
	if negative {
		side = len(p.guide.sides) - 1
	}
	out, err := p.guide.predict(ctx, [][]*entry{p.guide.sides[side]}, x, p.Sigma)
	return first(out), err
}

// again predicts a side with other options for the network. The negative side is the guider's last one.
func (p *guided) again(ctx context.Context, negative bool, options map[string]any) (*tensor.Tensor, error) {
	params := *p.guide.params
	params.Options = maps.Clone(params.Options)
	if params.Options == nil {
		params.Options = map[string]any{}
	}
	maps.Copy(params.Options, options)
	other := *p.guide
	other.params = &params
	side := 0
	if negative {
		side = len(other.sides) - 1
	}
	out, err := other.predict(ctx, [][]*entry{other.sides[side]}, p.X, p.Sigma)
	return first(out), err
}
