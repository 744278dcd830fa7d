// Package chunked runs the coders of video VAEs on chunks of frames: each layer is a graph of its own that carries what it needs of the
// frames before to the next chunk, so the result equals that of all frames at once and memory does not grow with their number. It knows
// no model and registers no family.
package chunked

import (
	"cmp"
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/torchrand"
	"comfygo/engine/weights"
)

// Layer is one layer of a coder.
type Layer struct {
	// Name is the layer's place among the weights.
	Name string
	// Channels are the channels of its input.
	Channels int
	// Delay is the number of input frames that the layer holds back until the last chunk: it looks that many frames ahead.
	Delay int
	// Lead, when set, is the number of frames of the first chunk.
	Lead int
	// Frames and Side, when set, divide the numbers of frames (after the first chunk), rows and columns.
	Frames, Side int
	// Inputs are further inputs of the graph.
	Inputs []family.Value
	// Noise is the number of noise maps that the layer reads, which are the same for all chunks; see Coder.Noise.
	Noise int
	// Single reports that the layer processes one frame at a time and delays none: T is 1, and its states are kept frame by
	// frame; see Coder.Before.
	Single bool
	// Parity reports that the first chunk is written for even and for odd numbers of frames, which Coder.Odd tells.
	Parity bool
	// Alone reports that nothing is kept of a first chunk of one frame: the next chunk is a first one again.
	Alone bool
	// Write writes the layer for x [1,C,T,h,w]. A layer that is Single may return its frames as images, [T,C,h,w].
	Write func(c *Coder, x *onnx.Value) *onnx.Value
}

// phase distinguishes the graphs of a layer: those of the first and of the last chunk differ.
type phase struct{ First, Last, Odd bool }

// Coder writes a layer for one phase.
type Coder struct {
	*nn.Builder
	// Scope is the scope of the network's weights.
	Scope  *weights.Scope
	phase  phase
	single bool
	slots  []slot
	kept   []*onnx.Value
}

// slot is a state that a layer carries.
type slot struct {
	// frames is the number of tensors in the state of a Single layer, one per frame, and 1 for other layers.
	frames int
	// shape is the shape of each of them; empty for the first chunk, which has none.
	shape onnx.Shape
	// kept reports that this chunk changes the state.
	kept bool
}

// First and Last state for which chunks the layer is written.
func (c *Coder) First() bool { return c.phase.First }

// Last is like First.
func (c *Coder) Last() bool { return c.phase.Last }

// Odd reports whether the first chunk has an odd number of frames, for layers with Parity.
func (c *Coder) Odd() bool { return c.phase.Odd }

// Single reports whether the layer processes one frame at a time.
func (c *Coder) Single() bool { return c.single }

func slotName(i, frame int) string { return fmt.Sprintf("carried%d.%d", i, frame) }

// Before returns the given number of frames before x, the oldest first, for a Single layer, whose x is one frame; none for the first chunk.
// Frames before the first one that was kept are zero. x is kept for the next chunks, the first one where keepFirst says so. Nothing is
// joined: the frames are inputs, and x is an output.
func (c *Coder) Before(x *onnx.Value, frames int, keepFirst bool) []*onnx.Value {
	at := slot{frames: frames, kept: !c.phase.Last && (keepFirst || !c.phase.First)}
	var before []*onnx.Value
	if !c.phase.First {
		at.shape = x.Shape
		for i := range frames {
			before = append(before, c.Cast(c.Input(slotName(len(c.slots), i), dtype.F32, x.Shape...), x.DType))
		}
	}
	if at.kept {
		c.kept = append(c.kept, x)
	}
	c.slots = append(c.slots, at)
	return before
}

// State returns a value that a Single layer passed to Keep in the chunk before, or nil for the first chunk. Values are kept in the order in
// which they are requested.
func (c *Coder) State(t dtype.DType, shape onnx.Shape) *onnx.Value {
	at := slot{frames: 1, kept: !c.phase.Last}
	var before *onnx.Value
	if !c.phase.First {
		at.shape = shape
		before = c.Cast(c.Input(slotName(len(c.slots), 0), dtype.F32, shape...), t)
	}
	c.slots = append(c.slots, at)
	return before
}

