package cosmos

import (
	"fmt"

	"comfygo/engine/family/chunked"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// The layers of the VAE give videos [1,C,T,H,W] on. Convolutions in time and in space alternate, a frame is normalised by itself, and in
// one place of each coder a frame attends to all earlier ones. Upstream: cosmos_tokenizer/layers3d.py EncoderFactorized,
// DecoderFactorized.

// vaeEpsilon is the epsilon of the norms, near the number of frames that a convolution in time reads.
const (
	vaeEpsilon = 1e-6
	near       = 3
)

// outOf is the number of channels that a convolution makes, or 1 if it is missing, which is reported when the layer is
// written.
func outOf(s *weights.Scope) int {
	if sh := s.Shape("weight"); len(sh) > 0 {
		return sh[0]
	}
	return 1
}

// list collects layers; each layer reads the channels that the layer before it makes.
type list struct {
	s        *weights.Scope
	part     string
	src      weights.Source
	channels int
	layers   []chunked.Layer
}

func listOf(src weights.Source, part string, channels int) *list {
	all := chunked.Taps{Source: src}
	return &list{s: weights.NewScope(all), src: all, part: part, channels: channels}
}

// add adds a layer at a scope of the weights with the given number of output channels.
func (l *list) add(name string, out int, layer chunked.Layer, write func(c coder, s *weights.Scope, x *onnx.Value) *onnx.Value) {
	layer.Name, layer.Channels = name, l.channels
	layer.Write = func(c *chunked.Coder, x *onnx.Value) *onnx.Value { return write(coder{c}, c.Scope.At(name), x) }
	l.layers = append(l.layers, layer)
	l.channels = out
}

// take ends a network.
func (l *list) take() *chunked.Network {
	n := &chunked.Network{Part: l.part, Source: l.src, Layers: l.layers}
	l.layers = nil
	return n
}

func (l *list) residual(name string) {
	l.add(name, outOf(l.s.At(name, "conv2.1.conv3d")), chunked.Layer{}, coder.residual)
}

// middle adds the layers between the levels of a coder and returns the network before the attention of frames and that.
func (l *list) middle(name string) (before, attention *chunked.Network) {
	l.residual(name + ".block_1")
	l.add(name+".attn_1.0", l.channels, chunked.Layer{}, coder.attention)
	before = l.take()
	l.add(name+".attn_1.1", l.channels, chunked.Layer{}, coder.timeAttention)
	attention = l.take()
	l.residual(name + ".block_2")
	return before, attention
}

// decoderOf lists the layers from latents to frames.
func decoderOf(src weights.Source, channels int) coders {
	l := listOf(src, "vae decoder", channels)
	l.add("decoder.conv_in", outOf(l.s.At("decoder.conv_in.1.conv3d")), chunked.Layer{}, func(c coder, s *weights.Scope, x *onnx.Value) *onnx.Value {
		z := c.point(c.Scope.At("post_quant_conv"), c.Frames(x))
		return c.factored(s, z)
	})
	before, attention := l.middle("decoder.mid")
	up := l.s.At("decoder.up")
	for level := up.Count("") - 1; level >= 0; level-- {
		name := fmt.Sprintf("decoder.up.%d", level)
		for i := range l.s.At(name).Count("block") {
			l.residual(fmt.Sprintf("%s.block.%d", name, i))
		}
		if l.s.At(name).HasAny("upsample") {
			l.add(name+".upsample", l.channels, chunked.Layer{Lead: 1}, coder.larger)
		}
	}
	l.add("decoder.conv_out", rgb, chunked.Layer{Lead: 1}, func(c coder, s *weights.Scope, x *onnx.Value) *onnx.Value {
		y := c.factored(s, c.SiLU(c.norm(c.Scope.At("decoder.norm_out"), c.Frames(x))))
		return c.cubes(y)
	})
	return coders{before, attention, l.take()}
}

// encoderOf lists the layers from frames to latents.
func encoderOf(src weights.Source, channels int) coders {
	l := listOf(src, "vae encoder", rgb)
	l.add("encoder.conv_in", outOf(l.s.At("encoder.conv_in.1.conv3d")), chunked.Layer{Lead: cube, Frames: pace, Side: cube}, func(c coder, s *weights.Scope, x *onnx.Value) *onnx.Value {
		return c.factored(s, c.Frames(c.wavelets(x)))
	})
	down := l.s.At("encoder.down")
	for level := range down.Count("") {
		name := fmt.Sprintf("encoder.down.%d", level)
		for i := range l.s.At(name).Count("block") {
			l.residual(fmt.Sprintf("%s.block.%d", name, i))
		}
		if l.s.At(name).HasAny("downsample") {
			l.add(name+".downsample", l.channels, chunked.Layer{Lead: 1, Frames: 2, Side: 2}, coder.smaller)
		}
	}
	before, attention := l.middle("encoder.mid")
	l.add("encoder.conv_out", channels, chunked.Layer{}, func(c coder, s *weights.Scope, x *onnx.Value) *onnx.Value {
		y := c.factored(s, c.SiLU(c.norm(c.Scope.At("encoder.norm_out"), c.Frames(x))))
		return c.Joined(c.point(c.Scope.At("quant_conv"), c.Frames(y)))
	})
	return coders{before, attention, l.take()}
}

// coder writes a layer.
type coder struct{ *chunked.Coder }

// norm normalises each image of [T,C,h,w].
func (c coder) norm(s *weights.Scope, x *onnx.Value) *onnx.Value {
	return c.GroupNorm(s.At("norm"), x, 1, vaeEpsilon)
}

// point is a convolution of single cells.
func (c coder) point(s *weights.Scope, x *onnx.Value) *onnx.Value {
	conv := s.At("conv3d")
	return c.ConvTaps(conv, x, outOf(conv), 1, onnx.Window{Stride: 1})
}

// flat is a convolution of each image.
func (c coder) flat(s *weights.Scope, x *onnx.Value) *onnx.Value {
	conv := s.At("conv3d")
	return c.ConvTaps(conv, x, outOf(conv), 1, onnx.Pad1())
}

// before joins a video with the given number of frames before it; in the first chunk these are pad copies of its first frame.
func (c coder) before(s *weights.Scope, x *onnx.Value, frames, pad int) *onnx.Value {
	c.At(s.Prefix())
	return c.Carry(x, frames, func(x *onnx.Value) *onnx.Value { return c.Pad(x, pad, 0) }, func(x *onnx.Value) *onnx.Value { return c.Tail(x, frames) })
}

// along is a convolution in time of a video, for images.
func (c coder) along(s *weights.Scope, x *onnx.Value) *onnx.Value {
	conv := s.At("conv3d")
	x = c.before(s, x, near-1, near-1)
	images := c.Transpose(c.Squeeze(x, 0), 1, 0, 2, 3)
	return c.ConvTaps(conv, images, outOf(conv), near, onnx.Window{Stride: 1})
}

// factored is a convolution over each image followed by one over time; the result is a video.
func (c coder) factored(s *weights.Scope, x *onnx.Value) *onnx.Value {
	return c.Joined(c.along(s.At("1"), c.Joined(c.flat(s.At("0"), x))))
}

// residual is two convolutions around a shortcut. Upstream: CausalResnetBlockFactorized3d.
func (c coder) residual(s *weights.Scope, x *onnx.Value) *onnx.Value {
	y := c.factored(s.At("conv1"), c.SiLU(c.norm(s.At("norm1"), c.Frames(x))))
	y = c.factored(s.At("conv2"), c.SiLU(c.norm(s.At("norm2"), c.Frames(y))))
	if s.HasAny("nin_shortcut") {
		x = c.Joined(c.point(s.At("nin_shortcut"), c.Frames(x)))
	}
	return c.Add(x, y)
}

// attention lets the cells of each frame attend to each other, in one head.
func (c coder) attention(s *weights.Scope, x *onnx.Value) *onnx.Value {
	images := c.Frames(x)
	h := c.norm(s.At("norm"), images)
	part := func(name string) *onnx.Value { return c.ToTokens(c.point(s.At(name), h)) }
	y := c.FromTokens(c.Attention(part("q"), part("k"), part("v"), nil, 1), images)
	return c.Add(x, c.Joined(c.point(s.At("proj_out"), y)))
}

// timeAttention lets each cell attend to itself in earlier frames. Upstream: CausalTemporalAttnBlock.
func (c coder) timeAttention(s *weights.Scope, x *onnx.Value) *onnx.Value {
	channels, frames, rows, cols := x.Dim(1), x.Dim(2), x.Dim(3), x.Dim(4)
	images := c.Transpose(c.Squeeze(x, 0), 1, 0, 2, 3)
	h := c.norm(s.At("norm"), images)
	part := func(name string) *onnx.Value { // a row a cell
		y := c.Transpose(c.point(s.At(name), h), 2, 3, 0, 1)
		return c.Reshape(y, rows.Times(cols), frames, channels)
	}
	y := c.CausalAttention(part("q"), part("k"), part("v"), 1)
	y = c.Transpose(c.Reshape(y, rows, cols, frames, channels), 2, 3, 0, 1)
	y = c.point(s.At("proj_out"), y)
	return c.Add(x, c.Unsqueeze(c.Transpose(y, 1, 0, 2, 3), 0))
}

// larger doubles the sides of frames and their number, except for the first one. Upstream: CausalHybridUpsample3d.
func (c coder) larger(s *weights.Scope, x *onnx.Value) *onnx.Value {
	if !c.First() {
		x = c.RepeatElements(x, 1, 1, 2, 1, 1)
	}
	images := c.Add(c.along(s.At("conv1"), x), c.Frames(x))
	images = c.UpsampleNearest(images, 2)
	images = c.Add(c.flat(s.At("conv2"), images), images)
	return c.Joined(c.point(s.At("conv3"), images))
}

// smaller halves the sides of frames and their number, except for the first one. Upstream: CausalHybridDownsample3d.
func (c coder) smaller(s *weights.Scope, x *onnx.Value) *onnx.Value {
	images := c.Frames(x)
	conv := s.At("conv1.conv3d")
	y := c.Conv2d(conv.At(chunked.TapName(0)), images, outOf(conv), near, onnx.Window{Stride: 2, Pads: [4]int{0, 0, 1, 1}})
	mean := c.AveragePool(images, []int{2, 2}, onnx.WindowND{Stride: []int{2, 2}})
	x = c.Joined(c.Add(y, mean))
	slow := s.At("conv2.conv3d")
	y = c.Conv3d(slow, c.before(slow, x, 1, 2), outOf(slow), [3]int{near, 1, 1}, onnx.WindowND{Stride: []int{2, 1, 1}})
	if !c.First() {
		half, _ := x.Dim(2).Quotient(onnx.D(2))
		pairs := c.Reshape(x, x.Dim(1), half, onnx.D(2), x.Dim(3), x.Dim(4))
		x = c.Unsqueeze(c.ReduceMean(pairs, false, 2), 0)
	}
	return c.Joined(c.point(s.At("conv3"), c.Frames(c.Add(x, y))))
}

// sums makes of eight parts a, b, c… of two values on three axes each the sums and differences along all axes.
func (c coder) sums(parts []*onnx.Value) []*onnx.Value {
	for step := 1; step < len(parts); step *= 2 {
		next := make([]*onnx.Value, len(parts))
		for i, p := range parts {
			if i&step == 0 {
				next[i] = c.Add(p, parts[i|step])
			} else {
				next[i] = c.Sub(parts[i&^step], p)
			}
		}
		parts = next
	}
	return parts
}

// parts cuts the channels of x into eight.
func (c coder) parts(x *onnx.Value) []*onnx.Value {
	sizes := make([]int, 8)
	for i := range sizes {
		sizes[i] = x.Dim(1).N / len(sizes)
	}
	return c.Split(x, 1, sizes...)
}

// cubes makes frames of a video whose channels are those of cubes of pixels, in two steps of a Haar transform; of the first cube the last
// frame stays. Upstream: UnPatcher3D.
func (c coder) cubes(x *onnx.Value) *onnx.Value {
	two := onnx.D(2)
	for range 2 {
		all := c.Concat(1, c.sums(c.parts(x))...)
		g, t, h, w := onnx.D(x.Dim(1).N/8), x.Dim(2), x.Dim(3), x.Dim(4)
		apart := c.Reshape(all, two, two, two, g, t, h, w)
		x = c.Reshape(c.Transpose(apart, 3, 4, 0, 5, 1, 6, 2), onnx.D(1), g, t.Times(two), h.Times(two), w.Times(two))
	}
	if c.First() {
		x = c.Slice(x, 2, cube-1, cube)
	}
	return x
}

// wavelets is the inverse of cubes. Upstream: Patcher3D.
func (c coder) wavelets(x *onnx.Value) *onnx.Value {
	const share = 1.0 / (8 * 8) // each value of a step is the mean of eight, with their signs
	x = c.Mul(x, c.Const(share))
	two := onnx.D(2)
	for range 2 {
		half := func(axis int) onnx.Dim {
			d, _ := x.Dim(axis).Quotient(two)
			return d
		}
		g, t, h, w := x.Dim(1), half(2), half(3), half(4)
		apart := c.Transpose(c.Reshape(x, g, t, two, h, two, w, two), 2, 4, 6, 0, 1, 3, 5)
		all := c.Reshape(apart, onnx.D(1), g.Times(onnx.D(8)), t, h, w)
		x = c.Concat(1, c.sums(c.parts(all))...)
	}
	return x
}
