// Package interpolate contains the networks that generate frames between those of a video: RIFE and FILM.
package interpolate

import (
	"context"
	"fmt"
	"strings"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/engine/weights/layout"
)

func init() { family.Register(rifeKind{}) }

// rifeKind is the family of RIFE models of versions from 4.7 on. Upstream: comfy_extras/frame_interpolation_models/ifnet.py.
type rifeKind struct{}

// Name implements family.Family.
func (rifeKind) Name() string { return "RIFE" }

// Rank implements family.Family.
func (rifeKind) Rank() int { return 20 }

// The blocks of a network, and the part of the size at which each works.
var rifeScales = [...]int{16, 8, 4, 2, 1}

// rifeAlign is the number that divides the sides of frames.
const rifeAlign = 64

// rife is a network that was read from a file.
type rife struct {
	src         weights.Source
	features    int
	channels    [len(rifeScales)]int
	activations family.Activations
}

// ReadInterpolator implements family.Interpolator.
func (rifeKind) ReadInterpolator(src weights.Source) (family.InterpolationNetwork, error) {
	src = scaled{layout.Renamed(src, rifeName)}
	s := weights.NewScope(src)
	if !s.Has("encode.cnn3.weight") || !s.Has("blocks.0.conv0.1.0.weight") {
		return nil, nil
	}
	m := &rife{src: src}
	if shape := s.Shape("encode.cnn3.weight"); len(shape) == 4 {
		m.features = shape[1]
	}
	for i := range rifeScales {
		name := fmt.Sprintf("blocks.%d.conv0.1.0.weight", i)
		shape := s.Shape(name)
		if len(shape) != 4 || shape[0] < 2 {
			return nil, fmt.Errorf("its shapes make no RIFE of %d blocks: %s is %v", len(rifeScales), name, shape)
		}
		m.channels[i] = shape[0]
	}
	return m, nil
}

// rifeName is the name of a tensor without what training puts around it, "" for what only training reads.
func rifeName(n string) string {
	n = strings.TrimPrefix(strings.TrimPrefix(n, "module."), "flownet.")
	if strings.HasPrefix(n, "teacher.") || strings.HasPrefix(n, "caltime.") {
		return ""
	}
	if rest, ok := strings.CutPrefix(n, "block"); ok && !strings.HasPrefix(rest, "s.") {
		return "blocks." + rest
	}
	return n
}

// scaled is a view in which the convolutions beside a shortcut have the factors of their channels, beta, in their weights: ONNX Runtime would read
// weights for that before they are available.
type scaled struct{ weights.Source }

// Lookup implements weights.Source.
func (v scaled) Lookup(name string) (weights.Entry, bool) {
	e, ok := v.Source.Lookup(name)
	block, last, isConv := strings.Cut(name, ".conv.")
	if !ok || !isConv || last != "weight" && last != "bias" {
		return e, ok
	}
	beta, ok := v.Source.Lookup(block + ".beta")
	if !ok || len(e.Shape) == 0 || beta.Count() != e.Shape[0] || e.Data == nil {
		return e, true
	}
	each := e.Count() / e.Shape[0]
	return weights.Compute(name, e.Shape, weights.Computation{Op: "times beta", Parts: []weights.Entry{e, beta}, Read: func(dst []float32, from int) error {
		factors, err := weights.Float32s(beta)
		if err != nil {
			return err
		}
		if err := weights.Range(dst, e, from); err != nil {
			return err
		}
		for i := range dst {
			dst[i] *= factors[(from+i)/each]
		}
		return nil
	}}), true
}

// Weights implements family.InterpolationNetwork.
func (m *rife) Weights() weights.Source { return m.src }

// Prepare implements family.InterpolationNetwork: frames are mirrored at their lower and right borders to whole multiples of 64 pixels.
func (m *rife) Prepare(ctx context.Context, run family.Runner, frame *tensor.Tensor) ([]*tensor.Tensor, error) {
	h, w := frame.Dim(2), frame.Dim(3)
	padded, err := mirrored(frame, (rifeAlign-h%rifeAlign)%rifeAlign, (rifeAlign-w%rifeAlign)%rifeAlign)
	if err != nil {
		return nil, err
	}
	out, err := run.Run(ctx, m.graph("encode", m.encode), []family.Value{family.Floats("x", padded)}, "out")
	if err != nil {
		return nil, err
	}
	return []*tensor.Tensor{frame, padded, out["out"]}, nil
}

