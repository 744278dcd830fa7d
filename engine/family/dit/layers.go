package dit

import (
	"comfygo/engine/dtype"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// F32Epsilon is the default epsilon of torch's RMSNorm: the machine epsilon of float32.
const F32Epsilon = 1.1920929e-07

// Input declares a float32 input and returns it in the compute type.
func Input(b *nn.Builder, name string, shape ...onnx.Dim) *onnx.Value {
	return b.Cast(b.Input(name, dtype.F32, shape...), b.Target.Compute)
}

// Output makes v the float32 output called name.
func Output(b *nn.Builder, name string, v *onnx.Value) { b.Output(name, b.Cast(v, dtype.F32)) }

// RotaryInputs declares the inputs that Angles makes, for the given number of tokens and heads of width d.
func RotaryInputs(b *nn.Builder, tokens onnx.Dim, d int) *nn.Rotary {
	return &nn.Rotary{
		Cos: Input(b, "cos", onnx.D(1), tokens, onnx.D(d/2)), Sin: Input(b, "sin", onnx.D(1), tokens, onnx.D(d/2)), Interleaved: true,
	}
}

// MLP is second(SiLU(first(x))), where first and second are linear layers of scope s with biases of their own.
func MLP(b *nn.Builder, s *weights.Scope, x *onnx.Value, hidden, out int, first, second string) *onnx.Value {
	return b.Linear(s.At(second), b.SiLU(b.Linear(s.At(first), x, hidden)), out)
}

// TimeMLP embeds numbers t [B] (float32), each times factor, at 256 frequencies and applies MLP.
func TimeMLP(b *nn.Builder, s *weights.Scope, t *onnx.Value, factor float32, out int, first, second string) *onnx.Value {
	const frequencies = 256
	if factor != 1 {
		t = b.Mul(t, b.Scalar(dtype.F32, factor))
	}
	return MLP(b, s, b.TimestepEmbedding(t, frequencies), out, out, first, second)
}

// HalfSafe keeps activations finite in float16, as upstream does after its blocks: what overflowed becomes the largest
// number.
func HalfSafe(b *nn.Builder, x *onnx.Value) *onnx.Value {
	if b.Target.Compute != dtype.F16 {
		return x
	}
	const largest = 65504
	return b.Clip(x, -largest, largest)
}

// LatentInput declares the latent x [B,C,h·p,w·p], whose sizes Padded makes divisible, and returns it with its number of
// patches h·w.
func LatentInput(b *nn.Builder, channels, patch int) (x *onnx.Value, tokens onnx.Dim) {
	h, w, p := onnx.Sym("h"), onnx.Sym("w"), onnx.D(patch)
	return Input(b, "x", onnx.Sym("B"), onnx.D(channels), h.Times(p), w.Times(p)), h.Times(w)
}

// PatchEmbed converts a latent to tokens [B,h·w,out] by the convolution at s, whose kernel and stride are the patch.
func PatchEmbed(b *nn.Builder, s *weights.Scope, x *onnx.Value, out, patch int) *onnx.Value {
	return b.ToTokens(b.Conv2d(s, x, out, patch, onnx.Window{Stride: patch}))
}

// TableRows takes rows [from, from+n) of a table of vectors, such as learned modulations, in the compute type. A missing
// table is declared as one, for the scope's error.
func TableRows(b *nn.Builder, r *weights.Ref, from, n int) *onnx.Value {
	if r.Missing() {
		return b.Table(r)
	}
	e, err := r.Entry.Rows(from, n)
	if err != nil {
		b.Fail("TableRows", "%v", err)
	}
	return b.Table(&weights.Ref{Name: e.Name, Entry: e})
}
