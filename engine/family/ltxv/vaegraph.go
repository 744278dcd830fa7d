package ltxv

import (
	"fmt"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/chunked"
	"comfygo/engine/family/dit"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// spatial is the padding mode of rows and columns in convolutions. Upstream: VideoVAE, whose decoder mirrors them unless the config
// says otherwise.
func (c vaeConfig) spatial(decoder bool) onnx.Fill {
	switch {
	case c.Padding == "reflect" || c.Padding == "" && decoder:
		return onnx.Reflect
	case c.Padding == "replicate":
		return onnx.Edge
	}
	return onnx.Zeros
}

// coder builds the layers of half a VAE. Upstream: ldm/lightricks/vae/causal_video_autoencoder.py.
type coder struct {
	vaeConfig
	s *weights.Scope
	// ahead is the number of later frames that a convolution reads.
	ahead  int
	fill   onnx.Fill
	layers []chunked.Layer
	// lead, frames and side are those of the layer that comes next; see chunked.Layer.
	lead, frames int
	channels     int
	times        []family.Value
}

func (k *coder) window() chunked.Window {
	w := chunked.Cube(k.ahead)
	w.Spatial = k.fill
	return w
}

// add adds a layer at name with the given number of output channels.
func (k *coder) add(name string, delay, side, out int, write func(c *chunked.Coder, x *onnx.Value) *onnx.Value) {
	k.layers = append(k.layers, chunked.Layer{
		Name: name, Channels: k.channels, Delay: delay, Lead: k.lead, Frames: k.frames, Side: side, Write: write, Inputs: k.times,
	})
	k.channels = out
}

// outOf is the number of channels that the convolution called name makes, or 1 if it is missing, which is reported when the
// layer is written.
func (k *coder) outOf(name string) int {
	if sh := k.s.Shape(name + ".weight"); len(sh) > 0 {
		return sh[0]
	}
	return 1
}

// conv adds a plain convolution.
func (k *coder) conv(name string) {
	out, w := k.outOf(name), k.window()
	k.add(name, k.ahead, 1, out, func(c *chunked.Coder, x *onnx.Value) *onnx.Value { return c.Conv(c.Scope.At(name), x, out, w) })
}

func decoderOf(src weights.Source, s *weights.Scope, c vaeConfig) (*chunked.Network, error) {
	k := &coder{vaeConfig: c, s: s, fill: c.spatial(true), channels: c.Latent, ahead: 1}
	if c.Causal {
		k.ahead = 0
	}
	k.conv("decoder.conv_in.conv")
	if c.Timed {
		factor := []float32{1000}
		if e, ok := src.Lookup("decoder.timestep_scale_multiplier"); ok && e.Data != nil {
			if err := weights.Range(factor, e, 0); err != nil {
				return nil, err
			}
		}
		k.times = []family.Value{family.Floats("timestep", &tensor.Tensor{Shape: []int{1}, Data: []float32{float32(*c.Timestep) * factor[0]}})}
	}
	for i := range c.Decoder {
		b := c.Decoder[len(c.Decoder)-1-i]
		name := fmt.Sprintf("decoder.up_blocks.%d", i)
		stride, resizes := b.strides()
		switch {
		case b.kind == "res_x":
			k.residuals(name, b)
		case b.kind == "res_x_y":
			k.residual(name, "", b.Noise)
		case resizes && !b.deep():
			k.grow(name, stride, b.Residual && b.kind == "compress_all") // upstream knows a shortcut around this kind alone
		default:
			return nil, fmt.Errorf("reading the VAE's config: its decoder has a block of the unknown kind %q", b.kind)
		}
	}
	k.last()
	return &chunked.Network{Part: "vae decoder", Source: chunked.Taps{Source: src}, Layers: k.layers, Limit: frameBytes, Streamed: true}, nil
}

func encoderOf(src weights.Source, s *weights.Scope, c vaeConfig) (*chunked.Network, error) {
	const rgb = 3
	k := &coder{vaeConfig: c, s: s, fill: c.spatial(false), channels: rgb, lead: 1, frames: 1}
	k.Timed = false
	for _, b := range c.Encoder {
		stride, _ := b.strides()
		k.frames *= stride[0]
	}
	out, w, patch := k.outOf("encoder.conv_in.conv"), k.window(), c.Patch
	k.add("encoder.conv_in.conv", 0, patch, out, func(c *chunked.Coder, x *onnx.Value) *onnx.Value {
		return c.Conv(c.Scope.At("encoder.conv_in.conv"), gather(c, x, [3]int{1, patch, patch}, true), out, w)
	})
	for i, b := range c.Encoder {
		name := fmt.Sprintf("encoder.down_blocks.%d", i)
		stride, resizes := b.strides()
		switch {
		case b.kind == "res_x":
			k.residuals(name, block{kind: b.kind, blockSettings: blockSettings{Layers: b.Layers}})
		case b.kind == "res_x_y":
			k.residual(name, "", false)
		case b.deep():
			k.shrinkDeep(name, stride)
		case resizes:
			k.shrink(name, stride)
		default:
			return nil, fmt.Errorf("reading the VAE's config: its encoder has a block of the unknown kind %q", b.kind)
		}
	}
	name, latent := "encoder.conv_out.conv", c.Latent
	made := k.outOf(name)
	if made < latent {
		return nil, fmt.Errorf("%s.weight makes %d channels, a latent has %d", name, made, latent)
	}
	k.add(name, 0, 1, latent, func(c *chunked.Coder, x *onnx.Value) *onnx.Value {
		return c.Slice(c.Conv(c.Scope.At(name), c.SiLU(norm(c, x)), made, w), 1, 0, latent)
	})
	return &chunked.Network{Part: "vae encoder", Source: chunked.Taps{Source: src}, Layers: k.layers, Streamed: true}, nil
}

// norm divides the channels of x by the root of their mean square.
func norm(c *chunked.Coder, x *onnx.Value) *onnx.Value {
	const least = 1e-8
	return c.Div(x, c.Sqrt(c.Add(c.ReduceMean(c.Mul(x, x), true, 1), c.Const(least))))
}

// embed is the embedding of the timestep by the layers at s, cut into parts [1,C,1,1,1] to which the rows of a table are added.
func embed(c *chunked.Coder, s *weights.Scope, table *weights.Ref, parts, channels int) []*onnx.Value {
	t := c.Input("timestep", dtype.F32, onnx.D(1))
	v := dit.TimeMLP(c.Builder, s.At("timestep_embedder"), t, 1, parts*channels, "linear_1", "linear_2")
	one := onnx.D(1)
	out := make([]*onnx.Value, parts)
	for i, p := range c.Chunks(v, parts) {
		out[i] = c.Reshape(c.Add(p, dit.TableRows(c.Builder, table, i, 1)), one, onnx.D(channels), one, one, one)
	}
	return out
}

// modulate is x·(1+scale) + shift.
func modulate(c *chunked.Coder, x, shift, scale *onnx.Value) *onnx.Value {
	return c.Add(c.Mul(x, c.Add(scale, c.Const(1))), shift)
}

// residuals adds the layers of a block.
func (k *coder) residuals(name string, b block) {
	timed := ""
	if k.Timed {
		timed = name + ".time_embedder"
	}
	for i := range b.Layers {
		k.residual(fmt.Sprintf("%s.res_blocks.%d", name, i), timed, b.Noise)
	}
}

// residual adds two convolutions around a shortcut, modulated by the embedding of the timestep at timed, "" for none. Upstream:
// ResnetBlock3D.
func (k *coder) residual(name, timed string, noisy bool) {
	const convolutions = 2
	in, out, w, delay := k.channels, k.outOf(name+".conv1.conv"), k.window(), convolutions*k.ahead
	k.add(name, delay, 1, out, func(c *chunked.Coder, x *onnx.Value) *onnx.Value {
		s := c.Scope.At(name)
		var mods []*onnx.Value
		if timed != "" {
			const parts = 4
			mods = embed(c, c.Scope.At(timed), s.Weight("scale_shift_table", parts, in), parts, in)
		}
		y := x
		for i := range convolutions {
			y = norm(c, y)
			if mods != nil {
				y = modulate(c, y, mods[2*i], mods[2*i+1])
			}
			y = c.Conv(s.At(fmt.Sprintf("conv%d.conv", i+1)), c.SiLU(y), out, w)
			if noisy {
				scale := s.Weight(fmt.Sprintf("per_channel_scale%d", i+1), in, 1, 1)
				one := onnx.D(1)
				y = c.Add(y, c.Mul(c.Noise(x, i), c.Reshape(c.Table(scale), one, onnx.D(in), one, one, one)))
			}
		}
		x = c.Delayed(x, delay)
		if in != out {
			x = c.Conv3d(s.At("conv_shortcut"), channelNorm(c, s.At("norm3.norm"), x), out, [3]int{1, 1, 1}, onnx.WindowND{})
		}
		return c.Add(x, y)
	})
	if noisy {
		k.layers[len(k.layers)-1].Noise = convolutions
	}
	if timed == "" {
		k.layers[len(k.layers)-1].Inputs = nil
	}
}

// channelNorm is a layer norm over the channels of x.
func channelNorm(c *chunked.Coder, s *weights.Scope, x *onnx.Value) *onnx.Value {
	return c.Transpose(c.LayerNorm(s, c.Transpose(x, 0, 2, 3, 4, 1), epsilon), 0, 4, 1, 2, 3)
}

// grow adds a layer that moves channels to frames and cells. Upstream: DepthToSpaceUpsample.
func (k *coder) grow(name string, stride [3]int, residual bool) {
	cells := tensor.Count(stride[:])
	made, w, in, delay := k.outOf(name+".conv.conv"), k.window(), k.channels, k.ahead
	out := made / cells
	k.add(name, delay, 1, out, func(c *chunked.Coder, x *onnx.Value) *onnx.Value {
		y := spread(c, c.Conv(c.Scope.At(name+".conv.conv"), x, made, w), stride)
		first := func(x *onnx.Value) *onnx.Value {
			if c.First() && stride[0] > 1 {
				return c.SliceDims(x, 2, onnx.D(1), x.Dim(2))
			}
			return x
		}
		y = first(y)
		if !residual {
			return y
		}
		if in%cells != 0 || out%(in/cells) != 0 {
			c.Fail("Grow", "%s makes %d channels of %d, which are not whole parts of each other in groups of %d", name, out, in, cells)
		}
		x = first(spread(c, c.Delayed(x, delay), stride))
		return c.Add(y, c.Tile(x, 1, out/(in/cells), 1, 1, 1))
	})
	k.layers[len(k.layers)-1].Inputs = nil
}

// spread turns channels (C,p,q,r) of x into p frames, q rows and r columns each.
func spread(c *chunked.Coder, x *onnx.Value, stride [3]int) *onnx.Value {
	p, q, r := onnx.D(stride[0]), onnx.D(stride[1]), onnx.D(stride[2])
	channels := onnx.D(x.Dim(1).N / tensor.Count(stride[:]))
	t, h, w := x.Dim(2), x.Dim(3), x.Dim(4)
	apart := c.Reshape(c.Squeeze(x, 0), channels, p, q, r, t, h, w)
	return c.Reshape(c.Transpose(apart, 0, 4, 1, 5, 2, 6, 3), onnx.D(1), channels, t.Times(p), h.Times(q), w.Times(r))
}

// gather is the inverse of spread; with columns the columns of a patch come before its rows.
func gather(c *chunked.Coder, x *onnx.Value, stride [3]int, columns bool) *onnx.Value {
	var sizes [3]onnx.Dim
	for i, n := range stride {
		q, ok := x.Dim(2 + i).Quotient(onnx.D(n))
		if !ok {
			c.Fail("Gather", "%v is not made of parts of %v", x.Shape, stride)
		}
		sizes[i] = q
	}
	channels := x.Dim(1)
	apart := c.Reshape(c.Squeeze(x, 0), channels, sizes[0], onnx.D(stride[0]), sizes[1], onnx.D(stride[1]), sizes[2], onnx.D(stride[2]))
	order := []int{0, 2, 4, 6, 1, 3, 5}
	if columns {
		order = []int{0, 2, 6, 4, 1, 3, 5}
	}
	return c.Reshape(c.Transpose(apart, order...), onnx.D(1), channels.Times(onnx.D(tensor.Count(stride[:]))), sizes[0], sizes[1], sizes[2])
}

// shrink adds a convolution with strides.
func (k *coder) shrink(name string, stride [3]int) {
	out, w := k.outOf(name+".conv"), k.window()
	w.Stride = stride
	k.add(name, 0, stride[1], out, func(c *chunked.Coder, x *onnx.Value) *onnx.Value { return c.Conv(c.Scope.At(name+".conv"), x, out, w) })
	k.frames /= stride[0]
}

// shrinkDeep adds a layer that moves frames and cells to channels. Upstream: SpaceToDepthDownsample.
func (k *coder) shrinkDeep(name string, stride [3]int) {
	cells := tensor.Count(stride[:])
	made, w, in := k.outOf(name+".conv.conv"), k.window(), k.channels
	out := made * cells
	k.add(name, 0, stride[1], out, func(c *chunked.Coder, x *onnx.Value) *onnx.Value {
		if c.First() && stride[0] > 1 {
			x = c.Pad(x, 1, 0)
		}
		group := in * cells / out
		if group < 1 || in*cells%out != 0 {
			c.Fail("Shrink", "%s makes %d channels of %d in groups of %d", name, out, in, cells)
		}
		y := gather(c, c.Conv(c.Scope.At(name+".conv.conv"), x, made, w), stride, false)
		x = gather(c, x, stride, false)
		means := c.Reshape(x, onnx.D(out), onnx.D(group), x.Dim(2), x.Dim(3), x.Dim(4))
		return c.Add(y, c.Unsqueeze(c.ReduceMean(means, false, 1), 0))
	})
	k.frames /= stride[0]
}

// last adds the layer that makes pixels.
func (k *coder) last() {
	const name, parts = "decoder.conv_out.conv", 2
	made, w, in, timed, patch := k.outOf(name), k.window(), k.channels, k.Timed, k.Patch
	k.add(name, k.ahead, 1, made/(patch*patch), func(c *chunked.Coder, x *onnx.Value) *onnx.Value {
		s := c.Scope.At("decoder")
		x = norm(c, x)
		if timed {
			m := embed(c, s.At("last_time_embedder"), s.Weight("last_scale_shift_table", parts, in), parts, in)
			x = modulate(c, x, m[0], m[1])
		}
		return pixels(c, c.Conv(c.Scope.At(name), c.SiLU(x), made, w), patch)
	})
}

// pixels turns channels (C,r,q) of x into rows q and columns r.
func pixels(c *chunked.Coder, x *onnx.Value, patch int) *onnx.Value {
	p, t, h, w := onnx.D(patch), x.Dim(2), x.Dim(3), x.Dim(4)
	channels := onnx.D(x.Dim(1).N / (patch * patch))
	apart := c.Reshape(c.Squeeze(x, 0), channels, p, p, t, h, w)
	return c.Reshape(c.Transpose(apart, 0, 3, 4, 2, 5, 1), onnx.D(1), channels, t, h.Times(p), w.Times(p))
}
