package taesd

import (
	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/kl"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// Writer is half a TAESD being written. Its layers are numbered as in a torch Sequential, those without weights too.
type Writer struct {
	kl.Writer
	// Next is the number of the next layer.
	Next int
}

// DecoderGraph writes the decoder: input "z" [B,latent,H,W] float32, output "out" [B,3,8H,8W] float32 in about 0…1
// (upstream: comfy/taesd/taesd.py Decoder).
func DecoderGraph(src weights.Source, spec family.Spec) (*onnx.Graph, error) {
	return spec.Build("taesd decoder", src, func(b *nn.Builder, s *weights.Scope) {
		d := &Writer{Writer: kl.Writer{Builder: b}}
		latent := 1
		if sh := s.Shape(decoderFirst); len(sh) == 4 {
			latent = sh[1]
		}
		z := d.Input("z", dtype.F32, onnx.Sym("B"), onnx.D(latent), onnx.Sym("H"), onnx.Sym("W"))
		third := d.Scalar(dtype.F32, 3)
		h := d.Cast(d.Mul(d.Tanh(d.Div(z, third)), third), d.Target.Compute)
		d.Next = 1 // the first layer is the bounded z
		h = d.Relu(d.Conv(s, h))
		d.Next++
		for range 3 {
			h = d.blocks(s, h, 3)
			d.Next++ // the upsampling
			h = d.UpsampleConv(s.Index(d.Next), h, h.Dim(1).N)
			d.Next++
		}
		h = d.blocks(s, h, 1)
		d.Output("out", d.Cast(d.Conv(s, h), dtype.F32))
	})
}

// EncoderGraph writes the encoder: input "pixels" [B,3,H,W] float32 in 0…1, output "moments" [B,latent,H/8,W/8]
// float32 (upstream: comfy/taesd/taesd.py Encoder).
func EncoderGraph(src weights.Source, spec family.Spec) (*onnx.Graph, error) {
	return spec.Build("taesd encoder", src, func(b *nn.Builder, s *weights.Scope) {
		e := &Writer{Writer: kl.Writer{Builder: b}}
		h := e.Cast(e.Input("pixels", dtype.F32, onnx.Sym("B"), onnx.D(3), onnx.Sym("H"), onnx.Sym("W")), e.Target.Compute)
		h = e.blocks(s, e.Conv(s, h), 1)
		for range 3 {
			h = e.Conv2d(s.Index(e.Next), h, h.Dim(1).N, 3, onnx.Window{Stride: 2, Pads: [4]int{1, 1, 1, 1}})
			e.Next++
			h = e.blocks(s, h, 3)
		}
		e.Output("moments", e.Cast(e.Conv(s, h), dtype.F32))
	})
}

// Conv is the next layer, a 3x3 convolution that keeps the size.
func (t *Writer) Conv(s *weights.Scope, h *onnx.Value) *onnx.Value {
	t.Next++
	return t.Conv3(s.Index(t.Next-1), h)
}

// blocks are the next n layers: three convolutions around a skip connection, in some files on top of a pooled sum.
func (t *Writer) blocks(s *weights.Scope, h *onnx.Value, n int) *onnx.Value {
	for range n {
		b := s.Index(t.Next)
		t.Next++
		if b.Has("pool.0.weight") {
			h = t.Add(h, t.pool(b.At("pool"), h))
		}
		c := b.At("conv")
		y := t.Relu(t.Conv3(c.Index(0), h))
		y = t.Relu(t.Conv3(c.Index(2), y))
		skip := h
		if sh := b.Shape("skip.weight"); len(sh) == 4 {
			skip = t.Conv2d(b.At("skip"), h, sh[0], 1, onnx.Window{Stride: 1})
		}
		h = t.Relu(t.Conv2dAdd(c.Index(4), y, skip, skip.Dim(1).N, 3, onnx.Pad1()))
	}
	return h
}

// pool is a normalised detour through four times the channels, which gives a block the value range of the whole image.
func (t *Writer) pool(s *weights.Scope, h *onnx.Value) *onnx.Value {
	c := h.Dim(1).N
	wide := 4 * c
	if sh := s.Shape("0.weight"); len(sh) == 4 {
		wide = sh[0]
	}
	y := t.Conv2d(s.At("0"), h, wide, 1, onnx.Window{Stride: 1})
	y = t.Relu(t.GroupNorm(s.At("1"), y, 4, 1e-5))
	return t.Conv2d(s.At("3"), y, c, 1, onnx.Window{Stride: 1})
}
