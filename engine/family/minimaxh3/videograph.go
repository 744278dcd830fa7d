package minimaxh3

import (
	"slices"

	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// The strides of the encoder's levels in space and time.
var (
	spaceStrides = [6]int{2, 2, 2, 2, 1, 1}
	timeStrides  = [6]int{1, 2, 2, 1, 1, 1}
)

const (
	// videoEpsilon is the epsilon of the encoder's norms, decoderEpsilon that of the decoder's, groups the number of groups.
	videoEpsilon   = 1e-6
	decoderEpsilon = 1e-5
	groups         = 32
)

type videoWriter struct {
	*nn.Builder
	*videoVAE
}

// encode writes the encoder: input x [1,3,4·T-3,16·h,16·w], output z [1,C,T,h,w], the mean. Upstream: EncoderFCN3D.
func (w *videoWriter) encode(s *weights.Scope) {
	four, sixteen := onnx.D(pace), onnx.D(side)
	frames := onnx.Sym("T").Times(four).Minus(onnx.D(pace - 1))
	x := dit.Input(w.Builder, "x", onnx.D(1), onnx.D(rgb), frames, onnx.Sym("h").Times(sixteen), onnx.Sym("w").Times(sixteen))
	e := s.At("encoder")
	x = w.conv(e.At("conv_in"), x, 1)
	for i, blocks := range w.levels {
		level := e.At("down").Index(i)
		for k := range blocks {
			x = w.resnet(level.At("block").Index(k), x)
		}
		if spaceStrides[i]*timeStrides[i] > 1 {
			x = w.down(level.At("downsample.conv"), x, spaceStrides[i], timeStrides[i])
		}
	}
	x = w.conv(e.At("conv_out"), w.norm(e.At("norm_out"), x), 1)
	x = w.Conv3d(s.At("quant_conv"), x, 2*videoChannels, [3]int{1, 1, 1}, onnx.WindowND{})
	dit.Output(w.Builder, "z", w.Slice(x, 1, 0, videoChannels))
}

// outputs is the number of outputs of a convolution.
func outputs(s *weights.Scope) int {
	if shape := s.Shape("weight"); len(shape) > 0 {
		return shape[0]
	}
	return 1
}

// conv is a convolution of three frames that reads earlier ones alone: zeros before the first. Planes are mirrored at their sides.
func (w *videoWriter) conv(s *weights.Scope, x *onnx.Value, reach int) *onnx.Value {
	x = w.PadAxes(x, onnx.Reflect, []int{0, 0, 0, reach, reach}, []int{0, 0, 0, reach, reach})
	return w.Conv3d(s, x, outputs(s), [3]int{3, 3, 3}, onnx.WindowND{Before: []int{2, 0, 0}, After: []int{0, 0, 0}})
}

// down halves the sides, and the frames where the stride of time is 2. Upstream: Downsample3D.
func (w *videoWriter) down(s *weights.Scope, x *onnx.Value, space, time int) *onnx.Value {
	if space == 2 {
		x = w.PadAxes(x, onnx.Reflect, make([]int, 5), []int{0, 0, 0, 1, 1})
	}
	return w.Conv3d(s, x, outputs(s), [3]int{3, 3, 3}, onnx.WindowND{Stride: []int{time, space, space}, Before: []int{2, 0, 0}, After: []int{0, 0, 0}})
}

// norm is the group norm of each frame, followed by SiLU. Upstream: TemporalIsolatedGroupNorm.
func (w *videoWriter) norm(s *weights.Scope, x *onnx.Value) *onnx.Value {
	frames := w.Transpose(x, 0, 2, 1, 3, 4)
	y := w.GroupNormSiLU(s, w.Reshape(frames, x.Dim(2), x.Dim(1), x.Dim(3), x.Dim(4)), groups, videoEpsilon)
	return w.Transpose(w.Reshape(y, frames.Shape...), 0, 2, 1, 3, 4)
}

func (w *videoWriter) resnet(s *weights.Scope, x *onnx.Value) *onnx.Value {
	y := w.conv(s.At("conv1"), w.norm(s.At("norm1"), x), 1)
	y = w.conv(s.At("conv2"), w.norm(s.At("norm2"), y), 1)
	if out := outputs(s.At("conv1")); !x.Dim(1).Is(out) {
		x = w.Conv3d(s.At("nin_shortcut"), x, out, [3]int{1, 1, 1}, onnx.WindowND{})
	}
	return w.Add(x, y)
}

// decode writes the decoder: inputs z [1,C,T,h,w] and the cosines and sines [1,S,D/2] of S = T·h·w+1+registers tokens, output out [1,T·h·w,values].
// Upstream: ViT3DDecoder.
func (w *videoWriter) decode(s *weights.Scope) {
	one := onnx.D(1)
	t, h, wide := onnx.Sym("T"), onnx.Sym("h"), onnx.Sym("w")
	cells := t.Times(h).Times(wide)
	all := cells.Plus(onnx.D(1 + w.registers))
	z := dit.Input(w.Builder, "z", one, onnx.D(videoChannels), t, h, wide)
	z = w.Conv3d(s.At("post_quant_conv"), z, videoChannels, [3]int{1, 1, 1}, onnx.WindowND{})
	d := s.At("decoder")
	x := w.Linear(d.At("x_embedder"), w.Transpose(w.Reshape(z, one, onnx.D(videoChannels), cells), 0, 2, 1), w.width)
	x = w.Concat(1, x, w.Table(d.Weight("register_tokens", 1, w.registers, w.width)), w.Cast(w.Floats(make([]float32, w.width), 1, 1, w.width), w.Target.Compute))
	const half = headWidth * 3 / 4 / 2
	rope := &nn.Rotary{Cos: dit.Input(w.Builder, "cos", one, all, onnx.D(half)), Sin: dit.Input(w.Builder, "sin", one, all, onnx.D(half))}
	for i := range w.layers {
		b := d.At("transformer_blocks").Index(i)
		y := w.attend(b.At("attn"), w.RMSNorm(b.At("norm1"), x, decoderEpsilon), rope)
		x = w.Add(x, w.Mul(y, w.Table(b.Weight("scale1", w.width))))
		ff := b.At("ff")
		gate, value := w.Halves(w.Linear(ff.At("w1"), w.RMSNorm(b.At("norm2"), x, decoderEpsilon), 2*w.inner))
		x = w.Add(x, w.Mul(w.Linear(ff.At("w2"), w.SwiGLU(value, gate), w.width), w.Table(b.Weight("scale2", w.width))))
	}
	x = w.LayerNorm(d.At("norm_out"), w.SliceDims(x, 1, onnx.D(0), cells), decoderEpsilon)
	dit.Output(w.Builder, "out", w.Linear(d.At("proj_out"), x, rgb*pace*side*side))
}

// attend is self-attention: the weights hold the queries, keys and values of one head after the other. The first values of each head turn.
func (w *videoWriter) attend(s *weights.Scope, x *onnx.Value, rope *nn.Rotary) *onnx.Value {
	const turned = headWidth * 3 / 4
	heads := w.width / headWidth
	shape := func(n int) []onnx.Dim { return []onnx.Dim{x.Dim(0), x.Dim(1), onnx.D(n)} }
	all := w.Reshape(w.Linear(s.At("to_qkv"), x, 3*w.width), x.Dim(0), x.Dim(1), onnx.D(heads), onnx.D(3*headWidth))
	parts := slices.Clone(w.Split(all, 3, headWidth, headWidth, headWidth))
	for i, p := range parts[:2] {
		root := w.Sqrt(w.Add(w.ReduceMean(w.Mul(p, p), true, 3), w.Const(decoderEpsilon)))
		halves := w.Split(w.Div(p, root), 3, turned, headWidth-turned)
		first := w.Rotate(w.Reshape(halves[0], shape(heads*turned)...), rope, heads)
		parts[i] = w.Concat(3, w.Reshape(first, halves[0].Shape...), halves[1])
	}
	for i, p := range parts {
		parts[i] = w.Reshape(p, shape(w.width)...)
	}
	return w.Linear(s.At("to_out"), w.Attend(parts[0], parts[1], parts[2], onnx.Attention{Heads: heads, Scale: scaleOf(headWidth)}), w.width)
}
