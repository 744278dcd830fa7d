package dit

import (
	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/tensor"
)

// OptionRotary is the run option that scales and shifts positions: a Rotary. Upstream: transformer_options["rope_options"].
const OptionRotary = "rope_options"

// Rotary scales and shifts the positions of image tokens, for images beyond the sizes that a model was trained with.
type Rotary struct {
	ScaleX, ShiftX, ScaleY, ShiftY, ScaleT, ShiftT float64
}

// RotaryOf returns the run option, or def without one.
func RotaryOf(options map[string]any, def Rotary) Rotary {
	if r, ok := options[OptionRotary].(Rotary); ok {
		return r
	}
	return def
}

// Unscaled means unscaled positions.
var Unscaled = Rotary{ScaleX: 1, ScaleY: 1, ScaleT: 1}

// Line returns n positions from offset on, spread to the given scale: position i is offset + i·scale. Upstream:
// torch.linspace in the models' patchify.
func Line(n int, offset, scale float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = float64(float32(offset + float64(i)*scale))
	}
	return out
}

// Angles are the inputs of a graph for rotary position embeddings: cosines and sines [1,tokens,D/2].
func Angles(positions []float64, theta float64, dims ...int) []family.Value {
	thetas := make([]float64, len(dims))
	for i := range thetas {
		thetas[i] = theta
	}
	return AxisAngles(positions, thetas, dims...)
}

// AxisAngles is Angles with a theta of its own for each axis.
func AxisAngles(positions, thetas []float64, dims ...int) []family.Value {
	cos, sin := nn.RotaryTables(positions, thetas, dims...)
	tokens := len(positions) / len(dims)
	width := len(cos) / max(tokens, 1)
	return []family.Value{
		family.Floats("cos", &tensor.Tensor{Shape: []int{1, tokens, width}, Data: cos}),
		family.Floats("sin", &tensor.Tensor{Shape: []int{1, tokens, width}, Data: sin}),
	}
}
