// Package opticalflow contains the networks that find the motion between two frames of a video.
package opticalflow

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/engine/weights/layout"
)

func init() { family.Register(kind{}) }

// kind is the family of RAFT in its large form (Teed and Deng, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow"), as torchvision stores
// it.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "RAFT" }

// Rank implements family.Family.
func (kind) Rank() int { return 10 }

const (
	// cell is the number of pixels of a cell along one side; levels are the sizes of the correlations, each half of the one before, and around a
	// place reach cells on either side are read.
	cell, levels, reach = 8, 4, 4
	window              = 2*reach + 1
	// rounds is the number of times that the flow is refined.
	rounds  = 12
	rgb     = 3
	epsilon = 1e-5
	// least is the side of the smallest frame: the last level needs two cells.
	least = cell << levels
)

// raft is a network that was read from a file.
type raft struct {
	src weights.Source
	// features are the channels of a frame's features, context those of the first frame's context behind hidden ones of the state.
	features, context, hidden int
	activations               family.Activations
}

// ReadOpticalFlow implements family.OpticalFlow.
func (kind) ReadOpticalFlow(src weights.Source) (family.FlowNetwork, error) {
	s := weights.NewScope(src)
	if !s.HasAny("feature_encoder") || !s.HasAny("context_encoder") || !s.HasAny("update_block") {
		return nil, nil
	}
	features, context := s.Shape("feature_encoder.conv.weight"), s.Shape("context_encoder.conv.weight")
	hidden, read := s.Shape("update_block.recurrent_block.convgru1.convz.weight"), s.Shape("update_block.motion_encoder.convcorr1.0.weight")
	if len(features) != 4 || len(context) != 4 || len(hidden) != 4 || len(read) != 4 || read[1] != levels*window*window || context[0] <= hidden[0] || !s.HasAny("mask_predictor") {
		return nil, fmt.Errorf("its shapes make no RAFT in the large form: feature_encoder.conv.weight is %v, context_encoder.conv.weight %v, convgru1.convz.weight %v and convcorr1.0.weight %v: use raft_large of torchvision",
			features, context, hidden, read)
	}
	src = layout.FoldedNorms{Source: src, Epsilon: func(string) float64 { return epsilon }}
	return &raft{src: src, features: features[0], context: context[0] - hidden[0], hidden: hidden[0]}, nil
}

// Weights implements family.FlowNetwork.
func (m *raft) Weights() weights.Source { return m.src }

// Sides implements family.FlowNetwork.
func (*raft) Sides() (smallest, multiple int) { return least, cell }

// size is a number of cells.
type size struct{ h, w int }

func (m *raft) graph(name string, z size, write func(b *nn.Builder, s *weights.Scope, z size)) family.Graph {
	return family.Graph{Part: "flow", Variant: family.Digest(name, z), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("optical flow "+name, m.src, func(b *nn.Builder, s *weights.Scope) { write(b, s, z) })
	}}
}

// Prepare implements family.FlowNetwork: the features of a frame, and its context.
func (m *raft) Prepare(ctx context.Context, run family.Runner, frame *tensor.Tensor) ([]*tensor.Tensor, error) {
	if len(frame.Shape) != 4 || frame.Dim(0) != 1 || frame.Dim(1) != rgb || frame.Dim(2) < least || frame.Dim(3) < least || frame.Dim(2)%cell != 0 || frame.Dim(3)%cell != 0 {
		return nil, fmt.Errorf("finding the flow of a frame of shape %v: wanted [1, %d, height, width], sides of at least %d pixels and multiples of %d", frame.Shape, rgb, least, cell)
	}
	z := size{frame.Dim(2) / cell, frame.Dim(3) / cell}
	out, err := run.Run(ctx, m.graph("features", z, m.writeFeatures), []family.Value{family.Floats("x", frame)}, "features", "context")
	if err != nil {
		return nil, err
	}
	return []*tensor.Tensor{out["features"], out["context"]}, nil
}

// Flow implements family.FlowNetwork.
func (m *raft) Flow(ctx context.Context, run family.Runner, first, second []*tensor.Tensor) (*tensor.Tensor, error) {
	if !tensor.SameShape(first[0], second[0]) {
		return nil, fmt.Errorf("finding the flow between frames of different sizes")
	}
	z := size{first[0].Dim(2), first[0].Dim(3)}
	in := []family.Value{family.Floats("first", first[0]), family.Floats("context", first[1]), family.Floats("second", second[0]), family.Floats("begin", tensor.New(1, 2, z.h, z.w))}
	out, err := run.Run(ctx, m.graph("flow", z, m.writeFlow), in, "flow")
	if err != nil {
		return nil, err
	}
	return out["flow"], nil
}

// Memory implements family.FlowNetwork.
func (m *raft) Memory(h, w int) int64 {
	z := size{h / cell, w / cell}
	return max(m.activations.Of(m.graph("features", z, m.writeFeatures), nil), m.activations.Of(m.graph("flow", z, m.writeFlow), nil))
}

