package onnx

import "comfygo/engine/dtype"

// WindowND is the geometry of a convolution over any number of spatial axes: one number an axis, or nil for the default.
type WindowND struct {
	// Stride and Dilation default to one.
	Stride, Dilation []int
	// Before and After are the zeros that are added on each side; they default to none.
	Before, After []int
	// OutputPadding adds to the size of a transposed convolution's result at the end of each axis; it defaults to zero.
	OutputPadding []int
}

// Same is the geometry of a convolution with odd kernel sizes that keeps the size.
func Same(kernel ...int) WindowND {
	half := make([]int, len(kernel))
	for i, k := range kernel {
		half[i] = k / 2
	}
	return WindowND{Before: half, After: half}
}

// Causal is the geometry of a convolution [T,…] with odd kernel sizes that keeps the size and in which a position of the
// first axis depends only on itself and those before it.
func Causal(kernel ...int) WindowND {
	w := Same(kernel...)
	w.Before, w.After = append([]int(nil), w.Before...), append([]int(nil), w.After...)
	w.Before[0], w.After[0] = kernel[0]-1, 0
	return w
}

// filled returns the window with its defaults for n axes.
func (w WindowND) filled(n int) (WindowND, bool) {
	ok := true
	fill := func(v []int, d int) []int {
		if v == nil {
			v = make([]int, n)
			for i := range v {
				v[i] = d
			}
		}
		ok = ok && len(v) == n
		for _, x := range v {
			ok = ok && x >= d
		}
		return v
	}
	w = WindowND{fill(w.Stride, 1), fill(w.Dilation, 1), fill(w.Before, 0), fill(w.After, 0), fill(w.OutputPadding, 0)}
	return w, ok
}

func (w WindowND) attrs(kernel []int, groups int) []attr {
	return []attr{
		{"kernel_shape", int64s(kernel)},
		{"strides", int64s(w.Stride)},
		{"dilations", int64s(w.Dilation)},
		{"pads", append(int64s(w.Before), int64s(w.After)...)},
		{"group", int64(groups)},
	}
}

func int64s(v []int) []int64 {
	out := make([]int64, len(v))
	for i, n := range v {
		out[i] = int64(n)
	}
	return out
}

// kernelOf checks a convolution's weight and window against x and returns the kernel's sizes.
func (g *Graph) kernelOf(op string, x, weight *Value, groups int, w WindowND) ([]int, WindowND) {
	full, ok := w.filled(x.Rank() - 2)
	if x.Rank() < 3 || weight.Rank() != x.Rank() || weight.DType != x.DType || !weight.Shape[2:].Known() || groups < 1 || !ok {
		g.fail(op, "weight %s%v, %d groups and window %v for input %s%v", weight.DType, weight.Shape, groups, w, x.DType, x.Shape)
	}
	kernel := make([]int, x.Rank()-2)
	for i := range kernel {
		kernel[i] = weight.Dim(i + 2).N
	}
	return kernel, full
}

// ConvND is a convolution of x [B,I,…] with weight [O,I/groups,k,…] and optional bias [O] over the one, two or three
// spatial axes that x has.
func (g *Graph) ConvND(x, weight, bias *Value, groups int, w WindowND) *Value {
	kernel, w := g.kernelOf("Conv", x, weight, groups, w)
	if x.Dim(1) != weight.Dim(1).Times(D(groups)) || weight.Dim(0).N%groups != 0 {
		g.fail("Conv", "weight %v in %d groups for input %v", weight.Shape, groups, x.Shape)
	}
	if x.DType == dtype.BF16 {
		g.need(bf16Opset)
	}
	if g.IsChannelsLast(x) && bias == nil && groups == 1 && w.Stride[0] == w.Stride[1] && w.Dilation[0] == 1 && w.Dilation[1] == 1 {
		pads := [4]int{w.Before[0], w.Before[1], w.After[0], w.After[1]}
		return g.ConvLast(x, g.Transpose(weight, 0, 2, 3, 1), nil, Window{Stride: w.Stride[0], Pads: pads})
	}
	out := Shape{x.Dim(0), weight.Dim(0)}
	for i, k := range kernel {
		d := convDim(x.Dim(i+2), w.Dilation[i]*(k-1)+1, w.Stride[i], w.Before[i]+w.After[i])
		out = append(out, g.positive("Conv", x, d))
	}
	return g.op(DomainONNX, "Conv", x.DType, out, withBias(x, weight, bias), w.attrs(kernel, groups)...)
}

// positive fails when a result's dimension is known to be none.
func (g *Graph) positive(op string, x *Value, d Dim) Dim {
	if d.Known() && d.N < 1 {
		g.fail(op, "the window is larger than %v", x.Shape)
	}
	return d
}

// ConvTranspose is a transposed convolution of x [B,I,…] with weight [I,O/groups,k,…] (torch's layout) and optional bias
// [O]. The size of each axis becomes (size-1)·stride - before - after + dilation·(k-1) + outputPadding + 1.
func (g *Graph) ConvTranspose(x, weight, bias *Value, groups int, w WindowND) *Value {
	kernel, w := g.kernelOf("ConvTranspose", x, weight, groups, w)
	if x.Dim(1) != weight.Dim(0) || weight.Dim(0).N%groups != 0 {
		g.fail("ConvTranspose", "weight %v in %d groups for input %v", weight.Shape, groups, x.Shape)
	}
	out := Shape{x.Dim(0), weight.Dim(1).Times(D(groups))}
	for i, k := range kernel {
		d := x.Dim(i + 2).Minus(D(1)).Times(D(w.Stride[i])).Plus(D(w.Dilation[i]*(k-1) + w.OutputPadding[i] + 1 - w.Before[i] - w.After[i]))
		out = append(out, g.positive("ConvTranspose", x, d))
	}
	attrs := append(w.attrs(kernel, groups), attr{"output_padding", int64s(w.OutputPadding)})
	t := x.DType
	cast := func(v *Value) *Value {
		if v == nil || t != dtype.BF16 {
			return v
		}
		return g.Cast(v, dtype.F32)
	}
	return g.inFloat32(x, func(x *Value) *Value {
		return g.op(DomainONNX, "ConvTranspose", x.DType, out, withBias(x, cast(weight), cast(bias)), attrs...)
	})
}

// AveragePool averages windows of the given kernel sizes over the spatial axes of x [B,C,…]. Padding counts as zeros.
func (g *Graph) AveragePool(x *Value, kernel []int, w WindowND) *Value {
	full, ok := w.filled(x.Rank() - 2)
	if x.Rank() < 3 || len(kernel) != x.Rank()-2 || !ok {
		g.fail("AveragePool", "kernel %v and window %v for %v", kernel, w, x.Shape)
	}
	if x.DType == dtype.BF16 {
		g.need(bf16Opset)
	}
	out := Shape{x.Dim(0), x.Dim(1)}
	for i, k := range kernel {
		d := convDim(x.Dim(i+2), full.Dilation[i]*(k-1)+1, full.Stride[i], full.Before[i]+full.After[i])
		out = append(out, g.positive("AveragePool", x, d))
	}
	attrs := full.attrs(kernel, 1)
	return g.op(DomainONNX, "AveragePool", x.DType, out, []*Value{x}, append(attrs[:len(attrs)-1], attr{"count_include_pad", int64(1)})...)
}
