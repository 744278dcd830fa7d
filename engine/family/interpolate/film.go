package interpolate

import (
	"context"
	"fmt"
	"slices"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(filmKind{}) }

// filmKind is the family of FILM models. Upstream: comfy_extras/frame_interpolation_models/film_net.py.
type filmKind struct{}

// Name implements family.Family.
func (filmKind) Name() string { return "FILM" }

// Rank implements family.Family.
func (filmKind) Rank() int { return 10 }

// The sizes of a frame, each half of the one before: the flow is computed on all of them, frames are made from the first
// ones.
const (
	filmLevels = 7
	filmFused  = 5
	// filmDepth is the number of sizes from which features are taken at once, filmOwn the number of sizes with their own flow
	// predictor.
	filmDepth = 4
	filmOwn   = 3
	filmSlope = 0.2
)

// film is a network that was read from a file.
type film struct {
	src weights.Source
	// filters is the number of channels of features of the first size.
	filters     int
	activations family.Activations
}

// ReadInterpolator implements family.Interpolator.
func (filmKind) ReadInterpolator(src weights.Source) (family.InterpolationNetwork, error) {
	const marker = "extract.extract_sublevels.convs.0.0.conv.weight"
	s := weights.NewScope(src)
	if !s.Has(marker) {
		return nil, nil
	}
	shape := s.Shape(marker)
	if len(shape) != 4 || shape[0] < 1 {
		return nil, fmt.Errorf("its shapes make no FILM: %s is %v", marker, shape)
	}
	return &film{src: src, filters: shape[0]}, nil
}

// Weights implements family.InterpolationNetwork.
func (m *film) Weights() weights.Source { return m.src }

// size is the size of frames.
type size struct{ h, w int }

// at is the size of a level.
func (z size) at(level int) size { return size{z.h >> level, z.w >> level} }

// channels are the channels of the features of a level: of its own size, and of larger ones resized to it.
func (m *film) channels(level int) int {
	n := 0
	for j := range min(level+1, filmDepth) {
		n += m.filters << j
	}
	return n
}

// graph is a graph for frames of a size: their levels are rounded down, so they are not multiples of each other.
func (m *film) graph(name string, z size, write func(b *nn.Builder, s *weights.Scope, z size)) family.Graph {
	return family.Graph{Part: "interpolation", Variant: family.Digest(name, z), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("interpolation "+name, m.src, func(b *nn.Builder, s *weights.Scope) { write(b, s, z) })
	}}
}

func numbered(name string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprint(name, i)
	}
	return out
}

// values are inputs called name with a number.
func values(name string, list []*tensor.Tensor) []family.Value {
	out := make([]family.Value, len(list))
	for i, n := range numbered(name, len(list)) {
		out[i] = family.Floats(n, list[i])
	}
	return out
}

func listed(out map[string]*tensor.Tensor, names []string) []*tensor.Tensor {
	list := make([]*tensor.Tensor, len(names))
	for i, n := range names {
		list[i] = out[n]
	}
	return list
}

// Prepare implements family.InterpolationNetwork: the result are the levels of a frame, with the frame itself in front of the features of those that
// are fused.
func (m *film) Prepare(ctx context.Context, run family.Runner, frame *tensor.Tensor) ([]*tensor.Tensor, error) {
	z := size{frame.Dim(2), frame.Dim(3)}
	if least := 1 << (filmLevels - 1); min(z.h, z.w) < least {
		return nil, fmt.Errorf("interpolating frames of %dx%d pixels: the model halves them %d times: use frames of %d pixels and more along each side", z.w, z.h, filmLevels-1, least)
	}
	names := numbered("level", filmLevels)
	out, err := run.Run(ctx, m.graph("levels", z, m.levels), []family.Value{family.Floats("x", frame)}, names...)
	return listed(out, names), err
}

