package seedvr2

import (
	"fmt"

	"comfygo/engine/family/chunked"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

const (
	groups     = 32
	vaeEpsilon = 1e-6
	// kernel is the size of the convolutions along time and along the sides.
	kernel = 3
)

// outOf is the number of channels that a convolution makes, or 1 if it is missing, which is reported when the layer is written.
func outOf(s *weights.Scope) int {
	if sh := s.Shape("weight"); len(sh) > 0 {
		return sh[0]
	}
	return 1
}

// list collects layers; each layer reads the channels that the layer before it makes.
type list struct {
	channels int
	// single reports that layers are given one frame at a time.
	single bool
	layers []chunked.Layer
}

// add adds a layer at a scope of the weights with the given number of output channels. frames divides the number of its frames.
func (l *list) add(name string, out, frames int, write func(c coder, s *weights.Scope, x *onnx.Value) *onnx.Value) {
	l.layers = append(l.layers, chunked.Layer{Name: name, Channels: l.channels, Lead: 1, Frames: frames, Single: l.single, Write: func(c *chunked.Coder, x *onnx.Value) *onnx.Value {
		y := write(coder{c}, c.Scope.At(name), c.Frames(x))
		if !c.Single() {
			y = c.Joined(y)
		}
		return y
	}})
	l.channels = out
}

// residuals adds the residual blocks at a scope.
func (l *list) residuals(s *weights.Scope, name string) {
	for i := range s.At(name).Count("resnets") {
		at := fmt.Sprintf("%s.resnets.%d", name, i)
		l.add(at, outOf(s.At(at+".conv1")), 0, coder.residual)
	}
}

// middle adds the layers between the levels.
func (l *list) middle(name string) {
	l.add(name+".resnets.0", l.channels, 0, coder.residual)
	l.add(name+".attentions.0", l.channels, 0, coder.attention)
	l.add(name+".resnets.1", l.channels, 0, coder.residual)
}

// decoder lists the layers from a latent to frames, which are computed one at a time. Upstream: ldm/seedvr/vae.py Decoder3D.
func decoder(s *weights.Scope) []chunked.Layer {
	l := &list{channels: channels, single: true}
	l.add("decoder.conv_in", outOf(s.At("decoder.conv_in")), 0, func(c coder, s *weights.Scope, x *onnx.Value) *onnx.Value {
		return c.causal(s, c.Div(x, c.Const(scale)))
	})
	l.middle("decoder.mid_block")
	for i := range s.At("decoder").Count("up_blocks") {
		name := fmt.Sprintf("decoder.up_blocks.%d", i)
		l.residuals(s, name)
		if up := name + ".upsamplers.0"; s.HasAny(up) {
			l.add(up, l.channels, 0, coder.larger)
			l.add(up+".conv", outOf(s.At(up+".conv")), 0, coder.causal)
		}
	}
	l.add("decoder", rgb, 0, func(c coder, s *weights.Scope, x *onnx.Value) *onnx.Value {
		return c.causal(s.At("conv_out"), c.norm(s.At("conv_norm_out"), x))
	})
	return l.layers
}

// encoder lists the layers from frames to latents. Upstream: Encoder3D.
func encoder(s *weights.Scope) []chunked.Layer {
	l := &list{channels: rgb}
	l.add("encoder.conv_in", outOf(s.At("encoder.conv_in")), 0, coder.causal)
	for i := range s.At("encoder").Count("down_blocks") {
		name := fmt.Sprintf("encoder.down_blocks.%d", i)
		l.residuals(s, name)
		down := name + ".downsamplers.0"
		if !s.HasAny(down) {
			continue
		}
		frames := 0
		if sh := s.Shape(down + ".conv.weight"); len(sh) == 5 && sh[2] == kernel {
			frames = 2
		}
		l.add(down, outOf(s.At(down+".conv")), frames, coder.smaller)
	}
	l.middle("encoder.mid_block")
	l.add("encoder", channels, 0, func(c coder, s *weights.Scope, x *onnx.Value) *onnx.Value {
		moments := c.causal(s.At("conv_out"), c.norm(s.At("conv_norm_out"), x))
		return c.Mul(c.Slice(moments, 1, 0, channels), c.Const(scale))
	})
	return l.layers
}

// coder writes a layer. Values are images [T,C,H,W].
type coder struct{ *chunked.Coder }

// norm is the norm of each frame, and SiLU.
func (c coder) norm(s *weights.Scope, x *onnx.Value) *onnx.Value {
	return c.GroupNormSiLU(s, x, groups, vaeEpsilon)
}

// repeated adds copies of the first frame of a video before it.
func (c coder) repeated(x *onnx.Value) *onnx.Value { return c.Pad(x, kernel-1, 0) }

// causal is a convolution in which a frame depends only on those before it, as a sum of convolutions of images; see chunked.Taps. Copies of the first
// frame are before it. Upstream: InflatedCausalConv3d.
func (c coder) causal(s *weights.Scope, x *onnx.Value) *onnx.Value {
	out := outOf(s)
	if !c.Single() {
		const before = kernel - 1
		all := c.Carry(c.Joined(x), before, c.repeated, func(x *onnx.Value) *onnx.Value { return c.Tail(x, before) })
		return c.ConvTaps(s, c.Frames(all), out, kernel, onnx.Pad1())
	}
	older, old := c.State(x.DType, x.Shape), c.State(x.DType, x.Shape)
	if c.First() {
		older, old = x, x
	}
	c.Keep(old, x)
	var y *onnx.Value
	for k, frame := range []*onnx.Value{older, old, x} {
		y = c.Conv2dAdd(s.At(chunked.TapName(k)), frame, y, out, kernel, onnx.Pad1())
	}
	return y
}

// point is a convolution of single cells.
func (c coder) point(s *weights.Scope, x *onnx.Value) *onnx.Value {
	return c.Frames(c.Conv3d(s, c.Joined(x), outOf(s), [3]int{1, 1, 1}, onnx.WindowND{}))
}

// residual is two convolutions around a shortcut. Upstream: ResnetBlock3D.
func (c coder) residual(s *weights.Scope, x *onnx.Value) *onnx.Value {
	y := c.causal(s.At("conv1"), c.norm(s.At("norm1"), x))
	y = c.causal(s.At("conv2"), c.norm(s.At("norm2"), y))
	if s.HasAny("conv_shortcut") {
		x = c.point(s.At("conv_shortcut"), x)
	}
	return c.Add(x, y)
}

// attention lets the cells of each frame attend to each other, in one head.
func (c coder) attention(s *weights.Scope, x *onnx.Value) *onnx.Value {
	width := x.Dim(1).N
	y := c.ToTokens(c.GroupNorm(s.At("group_norm"), x, groups, vaeEpsilon))
	part := func(name string) *onnx.Value { return c.Linear(s.At(name), y, width) }
	y = c.Linear(s.At("to_out.0"), c.Attention(part("to_q"), part("to_k"), part("to_v"), nil, 1), width)
	return c.Add(x, c.FromTokens(y, x))
}

// larger moves channels to rows, columns and, in some levels, to two frames. The first frame stays one. Upstream: Upsample3D.
func (c coder) larger(s *weights.Scope, x *onnx.Value) *onnx.Value {
	const sides = 2
	width := x.Dim(1)
	y := c.point(s.At("upscale_conv"), x)
	frames := y.Dim(1).N / (sides * sides * width.N)
	two, h, w := onnx.D(sides), x.Dim(2), x.Dim(3)
	y = c.Transpose(c.Reshape(y, two, two, onnx.D(frames), width, h, w), 2, 3, 4, 0, 5, 1)
	y = c.Reshape(y, onnx.D(frames), width, h.Times(two), w.Times(two))
	if c.First() {
		y = c.Slice(y, 0, 0, 1)
	}
	return y
}

// smaller halves rows, columns and, in some levels, the number of frames. Upstream: Downsample3D.
func (c coder) smaller(s *weights.Scope, x *onnx.Value) *onnx.Value {
	s = s.At("conv")
	frames := 1
	if sh := s.Shape("weight"); len(sh) == 5 {
		frames = sh[2]
	}
	video, stride := c.Joined(x), 1
	if frames > 1 {
		video, stride = c.Carry(video, 1, c.repeated, func(x *onnx.Value) *onnx.Value { return c.Tail(x, 1) }), 2
	}
	return c.Frames(c.Conv3d(s, video, outOf(s), [3]int{frames, kernel, kernel}, onnx.WindowND{Stride: []int{stride, 2, 2}, After: []int{0, 1, 1}}))
}