// outOf is the number of channels that the convolution at s makes.
func outOf(s *weights.Scope) int {
	if shape := s.Shape("weight"); len(shape) == 4 {
		return shape[0]
	}
	return 1 // which is reported when the layer is written
}

// conv is a convolution of a kernel of any odd sides that keeps the size of x but for its stride.
func conv(b *nn.Builder, s *weights.Scope, x *onnx.Value, stride int) *onnx.Value {
	kernel := []int{1, 1}
	if shape := s.Shape("weight"); len(shape) == 4 {
		kernel = shape[2:]
	}
	pads := []int{(kernel[0] - 1) / 2, (kernel[1] - 1) / 2}
	return b.ConvND(s, x, outOf(s), kernel, 1, onnx.WindowND{Stride: []int{stride, stride}, Before: pads, After: pads})
}

// layer is a convolution with the norm behind it, where it has one: a batch norm, or an instance norm without weights.
func layer(b *nn.Builder, s *weights.Scope, x *onnx.Value, stride int, batch bool) *onnx.Value {
	y := conv(b, s.At("0"), x, stride)
	if batch { // a part of the weights by now
		return y
	}
	flat := b.Reshape(y, y.Dim(0), y.Dim(1), y.Dim(2).Times(y.Dim(3)))
	return b.Reshape(b.LayerNormPlain(flat, epsilon), y.Shape...) // an instance norm, for which CUDA has no kernel
}

// encode computes features of a frame x [1,3,8h,8w] for each cell.
func encode(b *nn.Builder, s *weights.Scope, x *onnx.Value) *onnx.Value {
	batch := s.Has("convnormrelu.1.running_mean")
	x = b.Relu(layer(b, s.At("convnormrelu"), x, 2, batch))
	for i, stride := range []int{1, 2, 2} {
		for k := range 2 {
			at := s.At(fmt.Sprint("layer", i+1)).Index(k)
			if k > 0 {
				stride = 1
			}
			y := b.Relu(layer(b, at.At("convnormrelu1"), x, stride, batch))
			y = b.Relu(layer(b, at.At("convnormrelu2"), y, 1, batch))
			if stride > 1 {
				x = layer(b, at.At("downsample"), x, stride, batch)
			}
			x = b.Relu(b.Add(x, y))
		}
	}
	return conv(b, s.At("conv"), x, 1)
}

// writeFeatures writes the encoders: x [1,3,8h,8w] in 0…1 to features [1,C,h,w] and context.
func (m *raft) writeFeatures(b *nn.Builder, s *weights.Scope, z size) {
	x := dit.Input(b, "x", onnx.D(1), onnx.D(rgb), onnx.D(z.h*cell), onnx.D(z.w*cell))
	x = b.Sub(b.Mul(x, b.Const(2)), b.Const(1))
	dit.Output(b, "features", encode(b, s.At("feature_encoder"), x))
	dit.Output(b, "context", encode(b, s.At("context_encoder"), x))
}

// writeFlow writes the search for the flow: features of two frames and the context of the first to flow [1,2,8h,8w].
func (m *raft) writeFlow(b *nn.Builder, s *weights.Scope, z size) {
	one, h, w := onnx.D(1), onnx.D(z.h), onnx.D(z.w)
	first, second := dit.Input(b, "first", one, onnx.D(m.features), h, w), dit.Input(b, "second", one, onnx.D(m.features), h, w)
	parts := b.Split(dit.Input(b, "context", one, onnx.D(m.hidden+m.context), h, w), 1, m.hidden, m.context)
	state, context := b.Tanh(parts[0]), b.Relu(parts[1])
	pyramid := m.correlations(b, first, second, z)
	flow := dit.Input(b, "begin", one, onnx.D(2), h, w) // zeros: a constant would be folded with weights, before there are any
	u := s.At("update_block")
	for range rounds {
		e := u.At("motion_encoder")
		c := b.Relu(conv(b, e.At("convcorr1.0"), around(b, pyramid, flow, z), 1))
		c = b.Relu(conv(b, e.At("convcorr2.0"), c, 1))
		f := b.Relu(conv(b, e.At("convflow2.0"), b.Relu(conv(b, e.At("convflow1.0"), flow, 1)), 1))
		motion := b.Concat(1, b.Relu(conv(b, e.At("conv.0"), b.Concat(1, c, f), 1)), flow)
		x := b.Concat(1, context, motion)
		for _, name := range []string{"convgru1", "convgru2"} {
			state = gated(b, u.At("recurrent_block", name), state, x)
		}
		head := u.At("flow_head")
		flow = b.Add(flow, conv(b, head.At("conv2"), b.Relu(conv(b, head.At("conv1"), state, 1)), 1))
	}
	dit.Output(b, "flow", enlarged(b, s.At("mask_predictor"), state, flow, z))
}

