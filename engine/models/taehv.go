package models

import (
	"strconv"

	"comfygo/engine/dtype"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// VideoTiny describes a TAEHV, a small stand-in for the VAE of a video model (https://github.com/madebyollin/taehv). Its pictures
// are in 0…1.
type VideoTiny struct {
	// Patch is the side of the squares of pixels that its networks take for one.
	Patch int
	// Shrink and Grow are by how much each of the three levels of the encoder and the decoder changes the number of frames.
	Shrink, Grow [3]int
	// Leaky says that its activations let a fifth of what is below zero through.
	Leaky bool
}

// The places of the layers that change the number of frames, in a torch Sequential.
var (
	tinyPools = [3]int{2, 7, 12}
	tinyGrows = [3]int{7, 13, 19}
)

// detectVideoTiny looks for a TAEHV, whose two halves lie in one file.
func (f *Found) detectVideoTiny() bool {
	first, ok := f.Source.Lookup("decoder.1.weight")
	last, found := f.Source.Lookup("decoder.22.bias")
	if _, whole := f.Source.Lookup("encoder.17.weight"); !ok || !found || !whole || len(first.Shape) != 4 || len(last.Shape) != 1 {
		return false
	}
	video := &VideoTiny{Patch: 1}
	for video.Patch < 4 && 3*video.Patch*video.Patch < last.Shape[0] {
		video.Patch *= 2
	}
	encoder, decoder := weights.Sub(f.Source, "encoder."), weights.Sub(f.Source, "decoder.")
	for i := range 3 {
		video.Shrink[i] = ratioOf(encoder, tinyPools[i], 1)
		video.Grow[i] = ratioOf(decoder, tinyGrows[i], 0)
	}
	cfg := &TinyConfig{LatentChannels: first.Shape[1], Scale: 1, HasEncoder: true, HasDecoder: true, Video: video}
	video.Leaky = cfg.LatentChannels == 32 // that of HunyuanVideo 1.5
	if cfg.LatentChannels == 16 && first.DType == dtype.F16 {
		cfg.Scale = 0.476986 // that of HunyuanVideo; the others are stored wider and need none
	}
	if video.Leaky {
		cfg.Scale = 1.03682
	}
	f.Tiny = cfg
	f.tinyEncoder = func() *weights.Scope { return weights.NewScope(encoder) }
	f.tinyDecoder = func() *weights.Scope { return weights.NewScope(decoder) }
	return true
}

// ratioOf is the ratio of a 1x1 convolution's channels: that of the axis to the other one.
func ratioOf(half weights.Source, layer, axis int) int {
	e, ok := half.Lookup(strconv.Itoa(layer) + ".conv.weight")
	if !ok || len(e.Shape) != 4 || e.Shape[1-axis] == 0 {
		return 1
	}
	return max(1, e.Shape[axis]/e.Shape[1-axis])
}

// videoTiny is half a TAEHV being written. Frames take the place of the batch.
type videoTiny struct {
	tiny
	leaky bool
}

func (t *videoTiny) act(x *onnx.Value) *onnx.Value {
	if t.leaky {
		return t.LeakyRelu(x, 0.2)
	}
	return t.Relu(x)
}

// VideoTinyDecoderGraph writes the decoder for a number of frames: input "z" [frames,latent,H,W] float32, output "out"
// [frames*grow,3*patch²,8H,8W] float32 (upstream: comfy/taesd/taehv.py TAEHV.decoder).
func VideoTinyDecoderGraph(s *weights.Scope, c TinyConfig, frames int, t nn.Target) (*onnx.Graph, error) {
	return buildVAE("taehv decoder", s, t, func(v *vae) {
		d := &videoTiny{tiny: tiny{vae: *v}, leaky: c.Video.Leaky}
		z := d.Input("z", dtype.F32, onnx.D(frames), onnx.D(c.LatentChannels), onnx.Sym("H"), onnx.Sym("W"))
		third := d.Scalar(dtype.F32, 3)
		h := d.Cast(d.Mul(d.Tanh(d.Div(z, third)), third), d.Target.Compute)
		d.next = 1 // the first layer is the bounded z
		h = d.act(d.conv(s, h))
		d.next++
		for range 3 {
			h = d.memories(s, h, 3)
			d.next++ // the upsampling, which is the same after the growth
			h = d.grow(s, h)
			h = d.UpsampleConv(s.Index(d.next), h, outOf(s.Index(d.next), h))
			d.next++
		}
		d.next++
		h = d.conv(s, d.act(h))
		d.Output("out", d.Cast(h, dtype.F32))
	})
}

// VideoTinyEncoderGraph writes the encoder for a number of frames, which the shrinking must divide: input "pixels"
// [frames,3*patch²,H,W] float32, output "moments" [frames/shrink,latent,H/8,W/8] float32.
func VideoTinyEncoderGraph(s *weights.Scope, c TinyConfig, frames int, t nn.Target) (*onnx.Graph, error) {
	return buildVAE("taehv encoder", s, t, func(v *vae) {
		e := &videoTiny{tiny: tiny{vae: *v}, leaky: c.Video.Leaky}
		h := e.Cast(e.Input("pixels", dtype.F32, onnx.D(frames), onnx.D(3*c.Video.Patch*c.Video.Patch), onnx.Sym("H"), onnx.Sym("W")), e.Target.Compute)
		h = e.act(e.conv(s, h))
		e.next++
		for range 3 {
			h = e.shrink(s, h)
			h = e.Conv2d(s.Index(e.next), h, outOf(s.Index(e.next), h), 3, onnx.Window{Stride: 2, Pads: [4]int{1, 1, 1, 1}})
			e.next++
			h = e.memories(s, h, 3)
		}
		e.Output("moments", e.Cast(e.conv(s, h), dtype.F32))
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
func (t *videoTiny) memories(s *weights.Scope, h *onnx.Value, n int) *onnx.Value {
	for range n {
		b := s.Index(t.next)
		t.next++
		past := t.Mul(t.Slice(h, 0, 0, 1), t.Const(0)) // before the first frame there is nothing
		if frames := h.Dim(0).N; frames > 1 {
			past = t.Concat(0, past, t.Slice(h, 0, 0, frames-1))
		}
		c := b.At("conv")
		y := t.act(t.conv3(c.Index(0), t.Concat(1, h, past)))
		y = t.act(t.conv3(c.Index(2), y))
		skip := h
		if sh := b.Shape("skip.weight"); len(sh) == 4 {
			skip = t.Conv2d(b.At("skip"), h, sh[0], 1, onnx.Window{Stride: 1})
		}
		h = t.act(t.Conv2dAdd(c.Index(4), y, skip, skip.Dim(1).N, 3, onnx.Pad1()))
	}
	return h
}

// grow is the next layer: each frame becomes several.
func (t *videoTiny) grow(s *weights.Scope, h *onnx.Value) *onnx.Value {
	c := s.Index(t.next).At("conv")
	t.next++
	channels := h.Dim(1).N
	y := t.Conv2d(c, h, outOf(c, h), 1, onnx.Window{Stride: 1})
	return t.regroup(y, h.Dim(0).N*y.Dim(1).N/channels, channels)
}

// shrink is the next layer: several frames become one.
func (t *videoTiny) shrink(s *weights.Scope, h *onnx.Value) *onnx.Value {
	c := s.Index(t.next).At("conv")
	t.next++
	in, channels := h.Dim(1).N, h.Dim(1).N
	if sh := c.Shape("weight"); len(sh) == 4 {
		in = sh[1]
	}
	return t.Conv2d(c, t.regroup(h, h.Dim(0).N*channels/in, in), channels, 1, onnx.Window{Stride: 1})
}

// regroup shares out the channels of all frames over another number of frames.
func (t *videoTiny) regroup(h *onnx.Value, frames, channels int) *onnx.Value {
	return t.Reshape(h, onnx.D(frames), onnx.D(channels), h.Dim(2), h.Dim(3))
}