// Keep keeps values for the next chunk; see State.
func (c *Coder) Keep(next ...*onnx.Value) {
	if !c.phase.Last {
		c.kept = append(c.kept, next...)
	}
}

// Carry joins the given number of kept frames of the chunk before with x [1,C,T,h,w], and keeps the last frames of keep's result for
// the next chunk. begin makes their replacement for the first chunk.
func (c *Coder) Carry(x *onnx.Value, frames int, begin func(x *onnx.Value) *onnx.Value, keep func(x *onnx.Value) *onnx.Value) *onnx.Value {
	if frames == 0 {
		return x
	}
	at := slot{frames: 1, kept: !c.phase.Last}
	if c.phase.First {
		x = begin(x)
	} else {
		before := c.Input(slotName(len(c.slots), 0), dtype.F32, x.Dim(0), x.Dim(1), onnx.D(frames), x.Dim(3), x.Dim(4))
		at.shape = before.Shape
		x = c.Concat(2, c.Cast(before, x.DType), x)
	}
	c.slots = append(c.slots, at)
	if at.kept {
		c.kept = append(c.kept, keep(x))
	}
	return x
}

// Noise is the map of noise number i, [1,1,1,h,w] for x [1,C,T,h,w].
func (c *Coder) Noise(x *onnx.Value, i int) *onnx.Value {
	one := onnx.D(1)
	return c.Cast(c.Input(noiseName(i), dtype.F32, one, one, one, x.Dim(3), x.Dim(4)), x.DType)
}

func noiseName(i int) string { return fmt.Sprintf("noise%d", i) }

// Frames turns a video [1,C,T,h,w] into images [T,C,h,w], Joined the other way round.
func (c *Coder) Frames(x *onnx.Value) *onnx.Value {
	if x.Dim(2).Is(1) {
		return c.Squeeze(x, 2)
	}
	return c.Transpose(c.Squeeze(x, 0), 1, 0, 2, 3)
}

// Joined is the inverse of Frames.
func (c *Coder) Joined(x *onnx.Value) *onnx.Value {
	if x.Dim(0).Is(1) {
		return c.Unsqueeze(x, 2)
	}
	return c.Unsqueeze(c.Transpose(x, 1, 0, 2, 3), 0)
}

// ConvTaps is the convolution at s over frames [T+k-1,C,h,w] for a result of T images with the given number of channels, as a sum of
// convolutions of images with the geometry w; the network's source is Taps.
func (c *Coder) ConvTaps(s *weights.Scope, frames *onnx.Value, out, kernel int, w onnx.Window) *onnx.Value {
	side := 1
	if sh := s.Shape(TapName(0) + ".weight"); len(sh) == 4 {
		side = sh[2]
	}
	n := frames.Dim(0).Minus(onnx.D(kernel - 1))
	var y *onnx.Value
	for k := range kernel {
		x := frames
		if kernel > 1 {
			x = c.SliceDims(frames, 0, onnx.D(k), n.Plus(onnx.D(k)))
		}
		y = c.Conv2dAdd(s.At(TapName(k)), x, y, out, side, w)
	}
	return y
}

// Tail returns the last n frames of x.
func (c *Coder) Tail(x *onnx.Value, n int) *onnx.Value {
	return c.SliceDims(x, 2, x.Dim(2).Minus(onnx.D(n)), x.Dim(2))
}

// Pad adds copies of the first frame before x and of the last one after it.
func (c *Coder) Pad(x *onnx.Value, before, after int) *onnx.Value {
	if before == 0 && after == 0 {
		return x
	}
	return c.PadAxes(x, onnx.Edge, []int{0, 0, before, 0, 0}, []int{0, 0, after, 0, 0})
}

// Window is the geometry of a convolution.
type Window struct {
	Kernel, Stride [3]int
	// Ahead is the number of frames of the kernel after the current one; the others are before it.
	Ahead int
	// Spatial is the padding mode of rows and columns, by half the kernel.
	Spatial onnx.Fill
	// Carry, when set, is the number of frames kept for the next chunk, instead of those that the kernel needs.
	Carry int
}

// Cube is the geometry of a convolution with a kernel of three in each direction that keeps the size; ahead is 1, or 0 if a frame
// depends only on those before it.
func Cube(ahead int) Window {
	return Window{Kernel: [3]int{3, 3, 3}, Stride: [3]int{1, 1, 1}, Ahead: ahead}
}

