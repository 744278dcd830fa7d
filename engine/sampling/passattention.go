package sampling

// OptionPassAttention is the option that has self-attention pass its values on: []int of the blocks of a transformer.
const OptionPassAttention = "stg_self_attn_blocks"

// PassAttention guides away from the prediction in which the self-attention of some blocks returns its values, by scale times the
// difference, at sigmas from high down to low. Upstream: nodes_lt.py LTXVSpatioTemporalGuidance, after Hyung et al., "Spatiotemporal
// Skip Guidance", arXiv 2411.18664.
func PassAttention(blocks []int, scale, low, high float64) AfterFunc {
	if len(blocks) == 0 {
		scale = 0
	}
	return AwayFrom(map[string]any{OptionPassAttention: blocks}, scale, low, high)
}
