package nn

import (
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// Conv1d applies weight [out,in/groups,k] and the optional bias [out] of scope s to x [B,in,L].
func (b *Builder) Conv1d(s *weights.Scope, x *onnx.Value, out, kernel, groups int, w onnx.WindowND) *onnx.Value {
	return b.ConvND(s, x, out, []int{kernel}, groups, w)
}

// Conv3d applies weight [out,in,t,h,w] and the optional bias [out] of scope s to x [B,in,T,H,W].
func (b *Builder) Conv3d(s *weights.Scope, x *onnx.Value, out int, kernel [3]int, w onnx.WindowND) *onnx.Value {
	return b.ConvND(s, x, out, kernel[:], 1, w)
}

// CausalConv3d is Conv3d with odd kernel sizes that keeps the size and in which a frame depends only on itself and those
// before it. first selects the padding before the first frame: Zeros, or Edge for copies of the first one. In space there
// are zeros.
func (b *Builder) CausalConv3d(s *weights.Scope, x *onnx.Value, out int, kernel [3]int, first onnx.Fill) *onnx.Value {
	w := onnx.Causal(kernel[:]...)
	if before := w.Before[0]; first != onnx.Zeros && before > 0 {
		b.At(s.Prefix())
		x = b.PadAxes(x, first, []int{0, 0, before, 0, 0}, []int{0, 0, 0, 0, 0})
		w.Before[0] = 0
	}
	return b.Conv3d(s, x, out, kernel, w)
}

// ConvND applies weight [out,in/groups,kernel…] and the optional bias [out] of scope s to x [B,in,…] over its one, two or
// three spatial axes. groups equal to in is a depthwise convolution; a grouped one takes no branches of adapters.
func (b *Builder) ConvND(s *weights.Scope, x *onnx.Value, out int, kernel []int, groups int, w onnx.WindowND) *onnx.Value {
	b.At(s.Prefix())
	shape := append([]int{out, x.Dim(1).N / max(groups, 1)}, kernel...)
	r := s.Weight("weight", shape...)
	bias := s.Optional("bias", out)
	y := b.Graph.ConvND(x, b.convWeight(r, x), b.optional(bias), groups, w)
	if groups != 1 { // a grouped branch would need one branch per group: adapters have to be baked into the weight
		return y
	}
	return b.convBranches(s, shape, x, y, w)
}

// ConvTranspose applies the transposed convolution of weight [in,out/groups,kernel…] and the optional bias [out] of scope
// s to x [B,in,…].
func (b *Builder) ConvTranspose(s *weights.Scope, x *onnx.Value, out int, kernel []int, groups int, w onnx.WindowND) *onnx.Value {
	b.At(s.Prefix())
	r := s.Weight("weight", append([]int{x.Dim(1).N, out / max(groups, 1)}, kernel...)...)
	bias := s.Optional("bias", out)
	return b.Graph.ConvTranspose(x, b.convWeight(r, x), b.optional(bias), groups, w)
}
