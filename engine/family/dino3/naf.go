package dino3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/vec"
	"comfygo/engine/weights"
)

// The numbers of NAF that the shapes of weights do not tell. Upstream: image_encoders/naf.py.
const (
	nafHeads  = 4
	nafWindow = 9 // features along a side that a pixel attends to
	nafGroups = 8
)

// naf is a network in the file of an encoder that makes features of single pixels of those of patches, guided by the image (Chambon et al., "NAF").
type naf struct {
	src weights.Source
	// width is that of the guide, layers the number of its blocks, waves that of the periods of its places.
	width, layers, waves int

	activations family.Activations
}

// readNAF reads the network of a file, nil if it has none.
func readNAF(src weights.Source) (*naf, error) {
	s := weights.NewScope(src).At("naf.image_encoder")
	first, periods := s.Shape("encoder.0.weight"), s.Shape("rope.periods")
	if first == nil {
		return nil, nil
	}
	n := &naf{src: src, layers: s.Count("encoder") - 1}
	if len(first) == 4 && len(periods) == 1 {
		n.width, n.waves = 2*first[0], periods[0]
	}
	if n.width == 0 || n.waves == 0 || n.width%(4*n.waves) != 0 || n.width%(2*nafGroups) != 0 || n.width%nafHeads != 0 {
		return nil, fmt.Errorf("reading the shape of the upsampler of the image encoder: naf.image_encoder.encoder.0.weight is %v and rope.periods %v", first, periods)
	}
	return n, nil
}

// sizes are those of one call: the sides of the image, of the fine and of the coarse features.
type sizes struct{ image, fine, coarse int }

func (n *naf) graph(z sizes) family.Graph {
	return family.Graph{Part: "clip_vision naf", Variant: family.Digest(z.image, z.fine, z.coarse), Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("naf", n.src, func(b *nn.Builder, s *weights.Scope) { n.write(b, s.At("naf.image_encoder"), z) })
	}}
}

// write writes the network that makes the guide of an image. Inputs: image [1,3,S,S], places [1,T], -2π…2π. Outputs: guide [1,C,T,T] and its means keys
// [1,C,h,h]. Upstream: ImageEncoder.
func (n *naf) write(b *nn.Builder, s *weights.Scope, z sizes) {
	one := onnx.D(1)
	image := dit.Input(b, "image", one, onnx.D(rgb), onnx.D(z.image), onnx.D(z.image))
	x := b.Concat(1, n.stack(b, s.At("encoder"), image, 1), n.stack(b, s.At("sem_encoder"), image, 3))
	if by := z.image / z.fine; by > 1 {
		x = b.AveragePool(x, []int{by, by}, onnx.WindowND{Stride: []int{by, by}})
	}
	heads := onnx.D(n.width / (4 * n.waves))
	quarters := b.Split(b.Reshape(x, heads, onnx.D(4*n.waves), x.Dim(2), x.Dim(3)), 1, n.waves, n.waves, n.waves, n.waves)
	periods := s.Weight("rope.periods", n.waves)
	period := b.Weight(periods.Name+".float32", dtype.F32, []int{n.waves, 1}, nn.Layout{Entry: periods.Entry, Form: nn.Plain, DType: dtype.F32})
	angle := b.Div(b.Input("places", dtype.F32, one, onnx.D(z.fine)), period)
	cos, sin := b.Cast(b.Cos(angle), b.Target.Compute), b.Cast(b.Sin(angle), b.Target.Compute)
	turn := func(i int, axis int) (*onnx.Value, *onnx.Value) {
		c, s := b.Unsqueeze(cos, axis), b.Unsqueeze(sin, axis)
		u, v := quarters[i], quarters[i+2]
		return b.Sub(b.Mul(u, c), b.Mul(v, s)), b.Add(b.Mul(v, c), b.Mul(u, s))
	}
	rows, rowsToo := turn(0, 2)
	columns, columnsToo := turn(1, 1)
	x = b.Reshape(b.Concat(1, rows, columns, rowsToo, columnsToo), one, onnx.D(n.width), onnx.D(z.fine), onnx.D(z.fine))
	dit.Output(b, "guide", x)
	by := z.fine / z.coarse
	dit.Output(b, "keys", b.AveragePool(x, []int{by, by}, onnx.WindowND{Stride: []int{by, by}}))
}

