package hunyuanvideo

import (
	"fmt"

	"comfygo/engine/family/chunked"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

const (
	groups  = 32
	epsilon = 1e-6
)

// point is the geometry of a convolution of single cells.
var point = chunked.Window{Kernel: [3]int{1, 1, 1}, Stride: [3]int{1, 1, 1}}

// causal is the geometry of the VAE's convolutions, which repeat the border.
func causal() chunked.Window {
	w := chunked.Cube(0)
	w.Spatial = onnx.Edge
	return w
}

// outOf is the number of channels that a convolution makes, or 1 if it is missing, which is reported when the layer is
// written.
func outOf(s *weights.Scope) int {
	if sh := s.Shape("weight"); len(sh) > 0 {
		return sh[0]
	}
	return 1
}

// conv is a convolution at s or one scope below it.
func conv(c *chunked.Coder, s *weights.Scope, x *onnx.Value, w chunked.Window) *onnx.Value {
	if s.Has("conv.weight") {
		s = s.At("conv")
	}
	return c.Conv(s, x, outOf(s), w)
}

// residual is two convolutions around a shortcut. Upstream: diffusionmodules/model.py ResnetBlock.
func residual(c *chunked.Coder, s *weights.Scope, x *onnx.Value, norm func(c *chunked.Coder, s *weights.Scope, x *onnx.Value) *onnx.Value) *onnx.Value {
	y := conv(c, s.At("conv1"), c.SiLU(norm(c, s.At("norm1"), x)), causal())
	y = conv(c, s.At("conv2"), c.SiLU(norm(c, s.At("norm2"), y)), causal())
	if s.HasAny("nin_shortcut") {
		x = conv(c, s.At("nin_shortcut"), x, point)
	}
	return c.Add(x, y)
}

// groupNorm is the norm of HunyuanVideo 1.0.
func groupNorm(c *chunked.Coder, s *weights.Scope, x *onnx.Value) *onnx.Value {
	return c.GroupNorm(s, x, groups, epsilon)
}

// attention lets all cells of all frames attend to each other, in one head.
func attention(c *chunked.Coder, s *weights.Scope, x *onnx.Value, norm func(c *chunked.Coder, s *weights.Scope, x *onnx.Value) *onnx.Value) *onnx.Value {
	channels := x.Dim(1).N
	y := norm(c, s.At("norm"), x)
	part := func(name string) *onnx.Value { return c.ToTokens(conv(c, s.At(name), y, point)) }
	a := c.Attention(part("q"), part("k"), part("v"), nil, 1)
	y = c.Reshape(c.Transpose(a, 0, 2, 1), x.Dim(0), onnx.D(channels), x.Dim(2), x.Dim(3), x.Dim(4))
	return c.Add(x, conv(c, s.At("proj_out"), y, point))
}

func middle(c *chunked.Coder, s *weights.Scope, x *onnx.Value, norm func(c *chunked.Coder, s *weights.Scope, x *onnx.Value) *onnx.Value) *onnx.Value {
	x = attention(c, s.At("attn_1"), residual(c, s.At("block_1"), x, norm), norm)
	return residual(c, s.At("block_2"), x, norm)
}

// decoderOf returns the decoder: the part that processes all latent frames, and the layers after it.
func decoderOf(src weights.Source, s *weights.Scope, channels int) (front, tail *chunked.Network) {
	d := s.At("decoder")
	inner := outOf(d.At("conv_in.conv"))
	front = &chunked.Network{Part: "vae decoder", Source: src, Layers: []chunked.Layer{{
		Name: "decoder.mid", Channels: channels,
		Write: func(c *chunked.Coder, x *onnx.Value) *onnx.Value {
			x = conv(c, c.Scope.At("post_quant_conv"), x, point)
			return middle(c, c.Scope.At("decoder.mid"), conv(c, c.Scope.At("decoder.conv_in"), x, causal()), groupNorm)
		},
	}}}
	tail = &chunked.Network{Part: "vae decoder", Source: src}
	for level := d.Count("up") - 1; level >= 0; level-- {
		name := fmt.Sprintf("decoder.up.%d", level)
		up := s.At(name)
		in := inner
		for i := range up.Count("block") {
			inner = outOf(up.At("block").Index(i).At("conv2.conv"))
		}
		tail.Layers = append(tail.Layers, chunked.Layer{Name: name, Channels: in, Write: func(c *chunked.Coder, x *onnx.Value) *onnx.Value {
			up := c.Scope.At(name)
			for i := range up.Count("block") {
				x = residual(c, up.At("block").Index(i), x, groupNorm)
			}
			if up.HasAny("upsample") {
				return conv(c, up.At("upsample.conv"), enlarge(c, x, level <= slowLevels), causal())
			}
			return conv(c, c.Scope.At("decoder.conv_out"), c.SiLU(groupNorm(c, c.Scope.At("decoder.norm_out"), x)), causal())
		}})
	}
	return front, tail
}

// slowLevels is the number of the levels that change the number of frames, by two each: the last of a decoder above the lowest one.
const slowLevels = 2

// enlarge repeats rows and columns, and frames except for the first one where slow is set. Upstream: Upsample.
func enlarge(c *chunked.Coder, x *onnx.Value, slow bool) *onnx.Value {
	if !slow {
		return c.RepeatElements(x, 1, 1, 1, 2, 2)
	}
	if !c.First() {
		return c.RepeatElements(x, 1, 1, 2, 2, 2)
	}
	y := c.RepeatElements(x, 1, 1, 2, 2, 2)
	return c.SliceDims(y, 2, onnx.D(1), y.Dim(2))
}

// encoderOf returns the encoder: the layers that process a few frames at a time, and the part that processes all latent
// frames.
func encoderOf(src weights.Source, s *weights.Scope, channels int) (down, end *chunked.Network) {
	e := s.At("encoder")
	levels := e.Count("down")
	down = &chunked.Network{Part: "vae encoder", Source: src}
	in, frames := rgb, pace
	for level := range levels {
		name := fmt.Sprintf("encoder.down.%d", level)
		at := s.At(name)
		fast := levels-1-level <= slowLevels
		layer := chunked.Layer{Name: name, Channels: in, Lead: 1, Frames: frames, Write: func(c *chunked.Coder, x *onnx.Value) *onnx.Value {
			if level == 0 {
				x = conv(c, c.Scope.At("encoder.conv_in"), x, causal())
			}
			at := c.Scope.At(name)
			for i := range at.Count("block") {
				x = residual(c, at.At("block").Index(i), x, groupNorm)
			}
			if !at.HasAny("downsample") {
				return x
			}
			w := causal()
			w.Stride = [3]int{1, 2, 2}
			if fast { // the windows of upstream's chunks overlap by two frames, whatever the stride
				w.Stride[0], w.Carry = 2, 2
			}
			return conv(c, at.At("downsample.conv"), x, w)
		}}
		if at.HasAny("downsample") {
			layer.Side = 2
			if fast {
				frames /= 2
			}
		}
		down.Layers = append(down.Layers, layer)
		for i := range at.Count("block") {
			in = outOf(at.At("block").Index(i).At("conv2.conv"))
		}
	}
	end = &chunked.Network{Part: "vae encoder", Source: src, Layers: []chunked.Layer{{
		Name: "encoder.mid", Channels: in,
		Write: func(c *chunked.Coder, x *onnx.Value) *onnx.Value {
			x = middle(c, c.Scope.At("encoder.mid"), x, groupNorm)
			x = conv(c, c.Scope.At("encoder.conv_out"), c.SiLU(groupNorm(c, c.Scope.At("encoder.norm_out"), x)), causal())
			return c.Slice(conv(c, c.Scope.At("quant_conv"), x, point), 1, 0, channels)
		},
	}}}
	return down, end
}
