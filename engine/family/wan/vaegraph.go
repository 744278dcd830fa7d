package wan

import (
	"fmt"

	"comfygo/engine/family/chunked"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// The layers are those of Wan 2.1's VAE, one by one, and of Wan 2.2's, a level each. Values are videos [1,C,T,H,W]. The first chunk is the
// frame that stands alone, which has less around it; upstream takes the frames in groups, too. Upstream: ldm/wan/vae.py, vae2_2.py.

// outOf is the number of channels that a convolution makes.
func outOf(s *weights.Scope) int {
	if sh := s.Shape("weight"); len(sh) > 0 {
		return sh[0]
	}
	return 1
}

// point is the geometry of a convolution of single cells.
var point = [3]int{1, 1, 1}

// list collects layers; each layer reads the channels that the layer before it makes.
type list struct {
	s        *weights.Scope
	channels int
	// single reports that layers are given one frame at a time.
	single bool
	layers []chunked.Layer
}

// add adds a layer at a scope of the weights with the given number of output channels.
func (l *list) add(name string, out, frames, side int, write func(c coder, s *weights.Scope, x *onnx.Value) *onnx.Value) {
	l.layers = append(l.layers, chunked.Layer{Name: name, Channels: l.channels, Lead: 1, Frames: frames, Side: side, Single: l.single, Write: func(c *chunked.Coder, x *onnx.Value) *onnx.Value {
		return write(coder{c}, c.Scope.At(name), x)
	}})
	l.channels = out
}

// middle adds the layers between the levels.
func (l *list) middle(name string) {
	l.add(name+".0", l.channels, 0, 0, coder.residual)
	l.add(name+".1", l.channels, 0, 0, coder.attention)
	l.add(name+".2", l.channels, 0, 0, coder.residual)
}

// decoder lists the layers from a latent with the given number of channels to frames, which it computes one at a time: its largest
// values are the states, two frames for each convolution.
func decoder(s *weights.Scope, channels int) []chunked.Layer {
	l := &list{s: s, channels: channels, single: true}
	d := s.At("decoder")
	l.add("decoder", outOf(d.At("conv1")), 0, 0, func(c coder, s *weights.Scope, x *onnx.Value) *onnx.Value {
		return c.causal(s.At("conv1"), c.Conv3d(c.Scope.At("conv2"), x, channels, point, onnx.WindowND{}))
	})
	l.middle("decoder.middle")
	for i := range d.Count("upsamples") {
		name := fmt.Sprintf("decoder.upsamples.%d", i)
		u := s.At(name)
		switch {
		case u.HasAny("upsamples"):
			l.add(name, levelOut(u.At("upsamples")), 0, 0, coder.levelUp)
		case u.Has("residual.0.gamma"):
			l.add(name, outOf(u.At("residual.6")), 0, 0, coder.residual)
		case u.Has("to_qkv.weight"):
			l.add(name, l.channels, 0, 0, coder.attention)
		default:
			l.add(name, outOf(u.At("resample.1")), 0, 0, coder.larger)
		}
	}
	l.add("decoder.head", outOf(d.At("head.2")), 0, 0, func(c coder, s *weights.Scope, x *onnx.Value) *onnx.Value {
		y := c.head(s, x)
		if outOf(s.At("2")) == rgb*packed*packed {
			y = c.unpack(y)
		}
		return y
	})
	return l.layers
}

// encoder lists the layers from frames with the given number of channels to latents.
func encoder(s *weights.Scope, pixels, channels int) []chunked.Layer {
	l := &list{s: s, channels: pixels}
	e := s.At("encoder")
	side := 1
	if in := e.Shape("conv1.weight"); len(in) > 1 && in[1] != pixels {
		side = packed
	}
	l.add("encoder", outOf(e.At("conv1")), 0, side, func(c coder, s *weights.Scope, x *onnx.Value) *onnx.Value {
		if side > 1 {
			x = c.pack(x)
		}
		return c.causal(s.At("conv1"), x)
	})
	for i := range e.Count("downsamples") {
		name := fmt.Sprintf("encoder.downsamples.%d", i)
		d := s.At(name)
		switch {
		case d.HasAny("downsamples"):
			frames, half := 0, 0
			end := d.At("downsamples").Index(d.Count("downsamples") - 1)
			if end.HasAny("resample") {
				half = 2
			}
			if end.Has("time_conv.weight") {
				frames = 2
			}
			l.add(name, levelOut(d.At("downsamples")), frames, half, coder.levelDown)
		case d.Has("residual.0.gamma"):
			l.add(name, outOf(d.At("residual.6")), 0, 0, coder.residual)
		case d.Has("to_qkv.weight"):
			l.add(name, l.channels, 0, 0, coder.attention)
		default:
			frames := 0
			if d.Has("time_conv.weight") {
				frames = 2
			}
			l.add(name, l.channels, frames, 2, coder.smaller)
		}
	}
	l.middle("encoder.middle")
	l.add("encoder.head", channels, 0, 0, func(c coder, s *weights.Scope, x *onnx.Value) *onnx.Value {
		y := c.Conv3d(c.Scope.At("conv1"), c.head(s, x), 2*channels, point, onnx.WindowND{})
		return c.Slice(y, 1, 0, channels)
	})
	return l.layers
}

// levelOut is the number of channels that a level makes.
func levelOut(s *weights.Scope) int { return outOf(s.At("0.residual.6")) }

// coder writes a layer.
type coder struct{ *chunked.Coder }

// frames turns a video [1,C,T,H,W] into images [T,C,H,W], video the other way round.
func (c coder) frames(x *onnx.Value) *onnx.Value {
	return c.Frames(x)
}

func (c coder) video(x *onnx.Value) *onnx.Value {
	return c.Joined(x)
}

// before joins x with the given number of frames before it, which are zero before the first one.
func (c coder) before(x *onnx.Value, frames int) *onnx.Value {
	return c.Carry(x, frames, func(x *onnx.Value) *onnx.Value {
		return c.PadAxes(x, onnx.Zeros, []int{0, 0, frames, 0, 0}, []int{0, 0, 0, 0, 0})
	}, func(x *onnx.Value) *onnx.Value { return c.Tail(x, frames) })
}

// causal is a convolution with a kernel of three in time in which a frame depends only on those before it, as a sum of
// convolutions of images; see chunked.Taps. A single frame has none before it.
func (c coder) causal(s *weights.Scope, x *onnx.Value) *onnx.Value {
	const kernel = 3
	// tap returns the frames that convolution k reads.
	var tap func(k int) *onnx.Value
	if c.Single() {
		now := c.frames(x)
		all := append(c.Before(now, kernel-1, true), now)
		tap = func(k int) *onnx.Value { return all[len(all)-kernel+k] }
	} else {
		all := c.frames(c.before(x, kernel-1))
		n := all.Dim(0).Minus(onnx.D(kernel - 1))
		tap = func(k int) *onnx.Value { return c.SliceDims(all, 0, onnx.D(k), n.Plus(onnx.D(k))) }
	}
	out, side := outOf(s.At(chunked.TapName(kernel-1))), 3
	window := onnx.Pad1()
	if sh := s.Shape(chunked.TapName(0) + ".weight"); len(sh) == 4 && sh[2] == 1 {
		side, window = 1, onnx.Window{Stride: 1}
	}
	first := 0
	if c.First() {
		first = kernel - 1
	}
	var y *onnx.Value
	for k := first; k < kernel; k++ {
		y = c.Conv2dAdd(s.At(chunked.TapName(k)), tap(k), y, out, side, window)
	}
	return c.video(y)
}

// larger doubles the sides of frames and, where the layer has it, their number, except for the first one.
func (c coder) larger(s *weights.Scope, x *onnx.Value) *onnx.Value {
	images := c.frames(x)
	if s.Has("time_conv.weight") {
		images = c.slower(s.At("time_conv"), x)
	}
	r := s.At("resample.1")
	return c.UpsampleConv(r, images, outOf(r))
}

// slower converts each frame except the first one to two images.
func (c coder) slower(s *weights.Scope, x *onnx.Value) *onnx.Value {
	if c.First() {
		const kept = 2
		now := c.frames(x)
		c.Before(now, kept, false)
		return now
	}
	channels := x.Dim(1)
	// The channels of the two frames follow each other.
	return c.Reshape(c.frames(c.causal(s, x)), onnx.D(2), channels, x.Dim(3), x.Dim(4))
}

// smaller halves the sides of frames and, where the layer has it, their number, except for the first one.
func (c coder) smaller(s *weights.Scope, x *onnx.Value) *onnx.Value {
	r := s.At("resample.1")
	x = c.video(c.Conv2d(r, c.frames(x), outOf(r), 3, onnx.Window{Stride: 2, Pads: [4]int{0, 0, 1, 1}}))
	if !s.Has("time_conv.weight") {
		return x
	}
	x = c.Carry(x, 1, func(x *onnx.Value) *onnx.Value { return x }, func(x *onnx.Value) *onnx.Value { return c.Tail(x, 1) })
	if c.First() {
		return x
	}
	t := s.At("time_conv")
	return c.Conv3d(t, x, outOf(t), [3]int{3, 1, 1}, onnx.WindowND{Stride: []int{2, 1, 1}})
}

// residual is two convolutions around a shortcut.
func (c coder) residual(s *weights.Scope, x *onnx.Value) *onnx.Value {
	r := s.At("residual")
	y := c.causal(r.At("2"), c.SiLU(c.ChannelRMSNorm(r.At("0"), x, "gamma")))
	y = c.causal(r.At("6"), c.SiLU(c.ChannelRMSNorm(r.At("3"), y, "gamma")))
	if s.Has("shortcut.weight") {
		x = c.Conv3d(s.At("shortcut"), x, outOf(s.At("shortcut")), point, onnx.WindowND{})
	}
	return c.Add(x, y)
}

// attention lets the pixels of each frame attend to each other, in one head.
func (c coder) attention(s *weights.Scope, x *onnx.Value) *onnx.Value {
	images := c.frames(x)
	channels := images.Dim(1).N
	qkv := c.Conv2d(s.At("to_qkv"), c.ChannelRMSNorm(s.At("norm"), images, "gamma"), 3*channels, 1, onnx.Window{Stride: 1})
	parts := c.Split(c.ToTokens(qkv), -1, channels, channels, channels)
	y := c.FromTokens(c.Attention(parts[0], parts[1], parts[2], nil, 1), images)
	return c.Add(x, c.video(c.Conv2d(s.At("proj"), y, channels, 1, onnx.Window{Stride: 1})))
}

func (c coder) head(s *weights.Scope, x *onnx.Value) *onnx.Value {
	x = c.SiLU(c.ChannelRMSNorm(s.At("0"), x, "gamma"))
	if c.Single() {
		return c.ahead(s.At("2"), x)
	}
	return c.causal(s.At("2"), x)
}

// ahead is causal for one frame and few output channels: it carries the contribution of x to the next two frames, not x.
func (c coder) ahead(s *weights.Scope, x *onnx.Value) *onnx.Value {
	const kernel = 3
	images, out := c.frames(x), outOf(s.At(chunked.TapName(kernel-1)))
	shape := onnx.Shape{images.Dim(0), onnx.D(out), images.Dim(2), images.Dim(3)}
	before := [kernel]*onnx.Value{c.State(x.DType, shape), c.State(x.DType, shape)} // for this frame and the next one; nothing for the one after
	var sums [kernel]*onnx.Value
	for k := range sums {
		sums[k] = c.Conv2dAdd(s.At(chunked.TapName(kernel-1-k)), images, before[k], out, 3, onnx.Pad1())
	}
	c.Keep(sums[1:]...)
	return c.video(sums[0])
}

// levelUp is a level of Wan 2.2: residual blocks and a larger size, beside which its input is repeated. Upstream: Up_ResidualBlock.
func (c coder) levelUp(s *weights.Scope, x *onnx.Value) *onnx.Value {
	y := x
	times, sides := 1, 1
	u := s.At("upsamples")
	for i := range s.Count("upsamples") {
		m := u.Index(i)
		if m.Has("residual.0.gamma") {
			y = c.residual(m, y)
			continue
		}
		sides = 2
		if m.Has("time_conv.weight") {
			times = 2
		}
		y = c.video(c.larger(m, y))
	}
	if sides == 1 {
		return y
	}
	return c.Add(y, c.repeated(x, y.Dim(1).N, times, sides))
}

// repeated gives x the channels and sizes of a level's result. Upstream: DupUp3D.
func (c coder) repeated(x *onnx.Value, out, times, sides int) *onnx.Value {
	x = c.RepeatElements(x, 1, out*times*sides*sides/x.Dim(1).N, 1, 1, 1)
	t, h, w, side := x.Dim(2), x.Dim(3), x.Dim(4), onnx.D(sides)
	apart := c.Reshape(x, onnx.D(out), onnx.D(times), side, side, t, h, w)
	y := c.Reshape(c.Transpose(apart, 0, 4, 1, 5, 2, 6, 3), onnx.D(1), onnx.D(out), t.Times(onnx.D(times)), h.Times(side), w.Times(side))
	if c.First() && times > 1 {
		y = c.Slice(y, 2, times-1, times)
	}
	return y
}

// levelDown is a level of Wan 2.2: residual blocks and a smaller size, beside which means of its input go. Upstream: Down_ResidualBlock.
func (c coder) levelDown(s *weights.Scope, x *onnx.Value) *onnx.Value {
	y := x
	times, sides := 1, 1
	d := s.At("downsamples")
	for i := range s.Count("downsamples") {
		m := d.Index(i)
		if m.Has("residual.0.gamma") {
			y = c.residual(m, y)
			continue
		}
		sides = 2
		if m.Has("time_conv.weight") {
			times = 2
		}
		y = c.smaller(m, y)
	}
	return c.Add(y, c.averaged(x, y, times, sides))
}

// averaged gives x the shape of a level's result y. Upstream: AvgDown3D.
func (c coder) averaged(x, y *onnx.Value, times, sides int) *onnx.Value {
	if c.First() && times > 1 {
		x = c.PadAxes(x, onnx.Zeros, []int{0, 0, times - 1, 0, 0}, []int{0, 0, 0, 0, 0})
	}
	in, out := x.Dim(1).N, y.Dim(1).N
	t, h, w, side := y.Dim(2), y.Dim(3), y.Dim(4), onnx.D(sides)
	apart := c.Reshape(x, onnx.D(in), t, onnx.D(times), h, side, w, side)
	groups := c.Reshape(c.Transpose(apart, 0, 2, 4, 6, 1, 3, 5), onnx.D(out), onnx.D(in*times*sides*sides/out), t, h, w)
	return c.Unsqueeze(c.ReduceMean(groups, false, 1), 0)
}

// pack puts squares of pixels into the channels, unpack takes them out. Upstream: vae2_2.py patchify.
func (c coder) pack(x *onnx.Value) *onnx.Value {
	side := onnx.D(packed)
	h, _ := x.Dim(3).Quotient(side)
	w, _ := x.Dim(4).Quotient(side)
	apart := c.Reshape(x, x.Dim(1), x.Dim(2), h, side, w, side)
	return c.Reshape(c.Transpose(apart, 0, 5, 3, 1, 2, 4), onnx.D(1), x.Dim(1).Times(onnx.D(packed*packed)), x.Dim(2), h, w)
}

func (c coder) unpack(x *onnx.Value) *onnx.Value {
	side, t, h, w := onnx.D(packed), x.Dim(2), x.Dim(3), x.Dim(4)
	apart := c.Reshape(x, onnx.D(rgb), side, side, t, h, w)
	return c.Reshape(c.Transpose(apart, 0, 3, 4, 2, 5, 1), onnx.D(1), onnx.D(rgb), t, h.Times(side), w.Times(side))
}