// Conv is a convolution at s over frames; the first and the last frame are repeated as padding.
func (c *Coder) Conv(s *weights.Scope, x *onnx.Value, out int, w Window) *onnx.Value {
	c.At(s.Prefix())
	k := w.Kernel[0]
	carried := cmp.Or(w.Carry, k-w.Stride[0])
	x = c.Carry(x, carried, func(x *onnx.Value) *onnx.Value { return c.Pad(x, k-1-w.Ahead, 0) }, func(x *onnx.Value) *onnx.Value { return c.Tail(x, carried) })
	if c.phase.Last {
		x = c.Pad(x, 0, w.Ahead)
	}
	if c.taps(s, w) {
		return c.convByTaps(s, x, out, w)
	}
	half := [2]int{w.Kernel[1] / 2, w.Kernel[2] / 2}
	window := onnx.WindowND{Stride: w.Stride[:]}
	switch {
	case w.Spatial == onnx.Zeros || half == [2]int{}:
		window.Before, window.After = []int{0, half[0], half[1]}, []int{0, half[0], half[1]}
	default:
		x = c.PadAxes(x, w.Spatial, []int{0, 0, 0, half[0], half[1]}, []int{0, 0, 0, half[0], half[1]})
	}
	return c.Conv3d(s, x, out, w.Kernel, window)
}

// taps reports that a convolution is written as ConvTaps: the network's source is Taps, and the CPU has the faster kernels for it.
func (c *Coder) taps(s *weights.Scope, w Window) bool {
	return !c.Target.CUDA && w.Kernel == [3]int{3, 3, 3} && w.Stride == [3]int{1, 1, 1} && s.Has(TapName(0)+".weight")
}

// convByTaps is Conv of frames that have those before and after them already. Where the padding of rows and columns is not zero, a border is
// computed and cut off again: the faster kernels pad with zeros.
func (c *Coder) convByTaps(s *weights.Scope, x *onnx.Value, out int, w Window) *onnx.Value {
	if w.Spatial != onnx.Zeros {
		x = c.PadAxes(x, w.Spatial, []int{0, 0, 0, 1, 1}, []int{0, 0, 0, 1, 1})
	}
	y := c.ConvTaps(s, c.Transpose(c.Squeeze(x, 0), 1, 0, 2, 3), out, w.Kernel[0], onnx.Pad1())
	if w.Spatial != onnx.Zeros {
		for _, axis := range []int{2, 3} {
			y = c.SliceDims(y, axis, onnx.D(1), y.Dim(axis).Minus(onnx.D(1)))
		}
	}
	return c.Joined(y)
}

// Delayed holds the given number of last frames of x back until the next chunk, as parallel convolutions do.
func (c *Coder) Delayed(x *onnx.Value, frames int) *onnx.Value {
	if frames == 0 {
		return x
	}
	plain := func(x *onnx.Value) *onnx.Value { return x }
	x = c.Carry(x, frames, plain, func(x *onnx.Value) *onnx.Value { return c.Tail(x, frames) })
	if c.phase.Last {
		return x
	}
	return c.SliceDims(x, 2, onnx.D(0), x.Dim(2).Minus(onnx.D(frames)))
}

// Network is a coder.
type Network struct {
	// Part is the part's name in progress and metrics, such as "vae decoder".
	Part   string
	Source weights.Source
	Layers []Layer
	// Limit bounds the bytes of the frames that go from layer to layer at once; there is always one frame.
	Limit int64
	// Streamed marks the graphs as streamed; see family.Graph.
	Streamed bool

	mu          sync.Mutex
	known       map[string]*layerGraph
	activations family.Activations
}

type layerGraph struct {
	slots []slot
	out   onnx.Shape
}

// phase returns the phase of a chunk of the given number of frames. A Single layer has the same phase for the last chunk as for those before, except
// for an image, of which nothing is kept.
func (l Layer) phase(first, last bool, frames int) phase {
	return phase{First: first, Last: last && (first || !l.Single), Odd: first && l.Parity && frames%2 == 1}
}

