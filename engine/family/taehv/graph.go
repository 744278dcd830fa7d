package taehv

import (
	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/kl"
	"comfygo/engine/family/taesd"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// writer is half a TAEHV being written. Frames take the place of the batch.
type writer struct {
	taesd.Writer
	leaky bool
}

func (t *writer) act(x *onnx.Value) *onnx.Value {
	if t.leaky {
		return t.LeakyRelu(x, 0.2)
	}
	return t.Relu(x)
}

// DecoderGraph writes the decoder for a number of frames: input "z" [frames,latent,H,W] float32, output "out"
// [frames*grow,3*patch²,8H,8W] float32 (upstream: comfy/taesd/taehv.py TAEHV.decoder).
func DecoderGraph(src weights.Source, c Config, frames int, spec family.Spec) (*onnx.Graph, error) {
	return spec.Build("taehv decoder", src, func(b *nn.Builder, s *weights.Scope) {
		d := &writer{Writer: taesd.Writer{Writer: kl.Writer{Builder: b}}, leaky: c.Leaky}
		z := d.Input("z", dtype.F32, onnx.D(frames), onnx.D(c.LatentChannels), onnx.Sym("H"), onnx.Sym("W"))
		third := d.Scalar(dtype.F32, 3)
		h := d.Cast(d.Mul(d.Tanh(d.Div(z, third)), third), d.Target.Compute)
		d.Next = 1 // the first layer is the bounded z
		h = d.act(d.Conv(s, h))
		d.Next++
		for range 3 {
			h = d.memories(s, h, 3)
			d.Next++ // the upsampling, which is the same after the growth
			h = d.grow(s, h)
			h = d.UpsampleConv(s.Index(d.Next), h, outOf(s.Index(d.Next), h))
			d.Next++
		}
		d.Next++
		h = d.Conv(s, d.act(h))
		d.Output("out", d.Cast(h, dtype.F32))
	})
}

// EncoderGraph writes the encoder for a number of frames, which the shrinking must divide: input "pixels"
// [frames,3*patch²,H,W] float32, output "moments" [frames/shrink,latent,H/8,W/8] float32.
func EncoderGraph(src weights.Source, c Config, frames int, spec family.Spec) (*onnx.Graph, error) {
	return spec.Build("taehv encoder", src, func(b *nn.Builder, s *weights.Scope) {
		e := &writer{Writer: taesd.Writer{Writer: kl.Writer{Builder: b}}, leaky: c.Leaky}
		h := e.Cast(e.Input("pixels", dtype.F32, onnx.D(frames), onnx.D(3*c.Patch*c.Patch), onnx.Sym("H"), onnx.Sym("W")), e.Target.Compute)
		h = e.act(e.Conv(s, h))
		e.Next++
		for range 3 {
			h = e.shrink(s, h)
			h = e.Conv2d(s.Index(e.Next), h, outOf(s.Index(e.Next), h), 3, onnx.Window{Stride: 2, Pads: [4]int{1, 1, 1, 1}})
			e.Next++
			h = e.memories(s, h, 3)
		}
		e.Output("moments", e.Cast(e.Conv(s, h), dtype.F32))
	})
}

// outOf is the number of channels that a convolution makes.
func outOf(s *weights.Scope, x *onnx.Value) int {
	if sh := s.Shape("weight"); len(sh) == 4 {
		return sh[0]
	}
	return x.Dim(1).N
}

// memories are the next n layers: three convolutions of each frame and the one before it, around a skip connection.
func (t *writer) memories(s *weights.Scope, h *onnx.Value, n int) *onnx.Value {
	for range n {
		b := s.Index(t.Next)
		t.Next++
		past := t.Mul(t.Slice(h, 0, 0, 1), t.Const(0)) // before the first frame there is nothing
		if frames := h.Dim(0).N; frames > 1 {
			past = t.Concat(0, past, t.Slice(h, 0, 0, frames-1))
		}
		c := b.At("conv")
		y := t.act(t.Conv3(c.Index(0), t.Concat(1, h, past)))
		y = t.act(t.Conv3(c.Index(2), y))
		skip := h
		if sh := b.Shape("skip.weight"); len(sh) == 4 {
			skip = t.Conv2d(b.At("skip"), h, sh[0], 1, onnx.Window{Stride: 1})
		}
		h = t.act(t.Conv2dAdd(c.Index(4), y, skip, skip.Dim(1).N, 3, onnx.Pad1()))
	}
	return h
}

// grow is the next layer: each frame becomes several.
func (t *writer) grow(s *weights.Scope, h *onnx.Value) *onnx.Value {
	c := s.Index(t.Next).At("conv")
	t.Next++
	channels := h.Dim(1).N
	y := t.Conv2d(c, h, outOf(c, h), 1, onnx.Window{Stride: 1})
	return t.regroup(y, h.Dim(0).N*y.Dim(1).N/channels, channels)
}

// shrink is the next layer: several frames become one.
func (t *writer) shrink(s *weights.Scope, h *onnx.Value) *onnx.Value {
	c := s.Index(t.Next).At("conv")
	t.Next++
	in, channels := h.Dim(1).N, h.Dim(1).N
	if sh := c.Shape("weight"); len(sh) == 4 {
		in = sh[1]
	}
	return t.Conv2d(c, t.regroup(h, h.Dim(0).N*channels/in, in), channels, 1, onnx.Window{Stride: 1})
}

// regroup shares out the channels of all frames over another number of frames.
func (t *writer) regroup(h *onnx.Value, frames, channels int) *onnx.Value {
	return t.Reshape(h, onnx.D(frames), onnx.D(channels), h.Dim(2), h.Dim(3))
}
