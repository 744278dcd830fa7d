package mochi

import (
	"fmt"
	"math"

	"comfygo/engine/family/chunked"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// The layers of the VAE give videos [1,C,T,H,W] on. A frame is normalised by itself; convolutions repeat the borders in time and in space.
// Upstream: genmo/vae/model.py.

const (
	groups      = 32
	normEpsilon = 1e-5
	// near is the size of kernels, vaeHead the width of a head in the attention of frames.
	near    = 3
	vaeHead = 32
)

// rowsOf is the number of channels that a layer makes, or 1 if it is missing, which is reported when the layer is written.
func rowsOf(s *weights.Scope) int {
	if sh := s.Shape("weight"); len(sh) > 0 {
		return sh[0]
	}
	return 1
}

// list collects layers; each layer reads the channels that the layer before it makes.
type list struct {
	s        *weights.Scope
	channels int
	layers   []chunked.Layer
}

// add adds a layer at a scope of the weights with the given number of output channels.
func (l *list) add(name string, out int, layer chunked.Layer, write func(c coder, s *weights.Scope, x *onnx.Value) *onnx.Value) {
	layer.Name, layer.Channels = name, l.channels
	layer.Write = func(c *chunked.Coder, x *onnx.Value) *onnx.Value { return write(coder{c}, c.Scope.At(name), x) }
	l.layers = append(l.layers, layer)
	l.channels = out
}

// residuals adds the residual blocks at a place from number first on.
func (l *list) residuals(name string, first int) {
	for i := first; l.s.Has(fmt.Sprintf("%s.%d.stack.2.weight", name, i)); i++ {
		l.add(fmt.Sprintf("%s.%d", name, i), l.channels, chunked.Layer{}, coder.residual)
	}
}

// decoderOf lists the layers from latents to frames.
func decoderOf(src weights.Source, root string, channels int) *chunked.Network {
	s := weights.NewScope(src)
	l := &list{s: s, channels: channels}
	l.add(root+"blocks.0.0", rowsOf(s.At(root+"blocks.0.0")), chunked.Layer{}, coder.point)
	l.residuals(root+"blocks.0", 1)
	levels := s.Count(root + "blocks")
	for i := 1; i < levels; i++ {
		name := fmt.Sprintf("%sblocks.%d", root, i)
		if !s.Has(name + ".proj.weight") {
			l.residuals(name, 0)
			continue
		}
		l.residuals(name+".blocks", 0)
		out := rowsOf(s.At(fmt.Sprintf("%sblocks.%d.0.stack.0", root, i+1)))
		if next := s.At(fmt.Sprintf("%sblocks.%d.blocks.0.stack.0", root, i+1)); next.Has("weight") {
			out = rowsOf(next)
		}
		times := max(1, rowsOf(s.At(name, "proj"))/(4*out))
		l.add(name+".proj", out, chunked.Layer{Lead: 1}, func(c coder, s *weights.Scope, x *onnx.Value) *onnx.Value { return c.larger(s, x, out, times) })
	}
	l.add(root+"output_proj", rgb, chunked.Layer{}, func(c coder, s *weights.Scope, x *onnx.Value) *onnx.Value {
		return c.linear(s, c.SiLU(x), rgb)
	})
	return &chunked.Network{Part: "vae decoder", Source: src, Layers: l.layers}
}

// fourier is the number of frequencies that the encoder reads of each channel, of which the lowest is 2^lowest.
const (
	fourier = 2
	lowest  = 6
)

// encoderOf lists the layers that process a few frames at a time, and those that process all frames.
func encoderOf(src weights.Source, root string, channels int) (down, end *chunked.Network) {
	s := weights.NewScope(src)
	l := &list{s: s, channels: rgb}
	first := rowsOf(s.At(root + "layers.0"))
	l.add(root+"layers.0", first, chunked.Layer{}, func(c coder, s *weights.Scope, x *onnx.Value) *onnx.Value {
		return c.linear(s, c.frequencies(x), first)
	})
	down = &chunked.Network{Part: "vae encoder", Source: src}
	for i := 1; i < s.Count(root+"layers"); i++ {
		name := fmt.Sprintf("%slayers.%d", root, i)
		if s.Has(name + ".stack.2.weight") {
			l.add(name, l.channels, chunked.Layer{}, coder.residual)
			continue
		}
		at := s.At(name, "layers.0")
		kernel := 1
		if sh := at.Shape("weight"); len(sh) == 5 {
			kernel = sh[2]
		}
		l.add(name+".layers.0", rowsOf(at), chunked.Layer{Side: 2}, func(c coder, s *weights.Scope, x *onnx.Value) *onnx.Value { return c.smaller(s, x, kernel) })
		if down.Layers == nil { // frames attend to each other from here on
			down.Layers, l.layers = l.layers, nil
		}
		l.residuals(name+".layers", 1)
	}
	l.add(root+"output_proj", channels, chunked.Layer{}, func(c coder, s *weights.Scope, x *onnx.Value) *onnx.Value {
		y := c.Joined(c.SiLU(c.norm(c.Scope.At(root+"output_norm"), c.Frames(x))))
		return c.Slice(c.linear(s, y, 2*channels), 1, 0, channels)
	})
	return down, &chunked.Network{Part: "vae encoder", Source: src, Layers: l.layers}
}

// coder writes a layer.
type coder struct{ *chunked.Coder }

// norm normalises each image of [T,C,h,w].
func (c coder) norm(s *weights.Scope, x *onnx.Value) *onnx.Value {
	return c.GroupNorm(s, x, groups, normEpsilon)
}

// point is a convolution of single cells of a video.
func (c coder) point(s *weights.Scope, x *onnx.Value) *onnx.Value {
	return c.Conv3d(s, x, rowsOf(s), [3]int{1, 1, 1}, onnx.WindowND{})
}

// linear is a linear layer for the cells of a video.
func (c coder) linear(s *weights.Scope, x *onnx.Value, out int) *onnx.Value {
	images := c.Frames(x)
	tokens := c.Linear(s, c.ToTokens(images), out)
	return c.Joined(c.Reshape(c.Transpose(tokens, 0, 2, 1), images.Dim(0), onnx.D(out), images.Dim(2), images.Dim(3)))
}

// causal is a convolution in which a frame depends only on those before it. Upstream: PConv3d.
func (c coder) causal(s *weights.Scope, x *onnx.Value) *onnx.Value {
	c.At(s.Prefix())
	x = c.Carry(x, near-1, func(x *onnx.Value) *onnx.Value { return c.Pad(x, near-1, 0) }, func(x *onnx.Value) *onnx.Value { return c.Tail(x, near-1) })
	x = c.PadAxes(x, onnx.Edge, []int{0, 0, 0, 1, 1}, []int{0, 0, 0, 1, 1})
	images := c.Transpose(c.Squeeze(x, 0), 1, 0, 2, 3)
	return c.Joined(c.ConvTaps(s, images, rowsOf(s), near, onnx.Window{Stride: 1}))
}

// residual is two convolutions around a shortcut, and the attention of frames where the block has it. Upstream: ResBlock.
func (c coder) residual(s *weights.Scope, x *onnx.Value) *onnx.Value {
	at := s.At("stack")
	y := c.causal(at.At("2"), c.Joined(c.SiLU(c.norm(at.At("0"), c.Frames(x)))))
	y = c.causal(at.At("5"), c.Joined(c.SiLU(c.norm(at.At("3"), c.Frames(y)))))
	x = c.Add(x, y)
	if s.HasAny("attn_block") {
		x = c.Add(x, c.attention(s.At("attn_block"), x))
	}
	return x
}

// attention lets each cell attend to itself in all frames.
func (c coder) attention(s *weights.Scope, x *onnx.Value) *onnx.Value {
	channels, frames, rows, cols := x.Dim(1), x.Dim(2), x.Dim(3), x.Dim(4)
	width := channels.N
	images := c.norm(s.At("norm"), c.Transpose(c.Squeeze(x, 0), 1, 0, 2, 3))
	cells := c.Reshape(c.Transpose(images, 2, 3, 0, 1), rows.Times(cols), frames, channels)
	heads := width / vaeHead
	part := func(i int) *onnx.Value { return c.LinearRows(s.At("attn.qkv"), cells, 3*width, i*width, width) }
	unit := func(x *onnx.Value) *onnx.Value {
		const shortest = 1e-12 // torch's bound for the length
		y := c.Reshape(x, x.Dim(0), x.Dim(1), onnx.D(heads), onnx.D(vaeHead))
		return c.Reshape(c.Div(y, c.Max(c.ReduceL2(y, true, 3), c.Const(shortest))), x.Shape...)
	}
	a := onnx.Attention{Heads: heads, Scale: float32(1 / math.Sqrt(vaeHead))}
	y := c.Linear(s.At("attn.out"), c.Attend(unit(part(0)), unit(part(1)), part(2), a), width)
	y = c.Transpose(c.Reshape(y, rows, cols, frames, channels), 3, 2, 0, 1)
	return c.Unsqueeze(y, 0)
}

// larger doubles the sides of frames and multiplies their number, except for the first one. Upstream: DepthToSpaceTime.
func (c coder) larger(s *weights.Scope, x *onnx.Value, out, times int) *onnx.Value {
	y := c.linear(s, x, out*times*4)
	two, n, o := onnx.D(2), onnx.D(times), onnx.D(out)
	t, h, w := y.Dim(2), y.Dim(3), y.Dim(4)
	apart := c.Reshape(y, o, n, two, two, t, h, w)
	y = c.Reshape(c.Transpose(apart, 0, 4, 1, 5, 2, 6, 3), onnx.D(1), o, t.Times(n), h.Times(two), w.Times(two))
	if c.First() && times > 1 {
		y = c.SliceDims(y, 2, onnx.D(times-1), y.Dim(2))
	}
	return y
}

// smaller divides the sides of frames by two and their number by the size of the kernel, except for the first one.
func (c coder) smaller(s *weights.Scope, x *onnx.Value, kernel int) *onnx.Value {
	return c.Conv3d(s, c.Pad(x, kernel-1, 0), rowsOf(s), [3]int{kernel, 2, 2}, onnx.WindowND{Stride: []int{kernel, 2, 2}})
}

// frequencies joins a video with sines and cosines of its values. Upstream: FourierFeatures.
func (c coder) frequencies(x *onnx.Value) *onnx.Value {
	factors := make([]float32, x.Dim(1).N*fourier)
	for i := range factors {
		factors[i] = float32(math.Pow(2, float64(lowest+i%fourier))) * float32(2*math.Pi)
	}
	angles := c.Mul(c.RepeatElements(x, 1, fourier, 1, 1, 1), c.Cast(c.Floats(factors, 1, len(factors), 1, 1, 1), x.DType))
	return c.Concat(1, x, c.Sin(angles), c.Cos(angles))
}
