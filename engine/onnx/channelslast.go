package onnx

// Channels-last form: CUDA's fast convolutions and group norms take images as [B,H,W,C]. The operators here write that form,
// and their results look like any other value [B,C,H,W] to what follows: element-wise operators, Concat, Upscale and tokens
// keep the current form, and any other operator gets a Transpose before it. So the layers of a network do not depend on the
// form.

// lastOf returns the channels-last form of a value that has one.
func (g *Graph) lastOf(x *Value) (*Value, bool) {
	y, ok := g.last[x]
	return y, ok
}

// IsChannelsLast reports whether x has a channels-last form.
func (g *Graph) IsChannelsLast(x *Value) bool {
	_, ok := g.lastOf(x)
	return ok
}

// toLast returns x [B,C,H,W] as [B,H,W,C].
func (g *Graph) toLast(x *Value) *Value {
	if y, ok := g.last[x]; ok {
		return y
	}
	y := g.Transpose(x, 0, 2, 3, 1)
	g.remember(x, y)
	return y
}

// fromLast shows y [B,H,W,C] as [B,C,H,W].
func (g *Graph) fromLast(y *Value) *Value {
	x := &Value{DType: y.DType, Shape: Shape{y.Dim(0), y.Dim(3), y.Dim(1), y.Dim(2)}}
	g.remember(x, y)
	return x
}

func (g *Graph) remember(x, y *Value) {
	if g.last == nil {
		g.last = map[*Value]*Value{}
	}
	g.last[x] = y
}

// present writes the operators that make the operands of a node [B,C,H,W] which exist in channels-last form alone.
func (g *Graph) present(operands []*Value) {
	for _, x := range operands {
		if x == nil || x.Name != "" {
			continue
		}
		if y, ok := g.last[x]; ok {
			x.Name = g.Transpose(y, 0, 3, 1, 2).Name
		}
	}
}

// alike writes an operator whose result keeps the form of x.
func (g *Graph) alike(x *Value, f func(x *Value) *Value) *Value {
	if y, ok := g.lastOf(x); ok {
		return g.fromLast(f(y))
	}
	return f(x)
}

// pair returns the operands of an element-wise operator in channels-last form; or false if another form has to be written.
func (g *Graph) pair(a, b *Value) (*Value, *Value, bool) {
	_, lastA := g.lastOf(a)
	_, lastB := g.lastOf(b)
	switch {
	case !lastA && !lastB:
		return nil, nil, false
	case !lastA:
		other, ok := g.beside(a, b)
		return other, g.last[b], ok
	default:
		other, ok := g.beside(b, a)
		return g.last[a], other, ok
	}
}

// beside returns x in the form in which it broadcasts to the channels-last form of an image.
func (g *Graph) beside(x, image *Value) (*Value, bool) {
	one := D(1)
	switch {
	case x.Rank() == 0:
		return x, true
	case x.Rank() == 3 && x.Dim(0) == image.Dim(1) && x.Dim(1) == one && x.Dim(2) == one:
		return g.Reshape(x, x.Dim(0)), true
	case x.Rank() != 4 || x.Dim(1) != image.Dim(1):
		return nil, false
	case x.Dim(2) == one && x.Dim(3) == one && !g.IsChannelsLast(x):
		return g.Reshape(x, x.Dim(0), one, one, x.Dim(1)), true
	}
	return g.toLast(x), true
}

// ConvLast is Conv in channels-last form, for one group: weight is [O,kh,kw,I].
func (g *Graph) ConvLast(x, weight, bias *Value, w Window) *Value {
	if x.Rank() != 4 || weight.Rank() != 4 || weight.DType != x.DType || x.Dim(1) != weight.Dim(3) {
		g.fail("NhwcConv", "weight %s%v for input %s%v", weight.DType, weight.Shape, x.DType, x.Shape)
	}
	kh, kw := weight.Dim(1).N, weight.Dim(2).N
	out := Shape{x.Dim(0), convDim(x.Dim(2), kh, w.Stride, w.Pads[0]+w.Pads[2]), convDim(x.Dim(3), kw, w.Stride, w.Pads[1]+w.Pads[3]), weight.Dim(0)}
	return g.fromLast(g.op(DomainMicrosoft, "NhwcConv", x.DType, out, withBias(g.toLast(x), weight, bias), w.attrs(kh, kw, 1)...))
}

// GroupNormLast normalises x [B,C,H,W] in groups of channels, multiplies by scale [C] and adds bias [C], both float32, in
// channels-last form; silu applies SiLU to the result. shift [B,C], which may be nil, is added to x before.
func (g *Graph) GroupNormLast(x, shift, scale, bias *Value, groups int, eps float32, silu bool) *Value {
	c := x.Dim(1)
	if x.Rank() != 4 || scale.Rank() != 1 || scale.Dim(0) != c || bias.Dim(0) != c || c.N%groups != 0 {
		g.fail("GroupNorm", "scale %v, bias %v and %d groups for %v", scale.Shape, bias.Shape, groups, x.Shape)
	}
	activation := int64(0)
	if silu {
		activation = 1
	}
	attrs := []attr{{"epsilon", eps}, {"groups", int64(groups)}, {"activation", activation}, {"channels_last", int64(1)}}
	y := g.toLast(x)
	if at := len(g.nodes) - 1; shift == nil && at >= 0 && g.adds(at, y) {
		// The sum that x is comes out of the same operator.
		sum := g.nodes[at]
		g.nodes = g.nodes[:at]
		z := g.fresh(y.DType, y.Shape)
		g.push(node{op: "SkipGroupNorm", domain: DomainMicrosoft, in: []*Value{sum.in[0], scale, bias, sum.in[1]}, out: []*Value{z, y}, attrs: attrs})
		return g.fromLast(z)
	}
	if shift == nil {
		return g.fromLast(g.op(DomainMicrosoft, "GroupNorm", x.DType, y.Shape, []*Value{y, scale, bias}, attrs...))
	}
	if shift.Rank() != 2 || shift.Dim(1) != c || shift.DType != x.DType {
		g.fail("SkipGroupNorm", "%s%v is added to %s%v", shift.DType, shift.Shape, x.DType, x.Shape)
	}
	return g.fromLast(g.op(DomainMicrosoft, "SkipGroupNorm", x.DType, y.Shape, []*Value{y, scale, bias, shift}, attrs...))
}

// adds reports that the operator at adds two values of the shape of its result y.
func (g *Graph) adds(at int, y *Value) bool {
	n := g.nodes[at]
	return n.op == "Add" && n.out[0] == y && n.in[0] != n.in[1] && n.in[0].Shape.Equal(y.Shape) && n.in[1].Shape.Equal(y.Shape)
}

// ImageToTokens turns an image [B,C,H,W] into tokens [B,H·W,C].
func (g *Graph) ImageToTokens(x *Value) *Value {
	if y, ok := g.lastOf(x); ok {
		return g.Reshape(y, y.Dim(0), Infer, y.Dim(3))
	}
	return g.Transpose(g.Reshape(x, x.Dim(0), x.Dim(1), Infer), 0, 2, 1)
}

// TokensToImage turns tokens [B,H·W,C] into an image of the shape of like [B,C,H,W].
func (g *Graph) TokensToImage(x, like *Value) *Value {
	if y, ok := g.lastOf(like); ok {
		return g.fromLast(g.ReshapeLike(x, y))
	}
	return g.ReshapeLike(g.Transpose(x, 0, 2, 1), like)
}
