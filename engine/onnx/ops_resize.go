package onnx

import "comfygo/engine/dtype"

// nearest are the attributes of a Resize that takes source index floor(i·in/out), as torch's nearest interpolation does.
func nearest() []attr {
	return []attr{{"mode", "nearest"}, {"nearest_mode", "floor"}, {"coordinate_transformation_mode", "asymmetric"}}
}

// ResizeNearest resizes the last two axes of [B,C,H,W] to those of like [.,.,H',W'], as torch's nearest interpolation does
// (source index = floor(i·in/out)). The result is [B,C,H',W'].
func (g *Graph) ResizeNearest(x, like *Value) *Value {
	if x.Rank() != 4 || like.Rank() != 4 {
		g.fail("Resize", "ranks of %v and %v", x.Shape, like.Shape)
	}
	if y, ok := g.lastOf(x); ok {
		form := g.toLast(like)
		sizes := g.op(DomainONNX, "Concat", dtype.I64, Dims(4), []*Value{g.ShapeOf(y, 0, 1), g.ShapeOf(form, 1, 3), g.ShapeOf(y, 3, 4)}, attr{"axis", int64(0)})
		out := Shape{y.Dim(0), form.Dim(1), form.Dim(2), y.Dim(3)}
		return g.fromLast(g.op(DomainONNX, "Resize", x.DType, out, []*Value{y, nil, nil, sizes}, nearest()...))
	}
	return g.inFloat32(x, func(x *Value) *Value {
		sizes := g.op(DomainONNX, "Concat", dtype.I64, Dims(4), []*Value{g.ShapeOf(x, 0, 2), g.ShapeOf(like, 2, 4)}, attr{"axis", int64(0)})
		out := Shape{x.Dim(0), x.Dim(1), like.Dim(2), like.Dim(3)}
		return g.op(DomainONNX, "Resize", x.DType, out, []*Value{x, nil, nil, sizes}, nearest()...)
	})
}

// UpsampleNearest repeats each element of the last two axes of [B,C,H,W] factor times in both directions.
func (g *Graph) UpsampleNearest(x *Value, factor int) *Value {
	if x.DType == dtype.BF16 {
		return g.RepeatElements(x, 1, 1, factor, factor)
	}
	return g.Upscale(x, Nearest, 1, 1, factor, factor)
}

// RepeatElements repeats each element factors[i] times in a row along axis i: nearest upsampling by copies alone, for
// element types that Resize does not take.
func (g *Graph) RepeatElements(x *Value, factors ...int) *Value {
	if len(factors) != x.Rank() {
		g.fail("RepeatElements", "%d factors for %v", len(factors), x.Shape)
	}
	var apart, repeated, out Shape
	for i, d := range x.Shape {
		apart, repeated = append(apart, d), append(repeated, d)
		if f := factors[i]; f != 1 {
			apart, repeated = append(apart, D(1)), append(repeated, D(f))
		}
		out = append(out, d.Times(D(factors[i])))
	}
	return g.Reshape(g.Expand(g.Reshape(x, apart...), repeated...), out...)
}

// Interpolation is how Upscale computes values between elements.
type Interpolation int

const (
	// Nearest takes source index floor(i/factor), as torch's "nearest".
	Nearest Interpolation = iota
	// Linear interpolates along each scaled axis (bilinear, trilinear) with half-pixel centres, as torch's with
	// align_corners=False.
	Linear
	// Cubic interpolates two axes with half-pixel centres and a=-0.75, as torch's "bicubic".
	Cubic
	// Corners interpolates along each scaled axis with the corners of both in one place, as torch's with align_corners=True.
	Corners
)

// Upscale enlarges axis i of x factors[i] times.
func (g *Graph) Upscale(x *Value, mode Interpolation, factors ...int) *Value {
	if len(factors) != x.Rank() {
		g.fail("Resize", "%d factors for %v", len(factors), x.Shape)
	}
	if y, ok := g.lastOf(x); ok && mode == Nearest {
		return g.fromLast(g.Upscale(y, mode, factors[0], factors[2], factors[3], factors[1]))
	}
	out := x.Shape.Clone()
	scales := make([]float32, len(factors))
	for i, f := range factors {
		if f < 1 {
			g.fail("Resize", "factors %v", factors)
		}
		out[i], scales[i] = out[i].Times(D(f)), float32(f)
	}
	return g.inFloat32(x, func(x *Value) *Value {
		return g.op(DomainONNX, "Resize", x.DType, out, []*Value{x, nil, g.Floats(scales, len(scales))}, mode.attrs()...)
	})
}

