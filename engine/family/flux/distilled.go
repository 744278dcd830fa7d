package flux

import (
	"math"

	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// modulations is the number of rows that a distilled network makes: three for each single block and each half of a layer of
// a double block, two for the last layer, in the published size of 38 single and 19 double blocks. Smaller networks use the
// first ones, and the last two.
const modulations = 344

// distilledWidth is the width of the vectors that it reads: 16 values for the timestep and the guidance each, 32 for the
// row's number.
const distilledWidth = 64

// distilledInput converts timesteps and guidances to the vectors [N,modulations,64]. Upstream: Chroma.forward_orig.
func distilledInput(times, guidances []float32) *tensor.Tensor {
	const factor = 1000
	out := tensor.New(len(times), modulations, distilledWidth)
	for n, t := range times {
		var head []float32
		head = waves(head, t*factor, distilledWidth/4)
		head = waves(head, guidances[n]*factor, distilledWidth/4)
		for i := range modulations {
			copy(out.Index(n).Data[i*distilledWidth:], waves(head, float32(i)*factor, distilledWidth/2))
		}
	}
	return out
}

// waves appends the embedding of a number: cosines, then sines, at width/2 frequencies. Upstream: timestep_embedding.
func waves(to []float32, v float32, width int) []float32 {
	half := width / 2
	angles := make([]float64, half)
	for i := range angles {
		freq := float32(math.Exp(float64(float32(-math.Log(10000)) * float32(i) / float32(half))))
		angles[i] = float64(v * freq)
	}
	for _, a := range angles {
		to = append(to, float32(math.Cos(a)))
	}
	for _, a := range angles {
		to = append(to, float32(math.Sin(a)))
	}
	return to
}

// approximate converts the input distilled to the modulations [B,modulations,C].
func approximate(b *nn.Builder, s *weights.Scope, c Config) *onnx.Value {
	x := b.Linear(s.At("in_proj"), dit.Input(b, "distilled", symB, onnx.D(modulations), onnx.D(distilledWidth)), c.Distilled)
	for i := range s.Count("layers") {
		y := b.RMSNorm(s.At("norms").Index(i), x, dit.F32Epsilon)
		x = b.Add(x, dit.MLP(b, s.At("layers").Index(i), y, c.Distilled, c.Distilled, "in_layer", "out_layer"))
	}
	return b.Linear(s.At("out_proj"), x, c.Hidden)
}

// row is a row of the modulations [B,1,C].
func (w *writer) row(i int) *onnx.Value { return w.Slice(w.table, 1, i, i+1) }

// rows are n modulations from row i on.
func (w *writer) rows(i, n int) []dit.Mod {
	out := make([]dit.Mod, n)
	for k := range out {
		out[k] = dit.Mod{Shift: w.row(i + 3*k), Scale: w.row(i + 3*k + 1), Gate: w.row(i + 3*k + 2)}
	}
	return out
}
