package onnx

import "comfygo/engine/dtype"

// Window is the geometry of a convolution: stride, and zeros added at the top, left, bottom and right.
type Window struct {
	Stride int
	Pads   [4]int
}

// ND is the same geometry as one of two axes.
func (w Window) ND() WindowND {
	return WindowND{Stride: []int{w.Stride, w.Stride}, Before: []int{w.Pads[0], w.Pads[1]}, After: []int{w.Pads[2], w.Pads[3]}}
}

// Pad1 is the geometry of a 3x3 convolution that keeps the size.
func Pad1() Window { return Window{Stride: 1, Pads: [4]int{1, 1, 1, 1}} }

// convDim returns floor((d+pads-kernel)/stride)+1.
func convDim(d Dim, kernel, stride, pads int) Dim {
	return d.Plus(D(pads - kernel)).Div(stride).Plus(D(1))
}

func (g *Graph) convShape(op string, x, weight *Value, groups int, w Window) Shape {
	in := weight.Dim(1).Times(D(groups))
	if x.Rank() != 4 || x.Dim(1) != in {
		g.fail(op, "input %v does not have %v channels", x.Shape, in)
	}
	kh, kw := weight.Dim(2).N, weight.Dim(3).N
	if x.DType == dtype.BF16 {
		g.need(bf16Opset)
	}
	return Shape{x.Dim(0), weight.Dim(0), convDim(x.Dim(2), kh, w.Stride, w.Pads[0]+w.Pads[2]), convDim(x.Dim(3), kw, w.Stride, w.Pads[1]+w.Pads[3])}
}

func (w Window) attrs(kh, kw, groups int) []attr {
	s := int64(w.Stride)
	return []attr{
		{"kernel_shape", []int64{int64(kh), int64(kw)}},
		{"strides", []int64{s, s}},
		{"dilations", []int64{1, 1}},
		{"pads", []int64{int64(w.Pads[0]), int64(w.Pads[1]), int64(w.Pads[2]), int64(w.Pads[3])}},
		{"group", int64(groups)},
	}
}

// bf16Opset is the version in which convolutions, pooling, sine and cosine learnt bfloat16.
const bf16Opset = 22

// withBias lists the inputs of a convolution.
func withBias(x, weight, bias *Value) []*Value {
	if bias == nil {
		return []*Value{x, weight}
	}
	return []*Value{x, weight, bias}
}

// Conv is a 2-D convolution of x [B,I,H,W] with weight [O,I/groups,kh,kw] and optional bias [O].
func (g *Graph) Conv(x, weight, bias *Value, groups int, w Window) *Value {
	if weight.Rank() != 4 || weight.DType != x.DType {
		g.fail("Conv", "weight %s%v for input %s%v", weight.DType, weight.Shape, x.DType, x.Shape)
	}
	kh, kw := weight.Dim(2).N, weight.Dim(3).N
	return g.op(DomainONNX, "Conv", x.DType, g.convShape("Conv", x, weight, groups, w), withBias(x, weight, bias), w.attrs(kh, kw, groups)...)
}

// Blocked wraps a value in ONNX Runtime's channel-blocked CPU layout: [B,C/b,H,W,b] after the declared [B,C,H,W]. Only the
// *Blocked operators take it, so the type keeps the two layouts apart.
type Blocked struct{ v *Value }

// Shape returns the logical [B,C,H,W] shape.
func (b Blocked) Shape() Shape { return b.v.Shape }

// ReorderInput converts [B,C,H,W] into the blocked layout; C must be a multiple of the block.
func (g *Graph) ReorderInput(x *Value) Blocked {
	return Blocked{g.op(DomainNchwc, "ReorderInput", x.DType, x.Shape, []*Value{x})}
}

// AsBlocked passes a plain value to ConvBlocked unchanged, which accepts it if the channels are fewer than a block.
func (g *Graph) AsBlocked(x *Value) Blocked { return Blocked{x} }

// AsPlain returns a blocked value unchanged, for another graph, which reads it with AsBlocked.
func (g *Graph) AsPlain(x Blocked) *Value { return x.v }

// ReorderOutput converts a blocked value back to [B,channels,H,W], dropping the channels that only fill the last block.
func (g *Graph) ReorderOutput(x Blocked, channels int) *Value {
	out := x.v.Shape.Clone()
	out[1] = D(channels)
	return g.op(DomainNchwc, "ReorderOutput", x.v.DType, out, []*Value{x.v}, attr{"channels", int64(channels)})
}

// ConvBlocked is Conv on blocked values. weight is declared [O,I,kh,kw] and holds the blocked bytes
// (OIHWBiBo); sum, when set, is added to the result.
func (g *Graph) ConvBlocked(x Blocked, weight, bias *Value, sum *Blocked, w Window) Blocked {
	kh, kw := weight.Dim(2).N, weight.Dim(3).N
	in := []*Value{x.v, weight}
	if bias != nil || sum != nil {
		in = append(in, bias)
	}
	if sum != nil {
		in = append(in, sum.v)
	}
	return Blocked{g.op(DomainNchwc, "Conv", x.v.DType, g.convShape("ConvBlocked", x.v, weight, 1, w), in, w.attrs(kh, kw, 1)...)}
}

// Widen turns a float16 or bfloat16 weight into float32 when it is needed: after only orders the execution, so that
// the wide copy lives no longer than its use. An engine operator (domain comfygo).
func (g *Graph) Widen(weight, after *Value) *Value {
	return g.op(DomainComfygo, "Widen", dtype.F32, weight.Shape, []*Value{weight, after})
}

// WidenBlocked is Widen for a convolution weight [O,I,kh,kw] of any float type, into the blocked layout.
func (g *Graph) WidenBlocked(weight, after *Value, block int) *Value {
	return g.op(DomainComfygo, "WidenBlocked", dtype.F32, weight.Shape, []*Value{weight, after}, attr{"block", int64(block)})
}

// Dequantize decodes a quantized matrix when it is needed; see Widen. data are its bytes, uint8 [n]; blocks its block
// scales, uint8 [k], or nil; scales float32 factors, one or one for each row, or nil. rows and cols are its sizes, format is the
// number of the format (package quant), first the row of blocks and scales at which data begins. An engine operator
// (domain comfygo).
func (g *Graph) Dequantize(data, blocks, scales, after *Value, format, rows, cols, first int) *Value {
	return g.op(DomainComfygo, "Dequantize", dtype.F32, Dims(rows, cols), []*Value{data, blocks, scales, after},
		attr{"format", int64(format)}, attr{"cols", int64(cols)}, attr{"first", int64(first)})
}