// stack is a convolution and blocks of two, of kernels of a size. Upstream: _encoder.
func (n *naf) stack(b *nn.Builder, s *weights.Scope, x *onnx.Value, kernel int) *onnx.Value {
	convolve := func(s *weights.Scope, x *onnx.Value) *onnx.Value {
		if pad := kernel / 2; pad > 0 {
			x = b.PadAxes(x, onnx.Reflect, []int{0, 0, pad, pad}, []int{0, 0, pad, pad})
		}
		return b.Conv2d(s, x, n.width/2, kernel, onnx.Window{Stride: 1})
	}
	x = convolve(s.At("0"), x)
	for i := range n.layers {
		at := s.Index(i + 1)
		x = convolve(at.At("conv1"), b.GroupNormSiLU(at.At("norm1"), x, nafGroups, epsilon))
		x = convolve(at.At("conv2"), b.GroupNormSiLU(at.At("norm2"), x, nafGroups, epsilon))
	}
	return x
}

// CanRefine implements family.Refiner.
func (e *encoder) CanRefine() bool { return e.naf != nil }

// Refine implements family.Refiner. Upstream: NAF.forward, of which the features at the points are computed alone.
func (e *encoder) Refine(ctx context.Context, run family.Runner, image, features *tensor.Tensor, side int, points []float32) (*tensor.Tensor, error) {
	const axes = 4
	switch {
	case e.naf == nil:
		return nil, errors.New("the file of the image encoder holds no upsampler (naf.* tensors): load the file of DINOv3 for Pixal3D")
	case image == nil || features == nil || len(image.Shape) != axes || len(features.Shape) != axes || image.Dim(0) != 1 || image.Dim(3) != rgb || image.Dim(1) != image.Dim(2) ||
		features.Dim(0) != 1 || features.Dim(2) != features.Dim(3) || features.Dim(1)%nafHeads != 0 || features.Len() == 0 || len(points)%2 != 0:
		return nil, fmt.Errorf("refining the features of an image: an image of shape %v with features of %v: wanted squares [1, side, side, %d] and [1, channels, side, side]", shapeOf(image), shapeOf(features), rgb)
	}
	z := sizes{image: image.Dim(1), fine: side, coarse: features.Dim(2)}
	if side < 1 || z.image%side != 0 || side%z.coarse != 0 {
		return nil, fmt.Errorf("refining the features of an image: %d pixels, %d fine and %d coarse features a side: wanted multiples of each other", z.image, side, z.coarse)
	}
	if err := run.Check("refining the features of an image", e.naf.activations.Of(e.naf.graph(z), map[string]int{})); err != nil {
		return nil, err
	}
	x, places := tensor.New(1, rgb, z.image, z.image), tensor.New(1, side)
	for i := range x.Data {
		c, at := i/(z.image*z.image), i%(z.image*z.image)
		x.Data[i] = image.Data[at*rgb+c]
	}
	for i := range side {
		places.Data[i] = 2 * math.Pi * ((float32(i)+0.5)/float32(side)*2 - 1)
	}
	res, err := run.Run(ctx, e.naf.graph(z), []family.Value{family.Floats("image", x), family.Floats("places", places)}, "guide", "keys")
	if err != nil {
		return nil, err
	}
	w := window{sizes: z, width: e.naf.width, channels: features.Dim(1), guide: res["guide"].Data, keys: res["keys"].Data, values: features.Data}
	return w.at(ctx, points)
}

// window is the attention of pixels to the features around them.
type window struct {
	sizes
	width, channels int
	// guide is [C,T,T], keys are [C,h,h] and values [V,h,h].
	guide, keys, values []float32
}

// share is what a point takes of a pixel.
type share struct {
	cell, pixel, point int32
	weight             float32
}

