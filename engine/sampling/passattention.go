package sampling

import (
	"context"

	"comfygo/engine/tensor"
)

// OptionPassAttention is the option that has self-attention pass its values on: []int of the blocks of a transformer.
const OptionPassAttention = "stg_self_attn_blocks"

// PassAttention guides away from what the network predicts when the self-attention of some of its blocks passes its values on, scale
// times as far as it is off, at sigmas from high down to low. Upstream: nodes_lt.py LTXVSpatioTemporalGuidance, after Hyung et al.,
// "Spatiotemporal Skip Guidance", arXiv 2411.18664.
func PassAttention(blocks []int, scale, low, high float64) AfterFunc {
	return func(ctx context.Context, g Guidance, denoised *tensor.Tensor) (*tensor.Tensor, error) {
		if s := float64(g.Sigma); scale == 0 || len(blocks) == 0 || s > high || s < low {
			return denoised, nil
		}
		without, err := g.Again(ctx, false, map[string]any{OptionPassAttention: blocks})
		if err != nil {
			return nil, err
		}
		return sum(term{1, denoised}, term{float32(scale), sum(term{1, g.Cond}, term{-1, without})}), nil
	}
}