// ResizeTo converts x to the shape dims, whose sizes may be symbolic.
func (g *Graph) ResizeTo(x *Value, mode Interpolation, dims ...Dim) *Value {
	if len(dims) != x.Rank() {
		g.fail("Resize", "%v to %v", x.Shape, dims)
	}
	return g.inFloat32(x, func(x *Value) *Value {
		return g.op(DomainONNX, "Resize", x.DType, Shape(dims).Clone(), []*Value{x, nil, nil, g.sizes(dims)}, mode.attrs()...)
	})
}

func (m Interpolation) attrs() []attr {
	switch m {
	case Linear:
		return []attr{{"mode", "linear"}, {"coordinate_transformation_mode", "half_pixel"}}
	case Corners:
		return []attr{{"mode", "linear"}, {"coordinate_transformation_mode", "align_corners"}}
	case Cubic:
		return []attr{{"mode", "cubic"}, {"coordinate_transformation_mode", "half_pixel"}, {"cubic_coeff_a", float32(-0.75)}}
	}
	return nearest()
}

// DepthToSpace turns [B,C·b²,H,W] into [B,C,H·b,W·b]; channel (i·b+j)·C+c becomes pixel (i,j) of channel c (mode DCR).
func (g *Graph) DepthToSpace(x *Value, block int) *Value { return g.depthToSpace(x, block, "DCR") }

// PixelShuffle turns [B,C·b²,H,W] into [B,C,H·b,W·b] as torch's pixel_shuffle: channel (c·b+i)·b+j becomes pixel (i,j) of
// channel c (mode CRD).
func (g *Graph) PixelShuffle(x *Value, block int) *Value { return g.depthToSpace(x, block, "CRD") }

func (g *Graph) depthToSpace(x *Value, block int, mode string) *Value {
	c := x.Dim(1)
	if x.Rank() != 4 || !c.Known() || c.N%(block*block) != 0 {
		g.fail("DepthToSpace", "%v for block %d", x.Shape, block)
	}
	return g.inFloat32(x, func(x *Value) *Value {
		out := Shape{x.Dim(0), D(c.N / block / block), x.Dim(2).Times(D(block)), x.Dim(3).Times(D(block))}
		return g.op(DomainONNX, "DepthToSpace", x.DType, out, []*Value{x}, attr{"blocksize", int64(block)}, attr{"mode", mode})
	})
}

// Fill is what Pad puts around a tensor.
type Fill int

const (
	// Zeros pads with zeros.
	Zeros Fill = iota
	// Reflect mirrors the elements without repeating the border.
	Reflect
	// Edge repeats the border.
	Edge
)

// Pad adds zeros before and after the last two axes of [B,C,H,W].
func (g *Graph) Pad(x *Value, top, left, bottom, right int) *Value {
	return g.PadAxes(x, Zeros, []int{0, 0, top, left}, []int{0, 0, bottom, right})
}

// PadAxes adds before[i] and after[i] elements to axis i of x; negative numbers take elements away, with Zeros only.
func (g *Graph) PadAxes(x *Value, fill Fill, before, after []int) *Value {
	if len(before) != x.Rank() || len(after) != x.Rank() {
		g.fail("Pad", "%v by %v and %v", x.Shape, before, after)
	}
	out := x.Shape.Clone()
	for i, d := range x.Shape {
		lo, hi := min(before[i], after[i]), max(before[i], after[i])
		out[i] = d.Plus(D(before[i] + after[i]))
		bad := !out[i].AtLeast(D(1)) || fill != Zeros && lo < 0
		if fill == Reflect && d.Known() {
			bad = bad || hi >= d.N // the border itself is not repeated
		}
		if bad {
			g.fail("Pad", "%v by %v and %v", x.Shape, before, after)
		}
	}
	var attrs []attr
	if fill != Zeros {
		attrs = append(attrs, attr{"mode", [...]string{Reflect: "reflect", Edge: "edge"}[fill]})
	}
	return g.inFloat32(x, func(x *Value) *Value {
		return g.op(DomainONNX, "Pad", x.DType, out, []*Value{x, g.Ints(append(append([]int(nil), before...), after...)...)}, attrs...)
	})
}

// inFloat32 runs an operator that has no bfloat16 kernel between casts to float32 and back; other types are left alone.
func (g *Graph) inFloat32(x *Value, f func(*Value) *Value) *Value {
	if x.DType != dtype.BF16 {
		return f(x)
	}
	return g.Cast(f(g.Cast(x, dtype.F32)), x.DType)
}