// shares are the four pixels around each point, ordered by the coarse feature that a pixel lies in. Points beyond the border are moved to it. Upstream:
// grid_sample with padding_mode border.
func (w window) shares(points []float32) []share {
	list := make([]share, 0, 2*len(points))
	by := w.fine / w.coarse
	for i := 0; i < len(points); i += 2 {
		x, y := within(points[i], w.fine), within(points[i+1], w.fine)
		left, top := int(x), int(y)
		for k := range 4 {
			u, v := left+k%2, top+k/2
			weight := (1 - float32(math.Abs(float64(x-float32(u))))) * (1 - float32(math.Abs(float64(y-float32(v)))))
			if u < w.fine && v < w.fine && weight > 0 {
				list = append(list, share{cell: int32(v/by*w.coarse + u/by), pixel: int32(v*w.fine + u), point: int32(i / 2), weight: weight})
			}
		}
	}
	slices.SortFunc(list, func(a, b share) int {
		return cmp.Or(cmp.Compare(a.cell, b.cell), cmp.Compare(a.pixel, b.pixel), cmp.Compare(a.point, b.point))
	})
	return list
}

// within is a place between the first and the last of n pixels; what is not a number is the first.
func within(x float32, n int) float32 {
	if x != x {
		return 0
	}
	return min(max(x, 0), float32(n-1))
}

// at returns the features [N,V] at points.
func (w window) at(ctx context.Context, points []float32) (*tensor.Tensor, error) {
	out := tensor.New(len(points)/2, w.channels)
	list := w.shares(points)
	for from := 0; from < len(list); {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		to := from + 1
		for to < len(list) && list[to].cell == list[from].cell {
			to++
		}
		w.cell(out, list[from:to])
		from = to
	}
	return out, nil
}

// cell adds what points take of the pixels in one coarse feature: they attend to the same features.
func (w window) cell(out *tensor.Tensor, list []share) {
	const seen = nafWindow * nafWindow
	area, pixels := w.coarse*w.coarse, w.fine*w.fine
	var places [seen]int // of the features around, -1 beyond the border
	row, column := int(list[0].cell)/w.coarse-nafWindow/2, int(list[0].cell)%w.coarse-nafWindow/2
	for i := range places {
		if y, x := row+i/nafWindow, column+i%nafWindow; y >= 0 && y < w.coarse && x >= 0 && x < w.coarse {
			places[i] = y*w.coarse + x
		} else {
			places[i] = -1
		}
	}
	var rows []int32
	for i, s := range list {
		if i == 0 || s.pixel != list[i-1].pixel {
			rows = append(rows, s.pixel)
		}
	}
	d, v := w.width/nafHeads, w.channels/nafHeads
	keys, values := make([]float32, d*seen), make([]float32, seen*v)
	queries, scores, sums := make([]float32, len(rows)*d), make([]float32, len(rows)*seen), make([]float32, len(rows)*v)
	for head := range nafHeads {
		clear(keys)
		clear(values)
		for i, at := range places {
			if at < 0 {
				continue
			}
			for k := range d {
				keys[k*seen+i] = w.keys[(head*d+k)*area+at]
			}
			for k := range v {
				values[i*v+k] = w.values[(head*v+k)*area+at]
			}
		}
		for i, pixel := range rows {
			for k := range d {
				queries[i*d+k] = w.guide[(head*d+k)*pixels+int(pixel)] / float32(math.Sqrt(float64(d)))
			}
		}
		vec.Product(scores, queries, keys, seen, d)
		for i := range rows {
			softmax(scores[i*seen : (i+1)*seen])
		}
		vec.Product(sums, scores, values, v, seen)
		i := -1
		for k, s := range list {
			if k == 0 || s.pixel != list[k-1].pixel {
				i++
			}
			to := out.Data[int(s.point)*w.channels+head*v:]
			vec.AddScaled(to[:v], sums[i*v:(i+1)*v], s.weight)
		}
	}
}

func softmax(x []float32) {
	top, sum := slices.Max(x), 0.0
	for i, v := range x {
		x[i] = float32(math.Exp(float64(v - top)))
		sum += float64(x[i])
	}
	for i := range x {
		x[i] = float32(float64(x[i]) / sum)
	}
}
