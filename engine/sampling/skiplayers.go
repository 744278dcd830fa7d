package sampling

import (
	"context"

	"comfygo/engine/tensor"
)

// The options that have a transformer leave out layers: []int of those with two streams and of those with one. Networks without such
// layers leave out nothing.
const (
	OptionSkipDouble = "skip_double_layers"
	OptionSkipSingle = "skip_single_layers"
)

// SkippedLayers are layers that a network leaves out at levels from High down to Low.
type SkippedLayers struct {
	Double, Single []int
	Low, High      float64
}

func (s SkippedLayers) active(sigma float32) bool {
	return s.Low <= float64(sigma) && float64(sigma) <= s.High
}

func (s SkippedLayers) options() map[string]any {
	return map[string]any{OptionSkipDouble: s.Double, OptionSkipSingle: s.Single}
}

// SkipLayerGuidance guides away from the prediction without some of the network's layers by scale times the difference. rescale is
// the share to which the result is rescaled to the standard deviation of the positive prediction. Upstream: SkipLayerGuidanceDiT,
// after Ahn et al., "Perturbed-Attention Guidance", arXiv 2403.17377.
func SkipLayerGuidance(layers SkippedLayers, scale, rescale float64) AfterFunc {
	return func(ctx context.Context, g Guidance, denoised *tensor.Tensor) (*tensor.Tensor, error) {
		if !(scale > 0) || !layers.active(g.Sigma) {
			return denoised, nil
		}
		without, err := g.Again(ctx, false, layers.options())
		if err != nil {
			return nil, err
		}
		out := sum(term{1, denoised}, term{float32(scale), sum(term{1, g.Cond}, term{-1, without})})
		if rescale != 0 {
			factor := deviationOf(g.Cond.Data) / deviationOf(out.Data)
			out = sum(term{float32(rescale)*factor + float32(1-rescale), out})
		}
		return out, nil
	}
}

// SkipLayers predicts the negative side without some of the network's layers. Upstream: SkipLayerGuidanceDiTSimple.
func SkipLayers(layers SkippedLayers) BeforeFunc {
	return func(ctx context.Context, g Guidance, sides []*tensor.Tensor) ([]*tensor.Tensor, error) {
		if len(sides) < 2 || !g.HasUncond || !layers.active(g.Sigma) {
			return sides, nil
		}
		without, err := g.Again(ctx, true, layers.options())
		if err != nil {
			return nil, err
		}
		return append([]*tensor.Tensor{sides[0], without}, sides[2:]...), nil
	}
}
