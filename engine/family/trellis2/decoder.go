package trellis2

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// kernels shows the weight [O,3,3,3,I] of a convolution of cells as the matrices [O,I] of its offsets, under the names conv.OFFSET.weight; the bias is
// that of the middle. Closing the view closes nothing.
type kernels struct{ weights.Source }

// Close implements weights.Source.
func (kernels) Close() error { return nil }

// Lookup implements weights.Source.
func (k kernels) Lookup(name string) (weights.Entry, bool) {
	if e, ok := k.Source.Lookup(name); ok {
		return e, true
	}
	rest, kind, _ := cutLast(name)
	layer, number, ok := cutLast(rest)
	offset, err := strconv.Atoi(number)
	if !ok || err != nil || offset < 0 || offset >= offsets {
		return weights.Entry{}, false
	}
	e, ok := k.Source.Lookup(layer + "." + kind)
	switch {
	case !ok || kind == "bias" && offset != middle:
		return weights.Entry{}, false
	case kind == "bias":
		return e, true
	case kind != "weight" || len(e.Shape) != 5 || tensor.Count(e.Shape[1:4]) != offsets || e.Quantized():
		return weights.Entry{}, false
	}
	in := e.Shape[4]
	return weights.Compute(name, []int{e.Shape[0], in}, weights.Computation{Op: fmt.Sprintf("kernel offset %d", offset), DType: e.DType, Parts: []weights.Entry{e}, Read: func(dst []float32, from int) error {
		for len(dst) > 0 {
			row, at := from/in, from%in
			n := min(in-at, len(dst))
			if err := weights.Range(dst[:n], e, (row*offsets+offset)*in+at); err != nil {
				return err
			}
			dst, from = dst[n:], from+n
		}
		return nil
	}}), true
}

func cutLast(name string) (before, after string, ok bool) {
	i := strings.LastIndexByte(name, '.')
	if i < 0 {
		return "", name, false
	}
	return name[:i], name[i+1:], true
}

// level is a resolution of a decoder: the width of its cells, the number of its blocks and the width inside their feed-forward layers.
type level struct{ width, blocks, inner int }

// decoder is a network that divides cells level by level.
type decoder struct {
	src weights.Source
	// key is the place of the network in the file, out the number of values of the smallest cells.
	key    string
	out    int
	levels []level
	// predicts reports that the network tells which parts of cells are taken; others take this from a shape.
	predicts bool

	activations family.Activations
}

// readDecoder reads the sizes of a network.
func readDecoder(src weights.Source, name string) (*decoder, error) {
	s := weights.NewScope(src).At(name)
	d := &decoder{src: kernels{src}, key: name, out: dim(s, "output_layer.weight", 0)}
	width := dim(s, "from_latent.weight", 0)
	if in := dim(s, "from_latent.weight", 1); in != channels || width == 0 {
		return nil, fmt.Errorf("reading the shape of the decoder %s: from_latent.weight is %v, wanted %d inputs", name, s.Shape("from_latent.weight"), channels)
	}
	for i := 0; ; i++ { // the last level has no tensors where it has no blocks
		at, l := s.At("blocks").Index(i), level{width: width}
		for at.Index(l.blocks).Has("mlp.0.weight") {
			l.blocks++
		}
		l.inner = dim(at, "0.mlp.0.weight", 0)
		d.levels = append(d.levels, l)
		up := at.Index(l.blocks)
		if !up.Has("conv2.weight") {
			break
		}
		next := dim(up, "conv2.weight", 0)
		if next == 0 || width%parts != 0 || next%(width/parts) != 0 {
			return nil, fmt.Errorf("reading the shape of the decoder %s: level %d has width %d and the next one %d: wanted a multiple of an eighth", name, i, width, next)
		}
		d.predicts = d.predicts || up.Has("to_subdiv.weight")
		width = next
	}
	if len(d.levels) < 2 || d.levels[0].blocks == 0 || dim(s, "output_layer.weight", 1) != width || len(d.levels) < s.Count("blocks") {
		return nil, fmt.Errorf("reading the shape of the decoder %s: it has %d levels and output_layer.weight is %v", name, len(d.levels), s.Shape("output_layer.weight"))
	}
	return d, nil
}