// mirrored adds rows and columns at the lower and right border of x [1,C,H,W]; the border itself is not repeated.
func mirrored(x *tensor.Tensor, rows, columns int) (*tensor.Tensor, error) {
	h, w := x.Dim(2), x.Dim(3)
	if rows >= h || columns >= w {
		return nil, fmt.Errorf("interpolating frames of %dx%d pixels: to whole multiples of %d pixels they lack %dx%d, which must be less than they have; use larger frames", w, h, rifeAlign, columns, rows)
	}
	if rows == 0 && columns == 0 {
		return x, nil
	}
	out := tensor.New(1, x.Dim(1), h+rows, w+columns)
	back := func(i, n int) int {
		if i < n {
			return i
		}
		return 2*n - 2 - i
	}
	to := 0
	for c := range x.Dim(1) {
		for y := range h + rows {
			line := x.Data[(c*h+back(y, h))*w:][:w]
			for i := range w + columns {
				out.Data[to] = line[back(i, w)]
				to++
			}
		}
	}
	return out, nil
}

// Between implements family.InterpolationNetwork.
func (m *rife) Between(ctx context.Context, run family.Runner, first, second []*tensor.Tensor, times []float32, emit func(frame *tensor.Tensor) error) error {
	h, w := first[1].Dim(2), first[1].Dim(3)
	for _, t := range times {
		in := []family.Value{
			family.Floats("first", first[1]), family.Floats("second", second[1]), family.Floats("first_features", first[2]), family.Floats("second_features", second[2]),
			family.Vector("time", []float32{t}), family.Vector("across", line(w, 1)), family.Vector("down", line(h, 1)),
			family.Vector("half", []float32{float32(w-1) / 2, float32(h-1) / 2}),
		}
		out, err := run.Run(ctx, m.graph("between", m.between), in, "out")
		if err != nil {
			return err
		}
		if err := emit(cut(out["out"], first[0].Dim(2), first[0].Dim(3))); err != nil {
			return err
		}
	}
	return nil
}

// line are n places in equal distances from -end to end.
func line(n int, end float64) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(end * (2*float64(i)/float64(max(n-1, 1)) - 1))
	}
	return out
}

// cut is the upper left part of x [1,C,H,W].
func cut(x *tensor.Tensor, h, w int) *tensor.Tensor {
	if x.Dim(2) == h && x.Dim(3) == w {
		return x
	}
	out := tensor.New(1, x.Dim(1), h, w)
	for i := range x.Dim(1) * h {
		copy(out.Data[i*w:(i+1)*w], x.Data[(i/h*x.Dim(2)+i%h)*x.Dim(3):])
	}
	return out
}

// Memory implements family.InterpolationNetwork.
func (m *rife) Memory(h, w int) int64 {
	const f32 = 4
	symbols := map[string]int{"h": (h + rifeAlign - 1) / rifeAlign, "w": (w + rifeAlign - 1) / rifeAlign}
	frames := family.Product(2, 3+3+m.features, symbols["h"]*rifeAlign, symbols["w"]*rifeAlign, f32)
	return frames + max(m.activations.Of(m.graph("encode", m.encode), symbols), m.activations.Of(m.graph("between", m.between), symbols))
}

func (m *rife) graph(name string, write func(b *nn.Builder, s *weights.Scope)) family.Graph {
	return family.Graph{Part: "interpolation", Variant: name, Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("interpolation "+name, m.src, write)
	}}
}

// frame declares an input with the given number of channels.
func (m *rife) frame(b *nn.Builder, name string, channels int) *onnx.Value {
	side := onnx.D(rifeAlign)
	return dit.Input(b, name, onnx.D(1), onnx.D(channels), onnx.Sym("h").Times(side), onnx.Sym("w").Times(side))
}

const rgb, rifeSlope = 3, 0.2

// The geometry of convolutions that halve the size, and of transposed ones that double it with a kernel of 4.
var (
	halving  = onnx.Window{Stride: 2, Pads: [4]int{1, 1, 1, 1}}
	doubling = onnx.WindowND{Stride: []int{2, 2}, Before: []int{1, 1}, After: []int{1, 1}}
)

func (m *rife) encode(b *nn.Builder, s *weights.Scope) {
	s = s.At("encode")
	width := 0
	if shape := s.Shape("cnn0.weight"); len(shape) == 4 {
		width = shape[0]
	}
	x := m.frame(b, "x", rgb)
	x = b.LeakyRelu(b.Conv2d(s.At("cnn0"), x, width, 3, halving), rifeSlope)
	for _, name := range []string{"cnn1", "cnn2"} {
		x = b.LeakyRelu(b.Conv2d(s.At(name), x, width, 3, onnx.Pad1()), rifeSlope)
	}
	dit.Output(b, "out", b.ConvTranspose(s.At("cnn3"), x, m.features, []int{4, 4}, 1, doubling))
}