// Between implements family.InterpolationNetwork. The flow between the frames is computed once.
func (m *film) Between(ctx context.Context, run family.Runner, first, second []*tensor.Tensor, times []float32, emit func(frame *tensor.Tensor) error) error {
	z := size{first[0].Dim(2), first[0].Dim(3)}
	forward, backward := numbered("forward", filmFused), numbered("backward", filmFused)
	flows, err := run.Run(ctx, m.graph("flows", z, m.flows), append(values("first", first), values("second", second)...), slices.Concat(forward, backward)...)
	if err != nil {
		return err
	}
	in := slices.Concat(values("first", first[:filmFused]), values("second", second[:filmFused]), values("forward", listed(flows, forward)), values("backward", listed(flows, backward)))
	for _, t := range times {
		out, err := run.Run(ctx, m.graph("fuse", z, m.fuse), append(slices.Clone(in), family.Vector("time", []float32{t})), "out")
		if err != nil {
			return err
		}
		if err := emit(out["out"]); err != nil {
			return err
		}
	}
	return nil
}

// Memory implements family.InterpolationNetwork.
func (m *film) Memory(h, w int) int64 {
	z := size{h, w}
	const f32, flows = 4, 4
	var held int64
	for level := range filmLevels {
		at := z.at(level)
		held += family.Product(at.h, at.w, 2*(rgb+m.channels(level))+flows, f32)
	}
	var most int64
	for name, write := range map[string]func(b *nn.Builder, s *weights.Scope, z size){"levels": m.levels, "flows": m.flows, "fuse": m.fuse} {
		most = max(most, m.activations.Of(m.graph(name, z, write), nil))
	}
	return held + most
}

// outOf is the number of channels that the convolution at s makes.
func outOf(s *weights.Scope) int {
	if shape := s.Shape("weight"); len(shape) == 4 {
		return shape[0]
	}
	return 1 // which is reported when the layer is written
}

// conv is a convolution of any size that keeps that of x; a kernel of an even size extends further down and to the right. Upstream:
// FilmConv2d.
func conv(b *nn.Builder, s *weights.Scope, x *onnx.Value, side int, active bool) *onnx.Value {
	s = s.At("conv")
	w := onnx.WindowND{Before: []int{(side - 1) / 2, (side - 1) / 2}, After: []int{side / 2, side / 2}}
	x = b.ConvND(s, x, outOf(s), []int{side, side}, 1, w)
	if active {
		x = b.LeakyRelu(x, filmSlope)
	}
	return x
}

func halved(b *nn.Builder, x *onnx.Value) *onnx.Value {
	return b.AveragePool(x, []int{2, 2}, onnx.WindowND{Stride: []int{2, 2}})
}

// levels writes the levels of a frame.
func (m *film) levels(b *nn.Builder, s *weights.Scope, z size) {
	x := dit.Input(b, "x", onnx.D(1), onnx.D(rgb), onnx.D(z.h), onnx.D(z.w))
	var images []*onnx.Value
	trees := make([][]*onnx.Value, filmLevels) // the features of a level, and those of the levels below it that its own convolutions compute
	at := s.At("extract.extract_sublevels.convs")
	for level := range filmLevels {
		if level > 0 {
			x = halved(b, x)
		}
		images = append(images, x)
		y := x
		for j := range min(filmLevels-level, filmDepth) {
			if j > 0 {
				y = halved(b, y)
			}
			y = conv(b, at.Index(j).At("1"), conv(b, at.Index(j).At("0"), y, 3, true), 3, true)
			trees[level] = append(trees[level], y)
		}
	}
	for level, name := range numbered("level", filmLevels) {
		var parts []*onnx.Value
		if level < filmFused {
			parts = append(parts, images[level])
		}
		for j := range min(level+1, filmDepth) {
			parts = append(parts, trees[level-j][j])
		}
		if len(parts) == 1 {
			dit.Output(b, name, parts[0])
			continue
		}
		dit.Output(b, name, b.Concat(1, parts...))
	}
}

// level declares the level of a frame as an input.
func (m *film) level(b *nn.Builder, name string, level int, z size) *onnx.Value {
	z = z.at(level)
	channels := m.channels(level)
	if level < filmFused {
		channels += rgb
	}
	return dit.Input(b, fmt.Sprint(name, level), onnx.D(1), onnx.D(channels), onnx.D(z.h), onnx.D(z.w))
}

