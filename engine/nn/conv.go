package nn

import (
	"comfygo/engine/dtype"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// inGraph reports that graphs can hold a weight of this type and widen it at run time.
func inGraph(t dtype.DType) bool { return t == dtype.F16 || t == dtype.BF16 || t == dtype.F32 }

// Conv2d applies weight [out,in,k,k] and the optional bias of scope s to x [B,in,H,W].
func (b *Builder) Conv2d(s *weights.Scope, x *onnx.Value, out, kernel int, w onnx.Window) *onnx.Value {
	return b.Conv2dAdd(s, x, nil, out, kernel, w)
}

// Conv2dAdd is Conv2d, plus the optional residual of the result's shape.
func (b *Builder) Conv2dAdd(s *weights.Scope, x, residual *onnx.Value, out, kernel int, w onnx.Window) *onnx.Value {
	b.At(s.Prefix())
	in := x.Dim(1).N
	shape := []int{out, in, kernel, kernel}
	r := s.Weight("weight", shape...)
	bias := s.Optional("bias", out)
	if b.last(x, kernel, w) {
		y := b.convBranches(s, shape, x, b.ConvLast(x, b.lastWeight(r, shape), b.optional(bias), w), w.ND())
		if residual != nil {
			y = b.Add(y, residual)
		}
		return y
	}
	if b.winograd(r, w) {
		return b.convBranches(s, shape, x, b.Conv3x3(b.convForm(), x, b.mapped(r, shape), b.optional(bias), residual), w.ND())
	}
	if b.blocks(in) || b.direct(in) {
		return b.convBlocked(s, r, bias, x, residual, w)
	}
	y := b.convBranches(s, shape, x, b.Conv(x, b.convWeight(r, x), b.optional(bias), 1, w), w.ND())
	if residual != nil {
		y = b.Add(y, residual)
	}
	return y
}

// convForm is how 3x3 convolutions multiply.
func (b *Builder) convForm() onnx.ConvForm {
	switch {
	case !b.Target.Bfloat16:
		return onnx.ConvFloat32
	case b.Coarse:
		return onnx.ConvCoarse
	}
	return onnx.ConvBfloat16
}

// last reports that a convolution of x runs in channels-last form, the one that CUDA's float16 kernels are made for. Patches
// that become tokens are left alone.
func (b *Builder) last(x *onnx.Value, kernel int, w onnx.Window) bool {
	return b.lasts(x) && (w.Stride < kernel || w.Stride == 1)
}

// lasts reports that images like x are kept in channels-last form.
func (b *Builder) lasts(x *onnx.Value) bool {
	return b.Target.CUDA && x.DType == dtype.F16 && x.Rank() == 4
}

// lastWeight declares the weight [out,in,k,k] of a channels-last convolution, as [out,k,k,in].
func (b *Builder) lastWeight(r *weights.Ref, shape []int) *onnx.Value {
	t, as := b.Target.Compute, []int{shape[0], shape[2], shape[3], shape[1]}
	if shape[2] == 1 && shape[3] == 1 { // the bytes are the same
		return b.weight(r.Name+".last", t, as, Layout{Entry: r.Entry, Form: Plain, DType: t})
	}
	return b.weight(r.Name+".last", t, as, Layout{Entry: r.Entry, Form: Last, DType: t})
}

// winograd reports that a convolution with weight r and geometry w runs as the engine's own operator. Few channels would
// leave its blocks empty.
func (b *Builder) winograd(r *weights.Ref, w onnx.Window) bool {
	const fewest = 32
	s := r.Entry.Shape
	return b.Target.Linear && w == onnx.Pad1() && len(s) == 4 && s[0] >= fewest && s[1] >= fewest && s[2] == 3 && s[3] == 3
}

// blocks reports that a convolution with this many input channels runs in the blocked form.
func (b *Builder) blocks(in int) bool { return b.Target.Block > 0 && in%b.Target.Block == 0 }

// direct reports that a convolution reads plain channels and writes blocked ones: the first layer of a network, whose
// channels do not fill a block.
func (b *Builder) direct(in int) bool { return in < b.Target.Block }

// convWeight declares the weight of a plain convolution.
func (b *Builder) convWeight(r *weights.Ref, x *onnx.Value) *onnx.Value {
	if b.Target.Lean && !b.Target.CUDA {
		return b.leanWeight(r, r.Entry.Shape, x)
	}
	return b.weight(r.Name, b.Target.Compute, r.Entry.Shape, Layout{Entry: r.Entry, Form: Plain, DType: b.Target.Compute})
}

// convBlocked writes the convolution of scope s, with weight r, in ONNX Runtime's blocked CPU layout. Emitting that layout
// here, with weights that the engine has reordered itself, spares the copies of all weights that the runtime's own
// rewriting keeps alive side by side while a session is made.
func (b *Builder) convBlocked(s *weights.Scope, r, bias *weights.Ref, x, residual *onnx.Value, w onnx.Window) *onnx.Value {
	out, in := r.Entry.Shape[0], r.Entry.Shape[1]
	var xb onnx.Blocked
	if b.direct(in) {
		xb = b.AsBlocked(x)
	} else {
		xb = b.ReorderInput(x)
	}
	var sum *onnx.Blocked
	if residual != nil && out%b.Target.Block == 0 {
		blocked := b.ReorderInput(residual)
		sum, residual = &blocked, nil
	}
	sum = b.blockedBranches(s, r.Entry.Shape, xb, x, sum, w)
	y := b.ReorderOutput(b.ConvBlocked(xb, b.blockedWeight(r, x), b.paddedBias(bias), sum, w), out)
	if residual != nil {
		y = b.Add(y, residual)
	}
	return y
}

// blockedWeight declares the weight of a blocked convolution, whose output channels are padded to a multiple of the block. x
// is the other operand.
func (b *Builder) blockedWeight(r *weights.Ref, x *onnx.Value) *onnx.Value {
	t := b.Target
	shape := append([]int(nil), r.Entry.Shape...)
	shape[0] = roundUp(shape[0], t.Block)
	if t.Lean && inGraph(r.Entry.DType) && shape[0] == r.Entry.Shape[0] && !b.direct(shape[1]) {
		return b.WidenBlocked(b.weight(r.Name, r.Entry.DType, shape, Layout{Entry: r.Entry, Form: Plain, DType: r.Entry.DType}), x, t.Block)
	}
	return b.weight(r.Name+".blocked", t.Compute, shape, Layout{Entry: r.Entry, Form: Blocked, DType: t.Compute, Block: t.Block})
}

// Packed converts x [B,C,H,W] into the layout in which PointwiseSum reads its inputs. The shape stays
// the same, so that the value can go from graph to graph.
func (b *Builder) Packed(x *onnx.Value) *onnx.Value {
	if !b.blocks(x.Dim(1).N) {
		return x
	}
	return b.AsPlain(b.ReorderInput(x))
}

// PointwiseSum adds up 1x1 convolutions that keep the number of channels: weight ws[i] [C,C,1,1] applied to xs[i] [B,C,H,W],
// which Packed gave, and the optional bias [C]. It is the 1x1 convolution of all xs side by side, without the copy that lays
// them so. Adapters have to be baked into the weights.
func (b *Builder) PointwiseSum(xs []*onnx.Value, ws []*weights.Ref, bias *weights.Ref) *onnx.Value {
	window, c := onnx.Window{Stride: 1}, xs[0].Dim(1).N
	if !b.blocks(c) {
		y := b.Conv(xs[0], b.convWeight(ws[0], xs[0]), b.optional(bias), 1, window)
		for i, x := range xs[1:] {
			y = b.Add(y, b.Conv(x, b.convWeight(ws[i+1], x), nil, 1, window))
		}
		return y
	}
	y := b.ConvBlocked(b.AsBlocked(xs[0]), b.blockedWeight(ws[0], xs[0]), b.optional(bias), nil, window)
	for i, x := range xs[1:] {
		sum := y
		y = b.ConvBlocked(b.AsBlocked(x), b.blockedWeight(ws[i+1], x), nil, &sum, window)
	}
	return b.ReorderOutput(y, c)
}

func (b *Builder) paddedBias(bias *weights.Ref) *onnx.Value {
	if bias == nil {
		return nil
	}
	n := bias.Entry.Shape[0]
	if n%b.Target.Block == 0 {
		return b.small(bias)
	}
	return b.weight(bias.Name+".padded", b.Target.Compute, []int{roundUp(n, b.Target.Block)},
		Layout{Entry: bias.Entry, Form: Padded, DType: b.Target.Compute, Block: b.Target.Block})
}

// UpsampleConv is nearest upsampling by two followed by the 3x3 convolution of scope s that keeps the channels.
//
// Each of the four output phases depends only on a 2x2 neighbourhood of the small image, with the taps that fall on the same
// pixel summed beforehand: 4/9 of the multiplications of the direct form.
func (b *Builder) UpsampleConv(s *weights.Scope, x *onnx.Value, out int) *onnx.Value {
	if b.Target.CUDA || b.Target.Lean || b.Target.Linear {
		return b.Conv2d(s, b.UpsampleNearest(x, 2), out, 3, onnx.Pad1())
	}
	b.At(s.Prefix())
	shape := []int{out, x.Dim(1).N, 3, 3}
	r := s.Weight("weight", shape...)
	y := b.phases(r, s.Optional("bias", out), x)
	if !b.adapted(s) {
		return y
	}
	return b.convBranches(s, shape, b.UpsampleNearest(x, 2), y, onnx.Pad1().ND())
}

// phases writes UpsampleConv with weight r and the optional bias.
func (b *Builder) phases(r, biasRef *weights.Ref, x *onnx.Value) *onnx.Value {
	out, in := r.Entry.Shape[0], r.Entry.Shape[1]
	bias := b.optional(biasRef)
	block := 0
	if b.blocks(in) && out%b.Target.Block == 0 {
		block = b.Target.Block
	}
	var blocked onnx.Blocked
	if block > 0 {
		blocked = b.ReorderInput(x)
	}
	phases := make([]*onnx.Value, 0, 4)
	for row := range 2 {
		for col := range 2 {
			w := b.weight(r.Name+phaseName(row, col), b.Target.Compute, []int{out, in, 2, 2},
				Layout{Entry: r.Entry, Form: Phase, DType: b.Target.Compute, Block: block, Row: row, Col: col})
			window := onnx.Window{Stride: 1, Pads: [4]int{1 - row, 1 - col, row, col}}
			if block > 0 {
				phases = append(phases, b.ReorderOutput(b.ConvBlocked(blocked, w, bias, nil, window), out))
			} else {
				phases = append(phases, b.Conv(x, w, bias, 1, window))
			}
		}
	}
	return b.DepthToSpace(b.Concat(1, phases...), 2)
}

func phaseName(row, col int) string {
	return [2][2]string{{".phase00", ".phase01"}, {".phase10", ".phase11"}}[row][col]
}