// Divisions is the number of times that cells are divided.
func (d *decoder) Divisions() int { return len(d.levels) - 1 }

// graph is the network's part of one level: for the first one from_latent and its blocks, for the others what divides the cells above, too.
func (d *decoder) graph(i int) family.Graph {
	return family.Graph{Part: "vae decoder cells", Variant: family.Digest(d.key, i), Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("trellis2 cells", d.src, func(b *nn.Builder, s *weights.Scope) { d.write(b, s.At(d.key), i) })
	}}
}

func (d *decoder) memory(i, cells, next int) int64 {
	if family.Product(max(cells, next), parts) > math.MaxInt32 {
		return math.MaxInt64
	}
	return d.activations.Of(d.graph(i), map[string]int{"N": cells, "M": next})
}

// write writes the part of level i. Inputs: x [1,N,C] and near [27,N], as neighbours makes it, of the level above, and but for the first level from [M] as
// divided makes it, and inner near [27,M] of the level. Outputs: features [1,M,C'] and, if the network predicts it, parts [1,M,8]; of the last level out [1,M,·].
// Upstream: SparseUnetVaeDecoder.
func (d *decoder) write(b *nn.Builder, s *weights.Scope, i int) {
	n, m := onnx.Sym("N"), onnx.Sym("M")
	rows := func(name string, count onnx.Dim) []*onnx.Value {
		return b.Split(b.Input(name, dtype.I64, onnx.D(offsets), count), 0, ones(offsets)...)
	}
	var x *onnx.Value
	near := rows("near", n)
	if i == 0 {
		x = b.Linear(s.At("from_latent"), dit.Input(b, "x", onnx.D(1), n, onnx.D(channels)), d.levels[0].width)
	} else {
		up := s.At("blocks").Index(i - 1).Index(d.levels[i-1].blocks)
		x = dit.Input(b, "x", onnx.D(1), n, onnx.D(d.levels[i-1].width))
		from := b.Input("from", dtype.I64, m)
		inner := rows("inner near", m)
		x = d.divide(b, up, x, from, near, inner, d.levels[i].width)
		near = inner
	}
	at := s.At("blocks").Index(i)
	for k := range d.levels[i].blocks {
		x = d.block(b, at.Index(k), x, near, d.levels[i].inner)
	}
	if i == len(d.levels)-1 {
		dit.Output(b, "out", b.Linear(s.At("output_layer"), b.LayerNormPlain(x, outer), d.out))
		return
	}
	dit.Output(b, "features", x)
	if d.predicts {
		dit.Output(b, "parts", b.Linear(at.Index(d.levels[i].blocks).At("to_subdiv"), x, parts))
	}
}

func ones(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = 1
	}
	return out
}

// convolve is a convolution of cells x [1,N,C] with their neighbours: the sum over the offsets of a matrix times the cells there. Upstream: flexgemm.py
// sparse_submanifold_conv3d.
func convolve(b *nn.Builder, s *weights.Scope, x *onnx.Value, near []*onnx.Value, out int) *onnx.Value {
	c := x.Dim(2)
	// The row after the last cell stands for places without one.
	rows := b.Concat(0, b.Reshape(x, x.Dim(1), c), b.Cast(b.Floats(make([]float32, c.N), 1, c.N), b.Target.Compute))
	var y *onnx.Value
	for i, index := range near {
		y = b.LinearAdd(s.Index(i), b.Gather(rows, index), y, out)
	}
	return y
}

// block is a convolution and a feed-forward layer. Upstream: SparseConvNeXtBlock3d.
func (d *decoder) block(b *nn.Builder, s *weights.Scope, x *onnx.Value, near []*onnx.Value, inner int) *onnx.Value {
	width := x.Dim(2).N
	y := b.LayerNorm(s.At("norm"), convolve(b, s.At("conv"), x, near, width), epsilon)
	return b.LinearAdd(s.At("mlp.2"), b.SiLU(b.Linear(s.At("mlp.0"), y, inner)), x, width)
}

