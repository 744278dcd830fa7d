package facemesh

import (
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// writer writes graphs. Images are [B,C,H,W].
type writer struct{ *nn.Builder }

// dim is the size of an axis of the weight at s. A missing layer is reported when it is written.
func dim(s *weights.Scope, axis int) int {
	if shape := s.Shape("weight"); axis < len(shape) {
		return max(shape[axis], 1)
	}
	return 1
}

// conv is the convolution at s with zeros before and after each axis.
func (w writer) conv(s *weights.Scope, x *onnx.Value, stride, before, after int) *onnx.Value {
	groups, k := 1, dim(s, 2)
	if dim(s, 1) == 1 && x.Dim(1).N > 1 {
		groups = x.Dim(1).N
	}
	return w.ConvND(s, x, dim(s, 0), []int{k, k}, groups, onnx.WindowND{Stride: []int{stride, stride}, Before: []int{before, before}, After: []int{after, after}})
}

// shrunk is the convolution at s of stride 2 with the zeros of TensorFlow's SAME, of which the odd one lies behind.
func (w writer) shrunk(s *weights.Scope, x *onnx.Value) *onnx.Value {
	pad := dim(s, 2) - 2
	return w.conv(s, x, 2, pad/2, pad-pad/2)
}

// point is a convolution of single pixels.
func (w writer) point(s *weights.Scope, x *onnx.Value) *onnx.Value { return w.conv(s, x, 1, 0, 0) }

// block is a convolution within channels and one across them beside a short way. A block that halves the sides takes the greatest of each four pixels
// for that; new channels are zeros there. With PReLU there is one behind each convolution, otherwise a ReLU at the end. Upstream: BlazeFaceBlock,
// FaceMeshBlock.
func (w writer) block(s *weights.Scope, x *onnx.Value, stride int, prelu bool) *onnx.Value {
	short, y := x, x
	if stride > 1 {
		b, c, h, width := x.Dim(0), x.Dim(1), x.Dim(2).N/2, x.Dim(3).N/2
		short = w.ReduceMax(w.Reshape(x, b, c, onnx.D(h), onnx.D(2), onnx.D(width), onnx.D(2)), false, 3, 5)
		y = w.shrunk(s.At("depthwise"), x)
	} else {
		y = w.conv(s.At("depthwise"), x, 1, 1, 1)
	}
	if prelu {
		y = w.PRelu(s.At("prelu_dwise"), y)
	}
	y = w.point(s.At("pointwise"), y)
	if more := y.Dim(1).N - short.Dim(1).N; more > 0 {
		short = w.PadAxes(short, onnx.Zeros, []int{0, 0, 0, 0}, []int{0, more, 0, 0})
	}
	if y = w.Add(y, short); prelu {
		return w.PRelu(s.At("prelu_out"), y)
	}
	return w.Relu(y)
}

// rows are what each cell of x [B,n·k,H,W] predicts, [B,H·W·n,k].
func (w writer) rows(x *onnx.Value, k int) *onnx.Value {
	n := x.Dim(2).N * x.Dim(3).N * x.Dim(1).N / k
	return w.Reshape(w.Transpose(x, 0, 2, 3, 1), x.Dim(0), onnx.D(n), onnx.D(k))
}

// near writes the detector for near faces. Input: image [1,3,128,128] in -1…1; outputs: boxes [1,896,16] and logits [1,896,1]. Upstream: BlazeFace.
func (w writer) near(s *weights.Scope) {
	const first = 11 // blocks before the first cells that predict
	x := dit.Input(w.Builder, "image", onnx.D(1), onnx.D(rgb), onnx.D(near), onnx.D(near))
	x = w.Relu(w.shrunk(s.At("stem"), x))
	blocks := s.At("blocks")
	var fine *onnx.Value
	for i := range min(blocks.Count(""), mostBlocks) {
		stride := 1
		if i == 2 || i == 5 || i == first {
			stride = 2
		}
		if i == first {
			fine = x
		}
		x = w.block(blocks.Index(i), x, stride, false)
	}
	if fine == nil {
		fine = x
	}
	dit.Output(w.Builder, "boxes", w.Concat(1, w.rows(w.point(s.At("reg_16"), fine), values), w.rows(w.point(s.At("reg_8"), x), values)))
	dit.Output(w.Builder, "logits", w.Concat(1, w.rows(w.point(s.At("cls_16"), fine), 1), w.rows(w.point(s.At("cls_8"), x), 1)))
}

// double is a block of the detector for far faces: two convolutions within channels, each with one across them. Upstream: FRBlock.
func (w writer) double(s *weights.Scope, x *onnx.Value, stride int) *onnx.Value {
	y := w.Relu(w.point(s.At("pw1"), w.conv(s.At("dw1"), x, stride, 1, 1)))
	y = w.point(s.At("pw2"), w.conv(s.At("dw2"), y, 1, 1, 1))
	if stride == 1 && y.Dim(1).N == x.Dim(1).N {
		y = w.Add(y, x)
	}
	return w.Relu(y)
}

// far writes the detector for far faces. Input: image [1,3,192,192] in -1…1; outputs: boxes [1,2304,16] and logits [1,2304,1].
// Upstream: BlazeFaceFullRange.
func (w writer) far(s *weights.Scope) {
	halving := map[int]bool{2: true, 5: true, 8: true, 11: true}
	tapped := map[int]bool{4: true, 7: true, 10: true}
	x := dit.Input(w.Builder, "image", onnx.D(1), onnx.D(rgb), onnx.D(far), onnx.D(far))
	x = w.Relu(w.conv(s.At("stem"), x, 2, 1, 1))
	var taps []*onnx.Value
	for i := range min(s.Count("backbone"), mostBlocks) {
		stride := 1
		if halving[i] {
			stride = 2
		}
		if x = w.double(s.At("backbone").Index(i), x, stride); tapped[i] {
			taps = append(taps, x)
		}
	}
	x = w.Relu(w.point(s.At("top_conv"), x))
	for level := range taps {
		last := len(taps) - 1 - level
		x = w.Add(w.Upscale(x, onnx.Linear, 1, 1, 2, 2), w.Relu(w.point(s.At("lateral_convs").Index(last), taps[last])))
		blocks := s.At("decoder_levels").Index(level)
		for i := range min(blocks.Count(""), mostBlocks) {
			x = w.double(blocks.Index(i), x, 1)
		}
		if reduce := s.At("decoder_reduce_convs").Index(level); reduce.Has("weight") {
			x = w.Relu(w.point(reduce, x))
		}
	}
	head := func(name string) *onnx.Value {
		return w.DepthToSpace(w.conv(s.At(name+"_dw"), w.point(s.At(name+"_conv"), x), 2, 1, 1), 2)
	}
	dit.Output(w.Builder, "boxes", w.rows(head("reg"), values))
	dit.Output(w.Builder, "logits", w.rows(head("cls"), 1))
}

// mesh writes the networks of a face. Input: faces [B,3,192,192] in 0…1; outputs: marks [B,478·3] in pixels of the square, presence [B,1] as logits,
// and shapes [B,52]. Upstream: FaceMesh.
func (w writer) mesh(s *weights.Scope) {
	x := dit.Input(w.Builder, "faces", onnx.Sym("B"), onnx.D(rgb), onnx.D(side), onnx.D(side))
	m := s.At("mesh")
	x = w.PRelu(m.At("prelu_stem"), w.shrunk(m.At("stem"), x))
	halving := map[int]bool{2: true, 5: true, 8: true, 11: true, 14: true}
	for i := range min(m.Count("blocks"), mostBlocks) {
		stride := 1
		if halving[i] {
			stride = 2
		}
		x = w.block(m.At("blocks").Index(i), x, stride, true)
	}
	x = w.PRelu(m.At("prelu_head_reduce"), w.point(m.At("head_reduce"), x))
	x = w.block(m.At("head_block"), x, 1, true)
	points := w.Reshape(w.point(m.At("head_landmarks"), x), x.Dim(0), onnx.D(marks), onnx.D(rgb))
	dit.Output(w.Builder, "marks", points)
	dit.Output(w.Builder, "presence", w.Reshape(w.point(m.At("head_presence"), x), x.Dim(0), onnx.D(1)))
	dit.Output(w.Builder, "shapes", w.movements(s.At("blendshapes"), points))
}

// movements are the strengths [B,52] of movements that landmarks [B,478,3] show. Upstream: FaceBlendshapes.
func (w writer) movements(s *weights.Scope, points *onnx.Value) *onnx.Value {
	const least, share, epsilon = 1e-12, 0.5, 1e-6
	index := make([]int, 0, read)
	for i := range marks {
		if moving[i] {
			index = append(index, i)
		}
	}
	x := w.GatherAxis(w.Slice(points, 2, 0, 2), w.Ints(index...), 1)
	x = w.Sub(x, w.ReduceMean(x, true, 1))
	size := w.ReduceMean(w.Sqrt(w.ReduceSum(w.Mul(x, x), true, 2)), true, 1)
	x = w.Mul(w.Div(x, w.Max(size, w.Const(least))), w.Const(share))
	linear := func(s *weights.Scope, x *onnx.Value) *onnx.Value { return w.Linear(s, x, dim(s, 0)) }
	turned := func(x *onnx.Value) *onnx.Value { return w.Transpose(x, 0, 2, 1) }
	x = linear(s.At("token_embed"), turned(linear(s.At("token_reduce"), turned(x))))
	class := w.Table(s.Weight("cls_token", 1, 1, x.Dim(2).N))
	x = w.Concat(1, w.Expand(class, x.Dim(0), onnx.D(1), x.Dim(2)), x)
	for i := range min(s.Count("blocks"), mostBlocks) {
		at := s.At("blocks").Index(i)
		y := w.Relu(linear(at.At("token_mlp1"), turned(w.LayerNorm(at.At("ln1"), x, epsilon))))
		x = w.Add(x, turned(linear(at.At("token_mlp2"), y)))
		y = w.Relu(linear(at.At("channel_mlp1"), w.LayerNorm(at.At("ln2"), x, epsilon)))
		x = w.Add(x, linear(at.At("channel_mlp2"), y))
	}
	return w.Sigmoid(linear(s.At("head"), w.Squeeze(w.Slice(x, 1, 0, 1), 1)))
}

// moving are the landmarks from which the movements follow: MediaPipe's face_blendshapes_graph.cc, kLandmarksSubsetIdxs.
var moving = func() (out [marks]bool) {
	for _, i := range []int{
		0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63,
		65, 66, 67, 70, 78, 80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145,
		146, 148, 149, 150, 152, 153, 154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195,
		197, 234, 246, 249, 251, 263, 267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311,
		312, 314, 317, 318, 321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382,
		384, 385, 386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473, 474, 475,
		476, 477,
	} {
		out[i] = true
	}
	return out
}()
