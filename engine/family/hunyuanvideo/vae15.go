package hunyuanvideo

import (
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/chunked"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

func init() { family.Register(vae15Kind{}) }

// vae15Kind is the family of VAEs of HunyuanVideo 1.5.
type vae15Kind struct{}

// Name implements family.Family.
func (vae15Kind) Name() string { return "HunyuanVideo 1.5 VAE" }

// Rank implements family.Family.
func (vae15Kind) Rank() int { return 63 }

// downscale15 is the number of pixels per latent cell. flatLevels and quickLevels are the numbers of levels of an encoder and of a
// decoder before the number of frames starts or stops to change.
const (
	downscale15 = 16
	flatLevels  = 2
	quickLevels = 2
	// pieceBytes bounds the frames that go from layer to layer at once.
	pieceBytes = 64 << 20
)

// Read implements family.VAE. Upstream: sd.py VAE, hunyuan_video/vae_refiner.py.
func (vae15Kind) Read(src weights.Source) (family.Autoencoder, error) {
	s := weights.NewScope(src)
	in := s.Shape("decoder.conv_in.conv.weight")
	if len(in) != 5 || s.Has("post_quant_conv.weight") || !s.Has("decoder.norm_out.gamma") {
		return nil, nil
	}
	if s.Count("decoder.up") == 0 || in[0]%in[1] != 0 {
		return nil, fmt.Errorf("its shapes make no VAE: decoder.conv_in.conv.weight is %v, and it has %d levels", in, s.Count("decoder.up"))
	}
	v := &vae{src: src, channels: in[1], downscale: downscale15, latents: [2]int{1, 1}, tailFrames: 2, frames: pace, encodes: s.Has("encoder.conv_in.conv.weight")}
	v.front, v.tail = v.decoder(s)
	if v.encodes {
		v.down, v.end = v.encoder(s)
	}
	return v, nil
}

// gammaNorm is the norm of HunyuanVideo 1.5.
func gammaNorm(c *chunked.Coder, s *weights.Scope, x *onnx.Value) *onnx.Value {
	return c.ChannelRMSNorm(s, x, "gamma")
}

func (v *vae) decoder(s *weights.Scope) (front, tail *chunked.Network) {
	d := s.At("decoder")
	inner := outOf(d.At("conv_in.conv"))
	front = &chunked.Network{Part: "vae decoder", Source: v.src, Layers: []chunked.Layer{{
		Name: "decoder.mid", Channels: v.channels,
		Write: func(c *chunked.Coder, x *onnx.Value) *onnx.Value {
			y := conv(c, c.Scope.At("decoder.conv_in"), x, causal())
			x = c.Add(y, c.RepeatElements(x, 1, y.Dim(1).N/x.Dim(1).N, 1, 1, 1))
			return middle(c, c.Scope.At("decoder.mid"), x, gammaNorm)
		},
	}}}
	tail = &chunked.Network{Part: "vae decoder", Source: v.src, Limit: pieceBytes}
	levels := d.Count("up")
	for level := range levels {
		name := fmt.Sprintf("decoder.up.%d", level)
		up := s.At(name)
		in := inner
		for i := range up.Count("block") {
			inner = outOf(up.At("block").Index(i).At("conv2.conv"))
		}
		if up.HasAny("upsample") {
			inner = outOf(up.At("upsample.conv.conv")) / cellsOf(level < quickLevels)
		}
		tail.Layers = append(tail.Layers, chunked.Layer{Name: name, Channels: in, Lead: 1, Write: func(c *chunked.Coder, x *onnx.Value) *onnx.Value {
			up := c.Scope.At(name)
			for i := range up.Count("block") {
				x = residual(c, up.At("block").Index(i), x, gammaNorm)
			}
			if up.HasAny("upsample") {
				x = grow(c, up.At("upsample.conv"), x, level < quickLevels)
			}
			if level < levels-1 {
				return x
			}
			return conv(c, c.Scope.At("decoder.conv_out"), c.SiLU(gammaNorm(c, c.Scope.At("decoder.norm_out"), x)), causal())
		}})
	}
	return front, tail
}

// cellsOf is the number of cells of a finer level per cell, with two frames or one.
func cellsOf(slow bool) int {
	if slow {
		return 8
	}
	return 4
}

// grow moves channels to cells around a shortcut. The first frame stays one frame. Upstream: UpSmpl.
func grow(c *chunked.Coder, s *weights.Scope, x *onnx.Value, slow bool) *onnx.Value {
	y := conv(c, s, x, causal())
	repeats := y.Dim(1).N / x.Dim(1).N
	frames := 1
	if slow {
		frames = 2
	}
	if slow && c.First() { // of the two frames that the channels hold, the first one
		half := spread(c.Builder, y, 1)
		y = c.Slice(half, 1, 0, half.Dim(1).N/2)
		return c.Add(y, spread(c.Builder, c.RepeatElements(x, 1, repeats/2, 1, 1, 1), 1))
	}
	return c.Add(spread(c.Builder, y, frames), spread(c.Builder, c.RepeatElements(x, 1, repeats, 1, 1, 1), frames))
}

// spread turns channels (r,q,p,C) of x [1,·,T,h,w] into r frames, q rows and p columns, two each of the latter.
func spread(c *nn.Builder, x *onnx.Value, frames int) *onnx.Value {
	r, two := onnx.D(frames), onnx.D(2)
	channels := onnx.D(x.Dim(1).N / (4 * frames))
	t, h, w := x.Dim(2), x.Dim(3), x.Dim(4)
	apart := c.Reshape(c.Squeeze(x, 0), r, two, two, channels, t, h, w)
	return c.Reshape(c.Transpose(apart, 3, 4, 0, 5, 1, 6, 2), onnx.D(1), channels, t.Times(r), h.Times(two), w.Times(two))
}

// gather is the inverse of spread.
func gather(c *nn.Builder, x *onnx.Value, frames int) *onnx.Value {
	r, two := onnx.D(frames), onnx.D(2)
	t, ok := x.Dim(2).Quotient(r)
	h, ok2 := x.Dim(3).Quotient(two)
	w, ok3 := x.Dim(4).Quotient(two)
	if !ok || !ok2 || !ok3 {
		c.Fail("Gather", "%v is not made of parts of %d frames and two rows and columns", x.Shape, frames)
	}
	channels := x.Dim(1)
	apart := c.Reshape(c.Squeeze(x, 0), channels, t, r, h, two, w, two)
	return c.Reshape(c.Transpose(apart, 2, 4, 6, 0, 1, 3, 5), onnx.D(1), channels.Times(onnx.D(4*frames)), t, h, w)
}

func (v *vae) encoder(s *weights.Scope) (down, end *chunked.Network) {
	e := s.At("encoder")
	down = &chunked.Network{Part: "vae encoder", Source: v.src}
	in, frames := rgb, pace
	for level := range e.Count("down") {
		name := fmt.Sprintf("encoder.down.%d", level)
		at := s.At(name)
		fast := level >= flatLevels
		layer := chunked.Layer{Name: name, Channels: in, Lead: 1, Frames: frames, Write: func(c *chunked.Coder, x *onnx.Value) *onnx.Value {
			if level == 0 {
				x = conv(c, c.Scope.At("encoder.conv_in"), x, causal())
			}
			at := c.Scope.At(name)
			for i := range at.Count("block") {
				x = residual(c, at.At("block").Index(i), x, gammaNorm)
			}
			if at.HasAny("downsample") {
				return shrink(c, at.At("downsample.conv"), x, fast)
			}
			return x
		}}
		for i := range at.Count("block") {
			in = outOf(at.At("block").Index(i).At("conv2.conv"))
		}
		if at.HasAny("downsample") {
			layer.Side = 2
			in = outOf(at.At("downsample.conv.conv")) * cellsOf(fast)
			if fast {
				frames /= 2
			}
		}
		down.Layers = append(down.Layers, layer)
	}
	channels := v.channels
	end = &chunked.Network{Part: "vae encoder", Source: v.src, Layers: []chunked.Layer{{
		Name: "encoder.mid", Channels: in,
		Write: func(c *chunked.Coder, x *onnx.Value) *onnx.Value {
			x = middle(c, c.Scope.At("encoder.mid"), x, gammaNorm)
			y := conv(c, c.Scope.At("encoder.conv_out"), c.SiLU(gammaNorm(c, c.Scope.At("encoder.norm_out"), x)), causal())
			return c.Slice(c.Add(y, means(c.Builder, x, y.Dim(1).N)), 1, 0, channels)
		},
	}}}
	return down, end
}

// shrink moves cells to channels around a shortcut. The first frame is processed by itself. Upstream: DnSmpl.
func shrink(c *chunked.Coder, s *weights.Scope, x *onnx.Value, fast bool) *onnx.Value {
	y := conv(c, s, x, causal())
	out := y.Dim(1).N * cellsOf(fast)
	if fast && c.First() {
		y = gather(c.Builder, y, 1)
		return c.Add(c.Concat(1, y, y), means(c.Builder, gather(c.Builder, x, 1), out))
	}
	frames := 1
	if fast {
		frames = 2
	}
	return c.Add(gather(c.Builder, y, frames), means(c.Builder, gather(c.Builder, x, frames), out))
}

// means are the means of equal groups of neighbouring channels, of which there are out.
func means(c *nn.Builder, x *onnx.Value, out int) *onnx.Value {
	in := x.Dim(1).N
	if out == 0 || in%out != 0 {
		c.Fail("Means", "%d channels are not whole groups of %d", in, out)
	}
	apart := c.Reshape(x, onnx.D(out), onnx.D(in/out), x.Dim(2), x.Dim(3), x.Dim(4))
	return c.Unsqueeze(c.ReduceMean(apart, false, 1), 0)
}