// divide makes the cells of the next level of those of one. Upstream: SparseResBlockC2S3d.
func (d *decoder) divide(b *nn.Builder, s *weights.Scope, x, from *onnx.Value, near, inner []*onnx.Value, out int) *onnx.Value {
	taken := func(y *onnx.Value) *onnx.Value {
		width := y.Dim(2).N / parts
		return b.Unsqueeze(b.Gather(b.Reshape(y, y.Dim(1).Times(onnx.D(parts)), onnx.D(width)), from), 0)
	}
	y := convolve(b, s.At("conv1"), b.SiLU(b.LayerNorm(s.At("norm1"), x, epsilon)), near, out*parts)
	y = convolve(b, s.At("conv2"), b.SiLU(b.LayerNormPlain(taken(y), epsilon)), inner, out)
	skip := taken(x)
	each := skip.Dim(2)
	y = b.Reshape(y, y.Dim(0), y.Dim(1), each, onnx.D(out/each.N))
	return b.Reshape(b.Add(y, b.Unsqueeze(skip, 3)), y.Dim(0), y.Dim(1), onnx.D(out))
}

var errFinite = errors.New("the latent has values that are not finite: sample it again, in float32 (--force-fp32)")

// volume is the state of a decoder at a level.
type volume struct {
	at   []int32
	near []int64
	x    *tensor.Tensor
	// parts are the values [1,N,8] by which the cells are divided, for networks that predict them.
	parts *tensor.Tensor
}

// first runs the first level on cells with values as the diffusion model gives them.
func (d *decoder) first(ctx context.Context, run family.Runner, c family.Cells, mean, deviation []float32) (volume, error) {
	n := c.Count()
	if n == 0 || len(c.At) != axes*n || c.Values == nil || len(c.Values.Shape) != 2 || c.Values.Dim(0) != n || c.Values.Dim(1) != channels {
		return volume{}, fmt.Errorf("the latent has %d cells, wanted at least one of %d values: connect the latent of Trellis2ShapeStage, Trellis2UpsampleStage or Trellis2TextureStage, sampled", n, channels)
	}
	for i := range n {
		if p := c.At[axes*i : axes*i+axes]; min(p[0], p[1], p[2]) < 0 || max(p[0], p[1], p[2]) > mostSide {
			return volume{}, fmt.Errorf("cell %d lies at %v: wanted places from 0 to %d", i, p, mostSide)
		}
	}
	x := tensor.New(1, n, channels)
	for i, v := range c.Values.Data {
		if v-v != 0 { // infinite or not a number
			return volume{}, errFinite
		}
		x.Data[i] = v*deviation[i%channels] + mean[i%channels]
	}
	if err := run.Check("decoding a volume", d.memory(0, n, 1)); err != nil {
		return volume{}, err
	}
	near, err := neighbours(ctx, c.At)
	if err != nil {
		return volume{}, err
	}
	v := volume{at: c.At, near: near}
	res, err := run.Run(ctx, d.graph(0), []family.Value{family.Floats("x", x), family.Ints("near", near, offsets, n)}, d.outputs(0)...)
	v.x, v.parts = res["features"], res["parts"]
	return v, err
}

// outputs are those of the graph of level i.
func (d *decoder) outputs(i int) []string {
	switch {
	case i == len(d.levels)-1:
		return []string{"out"}
	case d.predicts:
		return []string{"features", "parts"}
	}
	return []string{"features"}
}

// next runs level i on the parts of cells whose values [N,8] are positive.
func (d *decoder) next(ctx context.Context, run family.Runner, v volume, i int, by []float32) (volume, error) {
	at, from, err := divided(ctx, v.at, by)
	if err != nil {
		return volume{}, err
	}
	n, m := len(v.at)/axes, len(at)/axes
	if err := run.Check("decoding a volume", d.memory(i, n, m)); err != nil {
		return volume{}, err
	}
	near, err := neighbours(ctx, at)
	if err != nil {
		return volume{}, err
	}
	res, err := run.Run(ctx, d.graph(i), []family.Value{
		family.Floats("x", v.x), family.Ints("near", v.near, offsets, n), family.Ints("from", from, m), family.Ints("inner near", near, offsets, m),
	}, d.outputs(i)...)
	out := volume{at: at, near: near, x: res["features"], parts: res["parts"]}
	if i == len(d.levels)-1 {
		out.x = res["out"]
	}
	family.Advance(ctx, i+1, len(d.levels))
	return out, err
}