// between makes a frame: each block improves the flow from the frame that is made to the two that there are, and a mask that mixes them.
func (m *rife) between(b *nn.Builder, s *weights.Scope) {
	first, second := m.frame(b, "first", rgb), m.frame(b, "second", rgb)
	firstAll := b.Concat(1, first, m.frame(b, "first_features", m.features))
	secondAll := b.Concat(1, second, m.frame(b, "second_features", m.features))
	one := onnx.D(1)
	h, w := first.Dim(2), first.Dim(3)
	time := b.Expand(b.Reshape(dit.Input(b, "time", one), one, one, one, one), one, one, h, w)
	places := b.Concat(3,
		b.Expand(b.Reshape(b.Input("across", dtype.F32, w), one, one, w, one), one, h, w, one),
		b.Expand(b.Reshape(b.Input("down", dtype.F32, h), one, h, one, one), one, h, w, one))
	half := b.Reshape(b.Input("half", dtype.F32, onnx.D(2)), one, one, one, onnx.D(2))
	warp := func(x, flow *onnx.Value) *onnx.Value {
		moved := b.Div(b.Transpose(b.Cast(flow, dtype.F32), 0, 2, 3, 1), half)
		return b.GridSample(x, b.Add(places, moved), true, onnx.Edge)
	}
	x := b.Concat(1, first, second, b.Slice(firstAll, 1, rgb, rgb+m.features), b.Slice(secondAll, 1, rgb, rgb+m.features), time)
	var flow, mask *onnx.Value
	const flows, masks, more = 4, 1, 8
	for i, scale := range rifeScales {
		made := m.block(b, s.At("blocks").Index(i), x, flow, scale, m.channels[i])
		parts := b.Split(made, 1, flows, masks, more)
		change := parts[0]
		if scale > 1 {
			change = b.Mul(change, b.Const(float32(scale)))
		}
		if flow != nil {
			change = b.Add(flow, change)
		}
		flow, mask = change, parts[1]
		halves := b.Split(flow, 1, 2, 2)
		firstAll, secondAll := warp(firstAll, halves[0]), warp(secondAll, halves[1])
		images, features := func(x *onnx.Value) *onnx.Value { return b.Slice(x, 1, 0, rgb) }, func(x *onnx.Value) *onnx.Value { return b.Slice(x, 1, rgb, rgb+m.features) }
		if i == len(rifeScales)-1 {
			from := images(secondAll)
			b.Output("out", b.Cast(b.Add(from, b.Mul(b.Sigmoid(mask), b.Sub(images(firstAll), from))), dtype.F32))
			return
		}
		x = b.Concat(1, images(firstAll), images(secondAll), features(firstAll), features(secondAll), time, mask, parts[2])
	}
}

// block is a block's result for x and the flow so far, which it reads at a part of the size.
func (m *rife) block(b *nn.Builder, s *weights.Scope, x, flow *onnx.Value, scale, channels int) *onnx.Value {
	small := func(x *onnx.Value) *onnx.Value {
		if scale == 1 {
			return x
		}
		side := onnx.D(rifeAlign / scale)
		return b.ResizeTo(x, onnx.Linear, x.Dim(0), x.Dim(1), onnx.Sym("h").Times(side), onnx.Sym("w").Times(side))
	}
	x = small(x)
	if flow != nil {
		flow = small(flow)
		if scale > 1 {
			flow = b.Mul(flow, b.Const(1/float32(scale)))
		}
		x = b.Concat(1, x, flow)
	}
	x = b.LeakyRelu(b.Conv2d(s.At("conv0.0.0"), x, channels/2, 3, halving), rifeSlope)
	x = b.LeakyRelu(b.Conv2d(s.At("conv0.1.0"), x, channels, 3, halving), rifeSlope)
	for i := range s.Count("convblock") {
		at := s.At("convblock").Index(i)
		at.Weight("beta", 1, channels, 1, 1) // which scaled reads
		x = b.LeakyRelu(b.Conv2dAdd(at.At("conv"), x, x, channels, 3, onnx.Pad1()), rifeSlope)
	}
	const made, shuffle = 4 * 13, 2
	x = b.PixelShuffle(b.ConvTranspose(s.At("lastconv.0"), x, made, []int{4, 4}, 1, doubling), shuffle)
	if scale > 1 {
		x = b.Upscale(x, onnx.Linear, 1, 1, scale, scale)
	}
	return x
}
