package sampling

// OptionPassAttention is the option that has self-attention pass its values on: []int of the blocks of a transformer.
const OptionPassAttention = "stg_self_attn_blocks"

// PassAttention guides away from what the network predicts when the self-attention of some of its blocks passes its values on, scale
// times as far as it is off, at sigmas from high down to low. Upstream: nodes_lt.py LTXVSpatioTemporalGuidance, after Hyung et al.,
// "Spatiotemporal Skip Guidance", arXiv 2411.18664.
func PassAttention(blocks []int, scale, low, high float64) AfterFunc {
	if len(blocks) == 0 {
		scale = 0
	}
	return AwayFrom(map[string]any{OptionPassAttention: blocks}, scale, low, high)
}