// write writes the graph of a layer.
func (n *Network) write(b *nn.Builder, s *weights.Scope, l Layer, p phase) *layerGraph {
	frames, one, side := onnx.Sym("T").Times(onnx.D(max(l.Frames, 1))), onnx.D(1), onnx.D(max(l.Side, 1))
	if p.First {
		frames = onnx.Sym("T")
		if l.Lead > 0 {
			frames = onnx.D(l.Lead)
		} else if l.Parity {
			frames = frames.Times(onnx.D(2))
			if p.Odd {
				frames = frames.Minus(onnx.D(1))
			}
		} else if !p.Last {
			frames = frames.Plus(onnx.D(l.Delay))
		}
	}
	if l.Single {
		frames = one
	}
	x := b.Input("x", dtype.F32, one, onnx.D(l.Channels), frames, onnx.Sym("h").Times(side), onnx.Sym("w").Times(side))
	c := &Coder{Builder: b, Scope: s, phase: p, single: l.Single}
	y := l.Write(c, b.Cast(x, b.Target.Compute))
	for i, k := range c.kept {
		b.Output("kept"+fmt.Sprint(i), b.Cast(k, dtype.F32))
	}
	b.Output("out", b.Cast(y, dtype.F32))
	return &layerGraph{slots: c.slots, out: y.Shape}
}

func (n *Network) graph(l Layer, p phase) family.Graph {
	return family.Graph{Part: n.Part, Variant: family.Digest(l.Name, p), Streamed: n.Streamed, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build(n.Part+" "+l.Name, n.Source, func(b *nn.Builder, s *weights.Scope) { n.write(b, s, l, p) })
	}}
}

// layer returns the known properties of a layer's graph.
func (n *Network) layer(l Layer, p phase) (*layerGraph, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	key := family.Digest(l.Name, p)
	if g, ok := n.known[key]; ok {
		return g, nil
	}
	target, err := nn.TargetFor(nn.TargetOptions{MapWeights: true})
	if err != nil {
		return nil, err
	}
	var found *layerGraph
	if _, err := (family.Spec{Target: target}).Build(l.Name, n.Source, func(b *nn.Builder, s *weights.Scope) { found = n.write(b, s, l, p) }); err != nil {
		return nil, err
	}
	if n.known == nil {
		n.known = map[string]*layerGraph{}
	}
	n.known[key] = found
	return found, nil
}

// Run runs the coder on the frames of x [1,C,T,h,w] and calls emit with each chunk of the result, in order. first and rest are the
// numbers of frames of the first chunk and of the others, 0 for all of them; the number of finished frames is reported to the
// context (see family.WithProgress) if there is more than one chunk. random is the noise source of the layers, or nil if no layer
// reads noise.
func (n *Network) Run(ctx context.Context, run family.Runner, x *tensor.Tensor, first, rest int, random *torchrand.Generator, emit func(y *tensor.Tensor) error) error {
	return n.RunFrom(ctx, run, x.Dim(2), func(from, to int) *tensor.Tensor { return Frames(x, from, to) }, first, rest, random, emit)
}

// RunFrom is Run for the given number of frames, which are made on demand: frames returns a range of them, [1,C,T,h,w].
func (n *Network) RunFrom(ctx context.Context, run family.Runner, total int, frames func(from, to int) *tensor.Tensor, first, rest int, random *torchrand.Generator, emit func(y *tensor.Tensor) error) error {
	r := &running{Network: n, run: run, emit: emit, layers: make([]progress, len(n.Layers)), random: random}
	if len(n.Layers) > 0 && n.Layers[0].Single {
		first, rest = 1, 1
	}
	for from := 0; from < total; {
		size := rest
		if from == 0 {
			size = first
		}
		to := total
		if size > 0 {
			to = min(from+size, total)
		}
		if err := r.push(ctx, 0, frames(from, to), to == total); err != nil {
			return err
		}
		from = to
		if first > 0 {
			family.Advance(ctx, to, total)
		}
	}
	return nil
}

// running is one run of a coder.
type running struct {
	*Network
	run    family.Runner
	emit   func(y *tensor.Tensor) error
	layers []progress
	random *torchrand.Generator
	// garbage counts the bytes of frames and states that were dropped since they were last collected.
	garbage int64
}

