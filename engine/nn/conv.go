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
	r := s.Weight("weight", out, in, kernel, kernel)
	bias := s.Optional("bias", out)
	if b.blocks(in) || b.direct(in) {
		return b.convBlocked(r, bias, x, residual, w)
	}
	y := b.Conv(x, b.convWeight(r, x), b.optional(bias), 1, w)
	if residual != nil {
		y = b.Add(y, residual)
	}
	return y
}

// blocks reports that a convolution with this many input channels runs in the blocked form.
func (b *Builder) blocks(in int) bool { return b.Target.Block > 0 && in%b.Target.Block == 0 }

// direct reports that a convolution reads plain channels and writes blocked ones: the first layer of a network, whose
// few channels make no block.
func (b *Builder) direct(in int) bool { return in < b.Target.Block }

// convWeight declares the weight of a plain convolution.
func (b *Builder) convWeight(r *weights.Ref, x *onnx.Value) *onnx.Value {
	if b.Target.Lean && !b.Target.CUDA {
		return b.leanWeight(r, r.Entry.Shape, x)
	}
	return b.weight(r.Name, b.Target.Compute, r.Entry.Shape, Layout{Entry: r.Entry, Form: Plain, DType: b.Target.Compute})
}

// convBlocked writes the convolution in ONNX Runtime's blocked CPU layout. Emitting that layout here, with weights
// that the engine has reordered itself, spares the copies of all weights that the runtime's own rewriting keeps
// alive side by side while a session is made.
func (b *Builder) convBlocked(r, bias *weights.Ref, x, residual *onnx.Value, w onnx.Window) *onnx.Value {
	t := b.Target
	shape := append([]int(nil), r.Entry.Shape...)
	out := shape[0]
	shape[0] = roundUp(out, t.Block)
	input := func() onnx.Blocked { return b.ReorderInput(x) }
	if b.direct(shape[1]) {
		input = func() onnx.Blocked { return b.AsBlocked(x) }
	}
	var wv *onnx.Value
	if t.Lean && inGraph(r.Entry.DType) && shape[0] == out && !b.direct(shape[1]) {
		wv = b.WidenBlocked(b.weight(r.Name, r.Entry.DType, shape, Layout{Entry: r.Entry, Form: Plain, DType: r.Entry.DType}), x, t.Block)
	} else {
		wv = b.weight(r.Name+".blocked", t.Compute, shape, Layout{Entry: r.Entry, Form: Blocked, DType: t.Compute, Block: t.Block})
	}
	var sum *onnx.Blocked
	if residual != nil && shape[0] == out {
		s := b.ReorderInput(residual)
		sum, residual = &s, nil
	}
	y := b.ReorderOutput(b.ConvBlocked(input(), wv, b.paddedBias(bias), sum, w), out)
	if residual != nil {
		y = b.Add(y, residual)
	}
	return y
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
// Each of the four output phases sees only a 2x2 neighbourhood of the small picture, with the taps that fall on the
// same pixel summed beforehand: 4/9 of the multiplications of the direct form.
func (b *Builder) UpsampleConv(s *weights.Scope, x *onnx.Value, out int) *onnx.Value {
	b.At(s.Prefix())
	in := x.Dim(1).N
	if b.Target.CUDA || b.Target.Lean {
		return b.Conv2d(s, b.UpsampleNearest(x, 2), out, 3, onnx.Pad1())
	}
	r := s.Weight("weight", out, in, 3, 3)
	bias := b.optional(s.Optional("bias", out))
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
