package cascade

import (
	"strings"

	"comfygo/engine/weights"
	"comfygo/engine/weights/layout"
)

// foldedNorms shows convolutions with the batch norms behind them as one.
func foldedNorms(src weights.Source) layout.FoldedNorms {
	// normEpsilon is the epsilon of batch norms, netEpsilon that of those of EfficientNetV2.
	const normEpsilon, netEpsilon = 1e-5, 1e-3
	return layout.FoldedNorms{Source: src, Epsilon: func(path string) float64 {
		if strings.Contains(path, "backbone.") {
			return netEpsilon
		}
		return normEpsilon
	}}
}