// mostGarbage limits the garbage between collections: by default the collector lets it grow to the size of the live heap.
const mostGarbage = 8 << 20

// drop counts unreferenced tensors, and collects the garbage if it is large. Their memory goes back to the system, as the next ones
// seldom fit between those that stay.
func (r *running) drop(bytes int64) {
	if r.garbage += bytes; r.garbage > mostGarbage {
		r.garbage = 0
		debug.FreeOSMemory()
	}
}

func bytesOf(t *tensor.Tensor) int64 { return 4 * int64(t.Len()) }

// progress is where a run is in a layer.
type progress struct {
	begun bool
	// carried are the states for the next chunk, each of one tensor or of one for each frame, held the frames that are too few for the
	// first one.
	carried [][]*tensor.Tensor
	held    *tensor.Tensor
	noise   []family.Value
}

// push hands frames to a layer and its result, in pieces, to the next one.
func (r *running) push(ctx context.Context, i int, x *tensor.Tensor, last bool) error {
	if i == len(r.Layers) {
		return r.emit(x)
	}
	l, at := r.Layers[i], &r.layers[i]
	if at.held != nil {
		x, at.held = JoinFrames(at.held, x), nil
	}
	if !at.begun && !last && x.Dim(2) <= l.Delay {
		at.held = x
		return nil
	}
	p := l.phase(!at.begun, last, x.Dim(2))
	at.begun = at.begun || !l.Alone || x.Dim(2) > 1
	for k := len(at.noise); k < l.Noise; k++ {
		noise := tensor.New(1, 1, 1, x.Dim(3), x.Dim(4))
		r.random.Randn(noise.Data)
		at.noise = append(at.noise, family.Floats(noiseName(k), noise))
	}
	y, dropped, err := r.layerOn(ctx, l, at, p, x)
	if err != nil {
		return err
	}
	r.drop(dropped)
	video := videoShape(y.Shape)
	n, size := video[2], r.piece(i+1, video)
	if size >= n { // nothing here refers to y any longer while the following layers run
		return r.push(ctx, i+1, cut(y, 0, n), last)
	}
	for from := 0; from < n; from += size {
		to := min(from+size, n)
		if err = r.push(ctx, i+1, cut(y, from, to), last && to == n); err != nil {
			return err
		}
	}
	r.drop(bytesOf(y))
	return nil
}

// videoShape is the shape of a layer's result as a video.
func videoShape(shape []int) []int {
	if len(shape) == 4 {
		return []int{1, shape[1], shape[0], shape[2], shape[3]}
	}
	return shape
}

// cut returns frames [from, to) of a layer's result as a video. A single image is not copied.
func cut(y *tensor.Tensor, from, to int) *tensor.Tensor {
	if len(y.Shape) != 4 {
		return Frames(y, from, to)
	}
	images := y.Slice(from, to)
	if to-from > 1 {
		return Video(images)
	}
	return &tensor.Tensor{Shape: videoShape(images.Shape), Data: images.Data}
}

// layerOn runs a layer on frames and exchanges its states. It returns the result, and the bytes that are no longer used: those of x and of
// old states.
func (r *running) layerOn(ctx context.Context, l Layer, at *progress, p phase, x *tensor.Tensor) (*tensor.Tensor, int64, error) {
	known, err := r.layer(l, p)
	if err != nil {
		return nil, 0, err
	}
	in := slices.Concat([]family.Value{family.Floats("x", x)}, l.Inputs, at.noise)
	dropped := bytesOf(x)
	if at.carried == nil {
		at.carried = make([][]*tensor.Tensor, len(known.slots))
	}
	outputs := []string{"out"}
	for k, s := range known.slots {
		if s.kept {
			outputs = append(outputs, fmt.Sprintf("kept%d", len(outputs)-1))
		}
		if p.First {
			continue
		}
		missing := s.frames - len(at.carried[k])
		for i := range s.frames {
			var t *tensor.Tensor
			if i >= missing {
				t = at.carried[k][i-missing]
			} else if t, err = zeros(s.shape, l.symbols(x.Shape, p)); err != nil {
				return nil, 0, err
			}
			in = append(in, family.Floats(slotName(k, i), t))
		}
	}
	out, err := r.run.Run(ctx, r.graph(l, p), in, outputs...)
	if err != nil {
		return nil, 0, err
	}
	next := 1
	for k, s := range known.slots {
		if s.kept {
			at.carried[k] = append(at.carried[k], out[outputs[next]])
			next++
		}
		for len(at.carried[k]) > s.frames {
			dropped += bytesOf(at.carried[k][0])
			at.carried[k] = slices.Delete(at.carried[k], 0, 1)
		}
	}
	return out["out"], dropped, nil
}

