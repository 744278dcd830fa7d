package patch

import (
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/internal/imaging"
)

// bislerped scales x [B,C,H,W] by interpolating the directions of the vectors of channels on the sphere and their lengths
// linearly, first along the rows and then along the columns (upstream: comfy/utils.py bislerp).
func bislerped(b *nn.Builder, x *onnx.Value, height, width int) *onnx.Value {
	y := b.Transpose(b.Cast(x, dtype.F32), 0, 2, 3, 1)
	y = slerpedAlong(b, y, 2, width)
	y = slerpedAlong(b, y, 1, height)
	return b.Cast(b.Transpose(y, 0, 3, 1, 2), x.DType)
}

// slerpedAlong scales an axis of x, whose last axis holds the vectors.
func slerpedAlong(b *nn.Builder, x *onnx.Value, axis, size int) *onnx.Value {
	from, to, ratio := imaging.SlerpTaps(x.Dim(axis).N, size)
	shape := []int{1, 1, 1, 1}
	shape[axis] = size
	return slerp(b, b.GatherAxis(x, b.Ints(from...), axis), b.GatherAxis(x, b.Ints(to...), axis), b.Floats(ratio, shape...))
}

// slerp interpolates vectors p and q, which are the last axis. Nearly equal directions take the first vector, nearly opposite
// ones the straight line.
func slerp(b *nn.Builder, p, q, r *onnx.Value) *onnx.Value {
	const near = 1e-5
	num := func(v float64) *onnx.Value { return b.Scalar(dtype.F32, float32(v)) }
	s := b.Sub(num(1), r)
	lengthP, lengthQ := b.ReduceL2(p, true, -1), b.ReduceL2(q, true, -1)
	// A vector of length zero has no direction: its quotient is zero for every divisor.
	least := num(1e-30)
	unitP, unitQ := b.Div(p, b.Max(lengthP, least)), b.Div(q, b.Max(lengthQ, least))
	dot := b.ReduceSum(b.Mul(unitP, unitQ), true, -1)
	angle := arccos(b, b.Clip(dot, near-1, 1-near))
	sine := b.Sin(angle)
	weighed := b.Add(b.Mul(b.Div(b.Sin(b.Mul(s, angle)), sine), unitP), b.Mul(b.Div(b.Sin(b.Mul(r, angle)), sine), unitQ))
	y := b.Mul(weighed, b.Add(b.Mul(lengthP, s), b.Mul(lengthQ, r)))
	y = b.Where(b.Less(dot, num(near-1)), b.Add(b.Mul(p, s), b.Mul(q, r)), y)
	return b.Where(b.Greater(dot, num(1-near)), p, y)
}

// arccos is accurate to 2e-8 (Abramowitz and Stegun, Handbook of Mathematical Functions, 4.4.46): CUDA has no kernel for the
// operator.
func arccos(b *nn.Builder, x *onnx.Value) *onnx.Value {
	coefficients := []float32{-0.0012624911, 0.0066700901, -0.0170881256, 0.0308918810, -0.0501743046, 0.0889789874, -0.2145988016, 1.5707963050}
	num := func(v float32) *onnx.Value { return b.Scalar(dtype.F32, v) }
	size := b.Abs(x)
	y := num(coefficients[0])
	for _, c := range coefficients[1:] {
		y = b.Add(b.Mul(y, size), num(c))
	}
	y = b.Mul(y, b.Sqrt(b.Sub(num(1), size)))
	return b.Where(b.Less(x, num(0)), b.Sub(num(math.Pi), y), y)
}