// gated is one step of a gated recurrent unit of convolutions.
func gated(b *nn.Builder, s *weights.Scope, state, x *onnx.Value) *onnx.Value {
	both := b.Concat(1, state, x)
	keep, reset := b.Sigmoid(conv(b, s.At("convz"), both, 1)), b.Sigmoid(conv(b, s.At("convr"), both, 1))
	fresh := b.Tanh(conv(b, s.At("convq"), b.Concat(1, b.Mul(reset, state), x), 1))
	return b.Add(b.Mul(b.Sub(b.Const(1), keep), state), b.Mul(keep, fresh))
}

// correlations compare each cell of the first frame with all of the second [h·w,1,h,w], and with the means of more and more of them.
func (m *raft) correlations(b *nn.Builder, first, second *onnx.Value, z size) []*onnx.Value {
	one, n, c := onnx.D(1), onnx.D(z.h*z.w), onnx.D(m.features)
	x := b.MatMul(b.Transpose(b.Reshape(first, one, c, n), 0, 2, 1), b.Reshape(second, one, c, n))
	x = b.Reshape(b.Mul(x, b.Const(float32(1/math.Sqrt(float64(m.features))))), n, one, onnx.D(z.h), onnx.D(z.w))
	out := []*onnx.Value{x}
	for len(out) < levels {
		x = b.AveragePool(x, []int{2, 2}, onnx.WindowND{Stride: []int{2, 2}})
		out = append(out, x)
	}
	return out
}

// around are the correlations [1,levels·window²,h,w] of each cell with those around the place where the flow takes it.
func around(b *nn.Builder, pyramid []*onnx.Value, flow *onnx.Value, z size) *onnx.Value {
	n := z.h * z.w
	places, near := make([]float32, 0, 2*n), make([]float32, 0, 2*window*window)
	for i := range n {
		places = append(places, float32(i%z.w), float32(i/z.w))
	}
	for i := range window {
		for k := range window {
			near = append(near, float32(i-reach), float32(k-reach))
		}
	}
	compute := flow.DType
	constant := func(v []float32, shape ...int) *onnx.Value { return b.Cast(b.Floats(v, shape...), compute) }
	one, two := onnx.D(1), onnx.D(2)
	at := b.Reshape(b.Transpose(b.Reshape(flow, one, two, onnx.D(n)), 0, 2, 1), onnx.D(n), one, one, two)
	at = b.Add(at, constant(places, n, 1, 1, 2))
	var parts []*onnx.Value
	for l, x := range pyramid {
		grid := b.Add(b.Mul(at, b.Const(1/float32(int(1)<<l))), constant(near, 1, window, window, 2))
		scale := []float32{2 / float32(x.Dim(3).N-1), 2 / float32(x.Dim(2).N-1)}
		grid = b.Sub(b.Mul(grid, constant(scale, 1, 1, 1, 2)), b.Const(1))
		parts = append(parts, b.Reshape(b.GridSample(x, grid, true, onnx.Zeros), one, onnx.D(n), onnx.D(window*window)))
	}
	y := b.Transpose(b.Concat(2, parts...), 0, 2, 1)
	return b.Reshape(y, one, y.Dim(1), onnx.D(z.h), onnx.D(z.w))
}

// enlarged is the flow of each pixel: a mean of those of the nine cells around it, by weights that the network predicts.
func enlarged(b *nn.Builder, s *weights.Scope, state, flow *onnx.Value, z size) *onnx.Value {
	const neighbours, side, share = 9, 3, 0.25
	one, h, w := onnx.D(1), onnx.D(z.h), onnx.D(z.w)
	mask := conv(b, s.At("conv"), b.Relu(conv(b, s.At("convrelu.0"), state, 1)), 1)
	// Behind the reshape: ONNX Runtime would fold a factor right behind a convolution before there are weights.
	mask = b.Softmax(b.Mul(b.Reshape(mask, one, onnx.D(neighbours), onnx.D(cell*cell), h, w), b.Const(share)), 1)
	padded := b.PadAxes(b.Mul(flow, b.Const(cell)), onnx.Zeros, []int{0, 0, 1, 1}, []int{0, 0, 1, 1})
	var out [2]*onnx.Value
	for k := range neighbours {
		part := b.Reshape(b.Slice(mask, 1, k, k+1), one, onnx.D(cell*cell), h, w)
		near := b.Slice(b.Slice(padded, 2, k/side, k/side+z.h), 3, k%side, k%side+z.w)
		for axis, f := range b.Split(near, 1, 1, 1) {
			y := b.Mul(part, f)
			if out[axis] != nil {
				y = b.Add(out[axis], y)
			}
			out[axis] = y
		}
	}
	return b.PixelShuffle(b.Concat(1, out[:]...), cell)
}
