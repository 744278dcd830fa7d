package acestep

import (
	"comfygo/engine/dtype"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// coder writes the autoencoder of spectrograms (upstream: autoencoder_dc.py).
type coder struct{ *nn.Builder }

// line is the shape of values with the given number of channels, rows, and columns per latent.
func line(channels, rows, columns int) []onnx.Dim {
	return []onnx.Dim{onnx.D(1), onnx.D(channels), onnx.D(rows), onnx.Sym("L").Times(onnx.D(columns))}
}

// writeDeepDecoder writes the decoder up to its deepest level: z [1,8,16,L] gives out [1,C,16,L].
func (v *vae) writeDeepDecoder(b *nn.Builder, s *weights.Scope) {
	w, d, last := coder{b}, s.At("dcae", "decoder"), v.up[levels-1]
	z := dit.Input(b, "z", line(channels, height, 1)...)
	x := w.Add(w.conv(d.At("conv_in"), z, last.channels), w.repeat(z, last.channels/channels))
	dit.Output(b, "out", w.blocks(d.At("up_blocks").Index(levels-1), x, last, false))
}

// writeDecoder writes the other levels of the decoder: x [1,C,16,L] gives out [1,2,128,L·8].
func (v *vae) writeDecoder(b *nn.Builder, s *weights.Scope) {
	w, d := coder{b}, s.At("dcae", "decoder")
	x := dit.Input(b, "x", line(v.up[levels-1].channels, height, 1)...)
	for i := levels - 2; i >= 0; i-- {
		x = w.blocks(d.At("up_blocks").Index(i), x, v.up[i], false)
	}
	x = w.conv(d.At("conv_out"), w.Relu(w.norm(d.At("norm_out"), x)), stereo)
	dit.Output(b, "out", x)
}

// writeEncoder writes the encoder up to its deepest level: mel [1,2,128,L·8] gives out [1,C,16,L].
func (v *vae) writeEncoder(b *nn.Builder, s *weights.Scope) {
	w, e := coder{b}, s.At("dcae", "encoder")
	x := w.conv(e.At("conv_in"), dit.Input(b, "mel", line(stereo, frameHeight, reach)...), v.down[0].channels)
	for i := range levels - 1 {
		next := v.down[i]
		next.channels = v.down[i+1].channels
		x = w.blocks(e.At("down_blocks").Index(i), x, next, true)
	}
	dit.Output(b, "out", x)
}

// writeDeepEncoder writes the deepest level of the encoder: x [1,C,16,L] gives out [1,8,16,L].
func (v *vae) writeDeepEncoder(b *nn.Builder, s *weights.Scope) {
	w, e, last := coder{b}, s.At("dcae", "encoder"), v.down[levels-1]
	x := w.blocks(e.At("down_blocks").Index(levels-1), dit.Input(b, "x", line(last.channels, height, 1)...), last, true)
	dit.Output(b, "out", w.Add(w.conv(e.At("conv_out"), x, channels), w.means(x, last.channels/channels)))
}

// conv is a convolution over three rows and columns.
func (w coder) conv(s *weights.Scope, x *onnx.Value, out int) *onnx.Value {
	return w.Conv2d(s, x, out, 3, onnx.Pad1())
}

// norm is the RMSNorm of the channels, with a bias.
func (w coder) norm(s *weights.Scope, x *onnx.Value) *onnx.Value {
	const epsilon = 1e-5
	c := x.Dim(1).N
	y := w.RMSNorm(s, w.Transpose(x, 0, 2, 3, 1), epsilon)
	return w.Transpose(w.Add(y, w.Table(s.Weight("bias", c))), 0, 3, 1, 2)
}

// blocks are the blocks of a level; a block that halves or doubles sides gives the level's channels.
func (w coder) blocks(s *weights.Scope, x *onnx.Value, l level, down bool) *onnx.Value {
	for i, kind := range l.blocks {
		b := s.Index(i)
		switch kind {
		case resBlock:
			c := x.Dim(1).N
			y := w.Conv2d(b.At("conv2"), w.SiLU(w.conv(b.At("conv1"), x, c)), c, 3, onnx.Pad1())
			x = w.Add(x, w.norm(b.At("norm"), y))
		case attentionBlock:
			x = w.gated(b.At("conv_out"), w.attention(b.At("attn"), x))
		case resizeBlock:
			if down {
				x = w.half(b, x, l.channels)
			} else {
				x = w.double(b, x, l.channels)
			}
		}
	}
	return x
}

// half halves the sides; the shortcut takes the means of the values that share a channel.
func (w coder) half(s *weights.Scope, x *onnx.Value, out int) *onnx.Value {
	y := w.Conv2d(s.At("conv"), x, out, 3, onnx.Window{Stride: 2, Pads: [4]int{1, 1, 1, 1}})
	c, h, l := x.Dim(1).N, x.Dim(2).N, x.Dim(3).Div(2)
	z := w.Reshape(x, onnx.D(1), onnx.D(c), onnx.D(h/2), onnx.D(2), l, onnx.D(2))
	z = w.Reshape(w.Transpose(z, 0, 1, 3, 5, 2, 4), onnx.D(1), onnx.D(4*c), onnx.D(h/2), l)
	y = w.Declare(y, onnx.Shape{onnx.D(1), onnx.D(out), onnx.D(h / 2), l})
	return w.Add(y, w.means(z, 4*c/out))
}

// double doubles the sides; the shortcut spreads channels over the new places.
func (w coder) double(s *weights.Scope, x *onnx.Value, out int) *onnx.Value {
	y := w.UpsampleConv(s.At("conv"), x, out)
	return w.Add(y, w.PixelShuffle(w.repeat(x, 4*out/x.Dim(1).N), 2))
}

// repeat repeats each channel the given number of times.
func (w coder) repeat(x *onnx.Value, times int) *onnx.Value {
	if times == 1 {
		return x
	}
	c := x.Dim(1).N
	y := w.Expand(w.Unsqueeze(x, 2), onnx.D(1), onnx.D(c), onnx.D(times), x.Dim(2), x.Dim(3))
	return w.Reshape(y, onnx.D(1), onnx.D(c*times), x.Dim(2), x.Dim(3))
}

// means returns the means of the given number of consecutive channels.
func (w coder) means(x *onnx.Value, count int) *onnx.Value {
	if count == 1 {
		return x
	}
	y := w.Reshape(x, onnx.D(1), onnx.D(x.Dim(1).N/count), onnx.D(count), x.Dim(2), x.Dim(3))
	return w.ReduceMean(y, false, 2)
}

// attention is linear attention over all places, of the unchanged channels and of sums over five rows and columns. It computes in
// float32. Upstream: SanaMultiscaleLinearAttention.
func (w coder) attention(s *weights.Scope, x *onnx.Value) *onnx.Value {
	const head, kernel = 32, 5
	c := x.Dim(1).N
	rows := w.Transpose(x, 0, 2, 3, 1)
	all := w.Concat(3, w.Linear(s.At("to_q"), rows, c), w.Linear(s.At("to_k"), rows, c), w.Linear(s.At("to_v"), rows, c))
	all = w.Transpose(all, 0, 3, 1, 2)
	m := s.At("to_qkv_multiscale").Index(0)
	wide := w.ConvND(m.At("proj_in"), all, 3*c, []int{kernel, kernel}, 3*c, onnx.Same(kernel, kernel))
	wide = w.ConvND(m.At("proj_out"), wide, 3*c, []int{1, 1}, 3*c/head, onnx.WindowND{})
	both := w.Cast(w.Concat(1, all, wide), dtype.F32)
	places := x.Dim(2).Times(x.Dim(3))
	both = w.Reshape(both, onnx.D(1), onnx.D(2*c/head), onnx.D(3*head), places)
	parts := w.Split(both, 2, head, head, head)
	apart := func(x *onnx.Value) *onnx.Value { return w.Transpose(x, 0, 1, 3, 2) }
	y := linearAttention(w.Builder, w.Relu(apart(parts[0])), w.Relu(apart(parts[1])), apart(parts[2]))
	y = w.Reshape(apart(y), onnx.D(1), onnx.D(2*c), x.Dim(2), x.Dim(3))
	y = w.Linear(s.At("to_out"), w.Transpose(w.Cast(y, x.DType), 0, 2, 3, 1), c)
	return w.Add(w.norm(s.At("norm_out"), w.Transpose(y, 0, 3, 1, 2)), x)
}

// gated is a gated convolution with a shortcut. Upstream: GLUMBConv.
func (w coder) gated(s *weights.Scope, x *onnx.Value) *onnx.Value {
	const expand = 4
	c := x.Dim(1).N
	both := 2 * expand * c
	y := w.SiLU(w.Conv2d(s.At("conv_inverted"), x, both, 1, onnx.Window{Stride: 1}))
	parts := w.Split(w.ConvND(s.At("conv_depth"), y, both, []int{3, 3}, both, onnx.Same(3, 3)), 1, both/2, both/2)
	y = w.Conv2d(s.At("conv_point"), w.SwiGLU(parts[0], parts[1]), c, 1, onnx.Window{Stride: 1})
	return w.Add(x, w.norm(s.At("norm"), y))
}
