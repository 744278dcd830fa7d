package nn

import "comfygo/engine/onnx"

// Routed is a mixture of n experts (Shazeer 2017) of which each token of x [B,T,W] is computed by k: experts [B,T,k], int64, are their numbers,
// no two of a token equal, and factors [B,T,k] what their results are multiplied by before they are added up, [B,T,W]. expert writes the
// expert i for its tokens [rows,W], of which there may be none, with a result of that shape.
func (b *Builder) Routed(x, experts, factors *onnx.Value, n int, expert func(i int, x *onnx.Value) *onnx.Value) *onnx.Value {
	tokens, width, k := x.Dim(0).Times(x.Dim(1)), x.Dim(2), experts.Dim(2).N
	flat, numbers := b.Reshape(x, tokens, width), b.Reshape(experts, tokens.Times(onnx.D(k)))
	var places, results []*onnx.Value
	for i := range n {
		own := b.NonZero(b.Equal(numbers, b.Ints(i)), numbers.Dim(0).CeilDiv(n))
		places = append(places, b.Unsqueeze(own, 1))
		results = append(results, expert(i, b.Gather(flat, b.Div(own, b.Ints(k)))))
	}
	// Each pair of token and expert has one place, so that every row of the zeros is replaced.
	zeros := b.Expand(b.Unsqueeze(b.Const(0), 0, 1), numbers.Dim(0), width)
	y := b.Reshape(b.ScatterND(zeros, b.Concat(0, places...), b.Concat(0, results...)), tokens, onnx.D(k), width)
	y = b.Mul(y, b.Reshape(factors, tokens, onnx.D(k), onnx.D(1)))
	return b.ReshapeLike(b.ReduceSum(y, false, 1), x)
}
