package nn

import (
	"comfygo/engine/dtype"
	"comfygo/engine/onnx"
	"comfygo/engine/quant"
	"comfygo/engine/weights"
)

// Raw is a Source of a stored tensor's bytes as stored in the file.
type Raw struct {
	Entry weights.Entry
	// Bytes is their number.
	Bytes int
}

var _ Source = Raw{}

// Key implements Source.
func (s Raw) Key() string { return s.Entry.Key() + "/raw" }

// Entries implements Source.
func (s Raw) Entries() []weights.Entry { return []weights.Entry{s.Entry} }

// InPlace implements Source: the bytes of files are used unchanged.
func (s Raw) InPlace() (weights.Entry, bool) { return s.Entry, !s.Entry.Made() }

// Variable implements Source.
func (s Raw) Variable() bool { return s.Entry.Variable() }

// Size implements Source.
func (s Raw) Size() int { return s.Bytes }

// Tasks implements Source.
func (s Raw) Tasks(dst []byte, _ Kernels) []func() error {
	return []func() error{func() error {
		if err := s.Entry.Probe(0, len(s.Entry.Data)); err != nil {
			return err
		}
		copy(dst, s.Entry.Data)
		return nil
	}}
}

// quantized returns the matrix of a weight [out,in] that stays as stored and is decoded just before its use, or false
// if the target has it decoded once, or reads it in another form.
func (b *Builder) quantized(r *weights.Ref, out, in int) (quant.Matrix, bool) {
	t := b.Target
	if r.Missing() || t.CUDA || t.Weights != dtype.Invalid || !r.Entry.Quantized() {
		return quant.Matrix{}, false
	}
	m, err := r.Entry.Matrix()
	if err != nil {
		panic(&onnx.BuildError{Graph: b.Name, Scope: b.Scope(), Op: "Dequantize", Message: err.Error()})
	}
	return m, m.Rows == out && m.Cols == in && (t.Lean || roundsInput(r, m) != inputSteps{})
}

// inputSteps are the integers that a layer's input is rounded to: the largest element of a row is highest steps, which are cut at low
// and highest. least is the smallest step.
type inputSteps struct{ low, highest, least float32 }

// roundsInput returns how the layer's input is rounded, as upstream does for int8_tensorwise and convrot_w4a4; zero for an
// input that is not.
func roundsInput(r *weights.Ref, m quant.Matrix) inputSteps {
	if r.Entry.Scheme == nil {
		return inputSteps{}
	}
	if exact, _ := r.Entry.Scheme.Option("full_precision_matrix_mult").(bool); exact {
		return inputSteps{}
	}
	switch {
	case m.Format == quant.Int8, m.Format.Grouped():
		return inputSteps{-128, 127, 1e-30}
	case m.Format == quant.Int4:
		return inputSteps{-7, 7, 1e-10 / 7}
	}
	return inputSteps{}
}

// quantizedMatMul multiplies the last axis of x by the transpose of a quantized matrix.
func (b *Builder) quantizedMatMul(x *onnx.Value, r *weights.Ref, m quant.Matrix) *onnx.Value {
	if f, ok := r.Entry.InputFactors(); ok {
		x = b.Mul(x, b.factors(r.Name+".pre_quant_scale", f))
	}
	if g := r.Entry.Rotation(); g > 0 {
		x = b.rotate(x, g)
	}
	steps := roundsInput(r, m)
	if steps == (inputSteps{}) {
		w := b.decoded(r, m, true, b.behind(x))
		if b.Target.Int8 {
			b.product = b.Graph.Linear(onnx.LinearForm{Int8: true}, x, w, nil, nil)
		} else {
			b.product = b.MatMulT(x, w)
		}
		return b.product
	}
	// Upstream: comfy-kitchen, int8_linear and convrot_w4a4_linear. The elements of an input row are multiples of a 127th or a
	// 7th of its largest element; products of integers are exact in float32 up to its precision.
	step := b.Max(b.Div(b.ReduceMax(b.Abs(x), true, -1), b.Const(steps.highest)), b.Const(steps.least))
	q := b.Clip(b.Round(b.Div(x, step)), steps.low, steps.highest)
	y := b.MatMulT(q, b.decoded(r, m, false, b.behind(x)))
	b.product = y
	if s, ok := r.Entry.Scales(); ok {
		step = b.Mul(step, b.outputFactors(r, s, m))
	}
	return b.Mul(y, step)
}

// decoded is a quantized matrix in float32, with its scales or without; it is made once after is there.
func (b *Builder) decoded(r *weights.Ref, m quant.Matrix, scaled bool, after *onnx.Value) *onnx.Value {
	elements, size := m.Format.Block()
	n := m.Rows * (m.Cols / elements) * size
	data := b.Weight(r.Name+".data", dtype.U8, []int{n}, Raw{Entry: r.Entry, Bytes: n})
	var blocks, scales *onnx.Value
	if e, ok := r.Entry.Blocks(); ok {
		blocks = b.Weight(e.Name+".data", dtype.U8, []int{e.Count()}, Raw{Entry: e, Bytes: e.Count()})
	}
	if e, ok := r.Entry.Scales(); ok && scaled {
		scales = b.factors(e.Name, e)
	}
	switch levels, err := r.Entry.Levels(); {
	case err != nil:
		panic(&onnx.BuildError{Graph: b.Name, Scope: b.Scope(), Op: "Dequantize", Message: err.Error()})
	case levels != nil && scales != nil:
		scales = b.Concat(0, b.Floats(levels, len(levels)), scales)
	case levels != nil:
		scales = b.Floats(levels, len(levels))
	}
	return b.Dequantize(data, blocks, scales, after, int(m.Format), m.Rows, m.Cols, m.First)
}

// factors declares a tensor of scales as a vector.
func (b *Builder) factors(name string, e weights.Entry) *onnx.Value {
	flat, err := e.Reshape(e.Count())
	if err != nil {
		panic(&onnx.BuildError{Graph: b.Name, Scope: b.Scope(), Op: "Dequantize", Message: err.Error()})
	}
	return b.Weight(name+".factors", b.Target.Compute, flat.Shape, Layout{Entry: flat, Form: Plain, DType: b.Target.Compute})
}

// outputFactors are the scales of a matrix as factors of its product: one, or one for each of its rows.
func (b *Builder) outputFactors(r *weights.Ref, s weights.Entry, m quant.Matrix) *onnx.Value {
	if s.Count() == 1 {
		return b.factors(s.Name, s)
	}
	flat, err := s.Reshape(s.Count())
	if err == nil {
		flat, err = flat.Rows(m.First, m.Rows)
	}
	if err != nil {
		panic(&onnx.BuildError{Graph: b.Name, Scope: b.Scope(), Op: "Dequantize", Message: err.Error()})
	}
	return b.factors(r.Name+"."+flat.Name, flat)
}

// rotate turns groups of n elements of the last axis of x; see weights.RotationMatrix.
func (b *Builder) rotate(x *onnx.Value, n int) *onnx.Value {
	apart := append(onnx.Shape{}, x.Shape[:x.Rank()-1]...)
	apart = append(apart, onnx.D(x.Dim(-1).N/n), onnx.D(n))
	y := b.MatMul(b.Reshape(x, apart...), b.Cast(b.Floats(weights.RotationMatrix(n), n, n), b.Target.Compute))
	return b.Reshape(y, x.Shape...)
}
