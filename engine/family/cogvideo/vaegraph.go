package cogvideo

import (
	"fmt"

	"comfygo/engine/family/chunked"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

const (
	groups      = 32
	normEpsilon = 1e-6
)

// point is the geometry of a convolution of single cells.
var point = [3]int{1, 1, 1}

// outOf is the number of channels that a convolution makes, or 1 if it is missing, which is reported when the layer is
// written.
func outOf(s *weights.Scope) int {
	if sh := s.Shape("weight"); len(sh) > 0 {
		return sh[0]
	}
	return 1
}

// list collects layers; each layer reads the channels that the layer before it makes. The layers of the decoder pass the latent on as
// their last channels, resized to their features, because the norms read it.
type list struct {
	s        *weights.Scope
	channels int
	// latent is the number of the latent's channels in the decoder, 0 in the encoder.
	latent int
	layers []chunked.Layer
}

// coder writes a layer.
type coder struct {
	*chunked.Coder
	// z is the latent in the size of the features, nil in the encoder.
	z *onnx.Value
}

// add adds a layer at a scope of the weights with the given number of output channels besides the latent.
func (l *list) add(layer chunked.Layer, out int, write func(c *coder, s *weights.Scope, x *onnx.Value) *onnx.Value) {
	features, latent := l.channels, l.latent
	layer.Channels = features + latent
	layer.Write = func(c *chunked.Coder, x *onnx.Value) *onnx.Value {
		w := &coder{Coder: c}
		if latent > 0 {
			parts := c.Split(x, 1, features, latent)
			x, w.z = parts[0], parts[1]
		}
		y := write(w, c.Scope.At(layer.Name), x)
		if latent > 0 {
			y = c.Concat(1, y, w.z)
		}
		return y
	}
	l.layers = append(l.layers, layer)
	l.channels = out
}

// take ends a list of layers and begins the next one.
func (l *list) take() []chunked.Layer {
	out := l.layers
	l.layers = nil
	return out
}

// resnets adds the residual blocks at a place.
func (l *list) resnets(name string, alone bool) {
	at := l.s.At(name)
	for i := range at.Count("resnets") {
		r := fmt.Sprintf("%s.resnets.%d", name, i)
		l.add(chunked.Layer{Name: r, Alone: alone}, outOf(l.s.At(r, "conv2.conv")), (*coder).residual)
	}
}

// decoderOf lists the layers up to the last change of the number of frames, and those after it.
func decoderOf(src weights.Source, latent int) (front, tail *chunked.Network) {
	s := weights.NewScope(src)
	l := &list{s: s, latent: latent}
	inner := outOf(s.At("decoder.conv_in.conv"))
	l.layers = append(l.layers, chunked.Layer{Name: "decoder.conv_in", Channels: latent, Write: func(c *chunked.Coder, z *onnx.Value) *onnx.Value {
		return c.Concat(1, (&coder{Coder: c}).causal(c.Scope.At("decoder.conv_in"), z), z)
	}})
	l.channels = inner
	l.resnets("decoder.mid_block", false)
	levels := s.Count("decoder.up_blocks")
	front = &chunked.Network{Part: "vae decoder", Source: src}
	for i := range levels {
		name := fmt.Sprintf("decoder.up_blocks.%d", i)
		l.resnets(name, false)
		if i == slowLevels-1 {
			front.Layers = l.take()
		}
		if i < levels-1 {
			up := name + ".upsamplers.0"
			slow := i < slowLevels-1
			l.add(chunked.Layer{Name: up, Parity: slow}, outOf(s.At(up, "conv")), func(c *coder, s *weights.Scope, x *onnx.Value) *onnx.Value {
				return c.larger(s, x, slow)
			})
		}
	}
	channels := l.channels + latent
	tail = &chunked.Network{Part: "vae decoder", Source: src, Layers: append(l.take(), chunked.Layer{
		Name: "decoder.conv_out", Channels: channels, Write: func(c *chunked.Coder, x *onnx.Value) *onnx.Value {
			w, d := &coder{Coder: c}, c.Scope.At("decoder")
			parts := c.Split(x, 1, channels-latent, latent)
			w.z = parts[1]
			return w.causal(d.At("conv_out"), c.SiLU(w.norm(d.At("norm_out"), parts[0])))
		},
	})}
	return front, tail
}

// encoderOf lists the layers from frames to latents.
func encoderOf(src weights.Source, latent int) *chunked.Network {
	s := weights.NewScope(src)
	l := &list{s: s, channels: rgb}
	l.add(chunked.Layer{Name: "encoder.conv_in", Alone: true}, outOf(s.At("encoder.conv_in.conv")), (*coder).causal)
	levels := s.Count("encoder.down_blocks")
	for i := range levels {
		name := fmt.Sprintf("encoder.down_blocks.%d", i)
		l.resnets(name, true)
		if i < levels-1 {
			down := chunked.Layer{Name: name + ".downsamplers.0", Side: 2}
			slow := i < slowLevels
			if slow {
				down.Parity, down.Frames = true, 2
			}
			l.add(down, outOf(s.At(down.Name, "conv")), func(c *coder, s *weights.Scope, x *onnx.Value) *onnx.Value { return c.smaller(s, x, slow) })
		}
	}
	l.resnets("encoder.mid_block", true)
	l.add(chunked.Layer{Name: "encoder.conv_out", Alone: true}, latent, func(c *coder, s *weights.Scope, x *onnx.Value) *onnx.Value {
		y := c.causal(s, c.SiLU(c.norm(c.Scope.At("encoder.norm_out"), x)))
		return c.Slice(y, 1, 0, latent)
	})
	return &chunked.Network{Part: "vae encoder", Source: src, Layers: l.take()}
}

// causal is a convolution at s whose kernel is three in each direction: a frame depends only on the frames before it; the first one is
// repeated as padding. Upstream: CausalConv3d.
func (c *coder) causal(s *weights.Scope, x *onnx.Value) *onnx.Value {
	const kernel = 3
	conv := s.At("conv")
	c.At(conv.Prefix())
	x = c.Carry(x, kernel-1, func(x *onnx.Value) *onnx.Value { return c.Pad(x, kernel-1, 0) }, func(x *onnx.Value) *onnx.Value { return c.Tail(x, kernel-1) })
	images := c.Transpose(c.Squeeze(x, 0), 1, 0, 2, 3)
	return c.Joined(c.ConvTaps(conv, images, outOf(conv), kernel, onnx.Pad1()))
}

// norm normalises features; in the decoder, the latent makes factors and offsets. Upstream: SpatialNorm3D.
func (c *coder) norm(s *weights.Scope, x *onnx.Value) *onnx.Value {
	if c.z == nil {
		return c.GroupNorm(s, x, groups, normEpsilon)
	}
	of := func(name string) *onnx.Value {
		return c.Conv3d(s.At(name, "conv"), c.z, x.Dim(1).N, point, onnx.WindowND{})
	}
	return c.Add(c.Mul(c.GroupNorm(s.At("norm_layer"), x, groups, normEpsilon), of("conv_y")), of("conv_b"))
}

// residual is two convolutions around a shortcut. Upstream: ResnetBlock3D.
func (c *coder) residual(s *weights.Scope, x *onnx.Value) *onnx.Value {
	y := c.causal(s.At("conv1"), c.SiLU(c.norm(s.At("norm1"), x)))
	y = c.causal(s.At("conv2"), c.SiLU(c.norm(s.At("norm2"), y)))
	if short := s.At("conv_shortcut"); short.Has("weight") {
		x = c.Conv3d(short, x, outOf(short), point, onnx.WindowND{})
	}
	return c.Add(x, y)
}

// larger doubles the sides of frames and, where slow is set, their number, except for the first one of an odd number. Upstream:
// Upsample3D.
func (c *coder) larger(s *weights.Scope, x *onnx.Value, slow bool) *onnx.Value {
	times := 1
	if slow {
		times = 2
	}
	enlarge := func(x *onnx.Value, sides int) *onnx.Value {
		y := c.RepeatElements(x, 1, 1, times, sides, sides)
		if slow && c.Odd() {
			y = c.SliceDims(y, 2, onnx.D(1), y.Dim(2))
		}
		return y
	}
	conv := s.At("conv")
	images := c.Frames(enlarge(x, 1))
	c.z = enlarge(c.z, 2)
	return c.Joined(c.UpsampleConv(conv, images, outOf(conv)))
}

// smaller halves the sides of frames and, where slow is set, their number, except for the first one of an odd number. Upstream:
// Downsample3D.
func (c *coder) smaller(s *weights.Scope, x *onnx.Value, slow bool) *onnx.Value {
	if slow {
		if c.Odd() {
			x = c.Pad(x, 1, 0) // the mean of two copies is the frame
		}
		half, _ := x.Dim(2).Quotient(onnx.D(2))
		pairs := c.Reshape(x, x.Dim(1), half, onnx.D(2), x.Dim(3), x.Dim(4))
		x = c.Unsqueeze(c.ReduceMean(pairs, false, 2), 0)
	}
	conv := s.At("conv")
	return c.Joined(c.Conv2d(conv, c.Frames(x), outOf(conv), 3, onnx.Window{Stride: 2, Pads: [4]int{0, 0, 1, 1}}))
}
