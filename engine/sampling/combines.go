package sampling

import (
	"context"
	"math"

	"comfygo/engine/tensor"
)

// The functions of this file replace guidance with one of another scale for each row or part, or of bounded length.

// guidedRows is classifier-free guidance with a scale for each row, as the noise that is left.
func guidedRows(g Guidance, scales []float32) *tensor.Tensor {
	pos, out := sum(term{1, g.X}, term{-1, g.Cond}), sum(term{1, g.X}, term{-1, g.Uncond})
	row := 0
	eachRow(func(rows [][]float32) {
		for i, u := range rows[1] {
			rows[1][i] = u + float32(scales[row]*(rows[0][i]-u))
		}
		row++
	}, pos, out)
	return out
}

// LinearCFG guides the frames of a video by scales that rise evenly from least to the run's. Upstream: VideoLinearCFGGuidance.
func LinearCFG(least float64) CombineFunc {
	return func(_ context.Context, g Guidance) (*tensor.Tensor, error) {
		return guidedRows(g, linspace(float32(least), float32(g.Scale), g.X.Dim(0))), nil
	}
}

// TriangleCFG guides the frames of a video by scales that rise from least to the run's in the middle, and fall again. Upstream:
// VideoTriangleCFGGuidance.
func TriangleCFG(least float64) CombineFunc {
	return func(_ context.Context, g Guidance) (*tensor.Tensor, error) {
		scales := linspace(0, 1, g.X.Dim(0))
		for i, v := range scales {
			v = 2 * abs32(v-float32(math.Floor(float64(v+0.5))))
			scales[i] = float32(v*float32(g.Scale-least)) + float32(least)
		}
		return guidedRows(g, scales), nil
	}
}

// RenormCFG shortens the guided prediction to limit times the length of the positive one, without a bound where limit is 0. At levels
// from until on there is no guidance. Upstream: the node of that name, which knows batches of one.
func RenormCFG(until, limit float64) CombineFunc {
	return func(_ context.Context, g Guidance) (*tensor.Tensor, error) {
		if float64(g.Sigma) >= until {
			return sum(term{1, g.X}, term{-1, g.Cond}), nil
		}
		guided := sum(term{1, g.Uncond}, term{float32(g.Scale), sum(term{1, g.Cond}, term{-1, g.Uncond})})
		eachRow(func(rows [][]float32) {
			most, now := length(rows[0])*float32(limit), length(rows[1])
			if !(limit > 0) || now < most {
				return
			}
			for i := range rows[1] {
				rows[1][i] *= most / now
			}
		}, g.Cond, guided)
		return sum(term{1, g.X}, term{-1, guided}), nil
	}
}

// PartsGuider is classifier-free guidance of nested latents, with a scale for the first part and one for all others. Latents of
// one part are guided by the first scale. Upstream: Guider_LTXAVDualCFG.
func PartsGuider(positive, negative []Cond, scale, others float64) *Guider {
	g := CFGGuider(positive, negative, scale)
	g.check = func() error {
		if err := checkScale("the scale of the first part", scale); err != nil {
			return err
		}
		return checkScale("the scale of the other parts", others)
	}
	g.guide = func(ctx context.Context, p *guided) (*tensor.Tensor, error) {
		parts := p.guide.params.parts
		if len(parts) < 2 || closeTo(scale, others, 1e-9, 0) {
			return twoSided(ctx, p)
		}
		out, err := p.predict(ctx, 0, 1)
		if err != nil {
			return nil, err
		}
		if out, err = p.before(ctx, out, []int{0, 1}); err != nil {
			return nil, err
		}
		p.scale = max(scale, others)
		info := p.guidance(out[0], out[1], true, true)
		first := tensor.Count(parts[0][1:])
		pos, neg := sum(term{1, p.X}, term{-1, out[0]}), sum(term{1, p.X}, term{-1, out[1]})
		eachRow(func(rows [][]float32) {
			for i, u := range rows[1] {
				factor := float32(scale)
				if i >= first {
					factor = float32(others)
				}
				rows[1][i] = u + float32((rows[0][i]-u)*factor)
			}
		}, pos, neg)
		return p.after(ctx, info, sum(term{1, p.X}, term{-1, neg}))
	}
	return g
}
