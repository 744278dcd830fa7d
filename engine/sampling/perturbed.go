package sampling

import (
	"context"

	"comfygo/engine/tensor"
)

// PerturbedGuidance guides away from the prediction with other options by scale times the difference. Upstream:
// nodes_pag.py, after Ahn et al. 2024, arXiv:2403.17377.
func PerturbedGuidance(scale float64, options map[string]any) AfterFunc {
	return func(ctx context.Context, g Guidance, denoised *tensor.Tensor) (*tensor.Tensor, error) {
		if scale == 0 {
			return denoised, nil
		}
		perturbed, err := g.Again(ctx, false, options)
		if err != nil {
			return nil, err
		}
		return sum(term{1, denoised}, term{float32(scale), sum(term{1, g.Cond}, term{-1, perturbed})}), nil
	}
}