// warped is x [1,C,h,w] moved by a flow [1,2,h,w] in pixels.
func warped(b *nn.Builder, x, flow *onnx.Value) *onnx.Value {
	h, w := x.Dim(2).N, x.Dim(3).N
	one := onnx.D(1)
	across := b.Reshape(b.Floats(line(w, 1-1/float64(w)), w), one, one, onnx.D(w))
	down := b.Reshape(b.Floats(line(h, 1-1/float64(h)), h), one, onnx.D(h), one)
	parts := b.Split(b.Cast(flow, dtype.F32), 1, 1, 1)
	by := func(place, flow *onnx.Value, n int) *onnx.Value {
		return b.Unsqueeze(b.Add(place, b.Mul(b.Squeeze(flow, 1), b.Scalar(dtype.F32, 2/float32(n)))), 3)
	}
	return b.GridSample(x, b.Concat(3, by(across, parts[0], w), by(down, parts[1], h)), false, onnx.Edge)
}

// flows writes the flows from each frame to the other on the levels that are fused.
func (m *film) flows(b *nn.Builder, s *weights.Scope, z size) {
	var frames [2][]*onnx.Value
	for i, name := range []string{"first", "second"} {
		for level := range filmLevels {
			x := m.level(b, name, level, z)
			if level < filmFused {
				x = b.Slice(x, 1, rgb, rgb+m.channels(level))
			}
			frames[i] = append(frames[i], x)
		}
	}
	for i, name := range []string{"forward", "backward"} {
		for level, flow := range m.flow(b, s.At("predict_flow"), frames[i], frames[1-i])[:filmFused] {
			dit.Output(b, fmt.Sprint(name, level), flow)
		}
	}
}

// flow is the flow from one frame to another on each level, from the smallest one on. Upstream: PyramidFlowEstimator, flow_pyramid_synthesis.
func (m *film) flow(b *nn.Builder, s *weights.Scope, from, to []*onnx.Value) []*onnx.Value {
	out := make([]*onnx.Value, filmLevels)
	var v *onnx.Value
	for level := filmLevels - 1; level >= 0; level-- {
		at := s.At("_predictor")
		if level < filmOwn {
			at = s.At("_predictors").Index(filmOwn - 1 - level)
		}
		seen := to[level]
		if v != nil {
			shape := slices.Clone(seen.Shape)
			shape[1] = onnx.D(2)
			v = b.Mul(b.ResizeTo(v, onnx.Linear, shape...), b.Const(2))
			seen = warped(b, seen, v)
		}
		x := b.Concat(1, from[level], seen)
		const flat = 2 // the last convolutions, of single pixels
		n := at.Count("_convs")
		for i := range n {
			side := 3
			if i >= n-flat {
				side = 1
			}
			x = conv(b, at.At("_convs").Index(i), x, side, i < n-1)
		}
		if v != nil {
			x = b.Add(v, x)
		}
		v, out[level] = x, x
	}
	return out
}

// fuse writes the frame at a time. Upstream: FILMNet.forward_multi_timestep, Fusion.
func (m *film) fuse(b *nn.Builder, s *weights.Scope, z size) {
	one := onnx.D(1)
	time := b.Reshape(dit.Input(b, "time", one), one, one, one, one)
	levels := make([]*onnx.Value, filmFused)
	for level := range levels {
		at := z.at(level)
		flow := func(name string) *onnx.Value {
			return dit.Input(b, fmt.Sprint(name, level), one, onnx.D(2), onnx.D(at.h), onnx.D(at.w))
		}
		backward, forward := b.Mul(flow("backward"), time), b.Mul(flow("forward"), b.Sub(b.Const(1), time))
		levels[level] = b.Concat(1, warped(b, m.level(b, "first", level, z), backward), warped(b, m.level(b, "second", level, z), forward), backward, forward)
	}
	s = s.At("fuse")
	x := levels[filmFused-1]
	for k := range filmFused - 1 {
		level := levels[filmFused-2-k]
		at := s.At("convs").Index(k)
		x = conv(b, at.Index(0), b.ResizeNearest(x, level), 2, false)
		x = conv(b, at.Index(2), conv(b, at.Index(1), b.Concat(1, level, x), 3, true), 3, true)
	}
	dit.Output(b, "out", b.Conv2d(s.At("output_conv"), x, rgb, 1, onnx.Window{Stride: 1}))
}