// zeros is a state of a shape that nothing was kept for yet.
func zeros(shape onnx.Shape, symbols map[string]int) (*tensor.Tensor, error) {
	sizes, err := eval(shape, symbols)
	if err != nil {
		return nil, err
	}
	return tensor.New(sizes...), nil
}

func eval(shape onnx.Shape, symbols map[string]int) ([]int, error) {
	sizes := make([]int, len(shape))
	for i, d := range shape {
		var err error
		if sizes[i], err = d.Eval(symbols); err != nil {
			return nil, err
		}
	}
	return sizes, nil
}

// symbols are the values of those in the layer's graph for frames of a shape.
func (l Layer) symbols(shape []int, p phase) map[string]int {
	out := map[string]int{"T": max(1, shape[2]/max(l.Frames, 1)), "h": max(1, shape[3]/max(l.Side, 1)), "w": max(1, shape[4]/max(l.Side, 1))}
	if p.First {
		out["T"] = shape[2]
		if l.Parity {
			out["T"] = (shape[2] + 1) / 2
		}
	}
	return out
}

// piece is the number of frames of a shape that go to layer i at once.
func (n *Network) piece(i int, shape []int) int {
	switch {
	case i < len(n.Layers) && n.Layers[i].Single:
		return 1
	case n.Limit <= 0:
		return shape[2]
	}
	each := family.Product(shape[1], shape[3], shape[4], 4)
	return int(max(1, min(int64(shape[2]), n.Limit/max(each, 1))))
}

// Frames returns frames [from, to) of x [1,C,T,h,w].
func Frames(x *tensor.Tensor, from, to int) *tensor.Tensor {
	if from == 0 && to == x.Dim(2) {
		return x
	}
	shape := slices.Clone(x.Shape)
	shape[2] = to - from
	out := tensor.New(shape...)
	size := x.Dim(3) * x.Dim(4)
	for c := range x.Dim(0) * x.Dim(1) {
		copy(out.Data[c*(to-from)*size:], x.Data[(c*x.Dim(2)+from)*size:(c*x.Dim(2)+to)*size])
	}
	return out
}

// JoinFrames joins videos [1,C,·,h,w] one after the other.
func JoinFrames(parts ...*tensor.Tensor) *tensor.Tensor {
	total := 0
	for _, p := range parts {
		total += p.Dim(2)
	}
	shape := slices.Clone(parts[0].Shape)
	shape[2] = total
	out := tensor.New(shape...)
	size, at := shape[3]*shape[4], 0
	for _, p := range parts {
		n := p.Dim(2) * size
		for c := range shape[0] * shape[1] {
			copy(out.Data[c*total*size+at:], p.Data[c*n:(c+1)*n])
		}
		at += n
	}
	return out
}

// Images turns a video [1,C,T,h,w] into images [T,C,h,w].
func Images(x *tensor.Tensor) *tensor.Tensor {
	out := tensor.New(x.Dim(2), x.Dim(1), x.Dim(3), x.Dim(4))
	swap(out.Data, x.Data, x.Dim(2), x.Dim(1), x.Dim(3)*x.Dim(4))
	return out
}

// Video is the inverse of Images.
func Video(x *tensor.Tensor) *tensor.Tensor {
	out := tensor.New(1, x.Dim(1), x.Dim(0), x.Dim(2), x.Dim(3))
	swap(out.Data, x.Data, x.Dim(1), x.Dim(0), x.Dim(2)*x.Dim(3))
	return out
}

// swap sets dst [a,b,size] to src [b,a,size].
func swap(dst, src []float32, a, b, size int) {
	for i := range a {
		for k := range b {
			copy(dst[(i*b+k)*size:(i*b+k+1)*size], src[(k*a+i)*size:])
		}
	}
}
