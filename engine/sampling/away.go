package sampling

import (
	"context"

	"comfygo/engine/tensor"
)

// The options of networks that generate video and audio together: OptionApart, a bool, stops attention between the two,
// OptionWithoutReference, a bool, leaves the reference audio of the conditioning out.
const (
	OptionApart            = "av_cross_attention_off"
	OptionWithoutReference = "without_ref_audio"
)

// AwayFrom guides away from the prediction with other options by scale times the difference, at sigmas from high down to low.
// Upstream: nodes_lt.py LTXVReferenceAudio, LTXVModalityGuidance, LTXVSpatioTemporalGuidance.
func AwayFrom(options map[string]any, scale, low, high float64) AfterFunc {
	return func(ctx context.Context, g Guidance, denoised *tensor.Tensor) (*tensor.Tensor, error) {
		if s := float64(g.Sigma); scale == 0 || s > high || s < low {
			return denoised, nil
		}
		without, err := g.Again(ctx, false, options)
		if err != nil {
			return nil, err
		}
		return sum(term{1, denoised}, term{float32(scale), sum(term{1, g.Cond}, term{-1, without})}), nil
	}
}
