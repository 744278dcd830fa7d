package kl

import (
	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// Writer writes the layers of an encoder or decoder of this kind.
type Writer struct{ *nn.Builder }

// DecoderGraph writes the decoder: input "z" [B,latent,H,W] float32, output "out" [B,3,8H,8W] float32 in about -1…1
// (upstream: ldm/modules/diffusionmodules/model.py Decoder).
func DecoderGraph(src weights.Source, cfg Config, spec family.Spec) (*onnx.Graph, error) {
	return spec.Build("vae decoder", src, func(b *nn.Builder, s *weights.Scope) {
		v := &Writer{b}
		v.Coarse = true
		h := v.Cast(v.Input("z", dtype.F32, onnx.Sym("B"), onnx.D(cfg.LatentChannels), onnx.Sym("H"), onnx.Sym("W")), v.Target.Compute)
		if sh := s.Shape("post_quant_conv.weight"); len(sh) == 4 {
			h = v.Conv2d(s.At("post_quant_conv"), h, sh[0], 1, onnx.Window{Stride: 1})
		}
		d := s.At("decoder")
		h = v.Conv3(d.At("conv_in"), h)
		h = v.middle(d.At("mid"), h)
		for i := d.Count("up") - 1; i >= 0; i-- {
			up := d.At("up").Index(i)
			h = v.blocks(up, h)
			if up.Has("upsample.conv.weight") {
				h = v.UpsampleConv(up.At("upsample", "conv"), h, h.Dim(1).N)
			}
		}
		h = v.GroupNormSiLU(d.At("norm_out"), h, 32, 1e-6)
		v.Output("out", v.Cast(v.Conv3(d.At("conv_out"), h), dtype.F32))
	})
}

// EncoderGraph writes the encoder: input "pixels" [B,3,H,W] float32 in -1…1, output "moments" [B,2·latent,H/8,W/8]
// float32, the mean and the log variance of the posterior.
func EncoderGraph(src weights.Source, spec family.Spec) (*onnx.Graph, error) {
	return spec.Build("vae encoder", src, func(b *nn.Builder, s *weights.Scope) {
		v := &Writer{b}
		e := s.At("encoder")
		in := 3
		if sh := e.Shape("conv_in.weight"); len(sh) == 4 {
			in = sh[1]
		}
		h := v.Cast(v.Input("pixels", dtype.F32, onnx.Sym("B"), onnx.D(in), onnx.Sym("H"), onnx.Sym("W")), v.Target.Compute)
		h = v.Conv3(e.At("conv_in"), h)
		for i := range e.Count("down") {
			down := e.At("down").Index(i)
			h = v.blocks(down, h)
			if down.Has("downsample.conv.weight") {
				h = v.Conv2d(down.At("downsample", "conv"), h, h.Dim(1).N, 3, onnx.Window{Stride: 2, Pads: [4]int{0, 0, 1, 1}})
			}
		}
		h = v.middle(e.At("mid"), h)
		h = v.GroupNormSiLU(e.At("norm_out"), h, 32, 1e-6)
		h = v.Conv3(e.At("conv_out"), h)
		if sh := s.Shape("quant_conv.weight"); len(sh) == 4 {
			h = v.Conv2d(s.At("quant_conv"), h, sh[0], 1, onnx.Window{Stride: 1})
		}
		v.Output("moments", v.Cast(h, dtype.F32))
	})
}

// Conv3 is a 3x3 convolution that keeps the size, with the width of its weight.
func (v *Writer) Conv3(s *weights.Scope, x *onnx.Value) *onnx.Value {
	out := x.Dim(1).N
	if sh := s.Shape("weight"); len(sh) == 4 {
		out = sh[0]
	}
	return v.Conv2d(s, x, out, 3, onnx.Pad1())
}

// blocks writes the residual blocks of one level, each followed by its attention where the level has any.
func (v *Writer) blocks(s *weights.Scope, h *onnx.Value) *onnx.Value {
	for i := range s.Count("block") {
		h = v.Resnet(s.At("block").Index(i), h)
		if a := s.At("attn").Index(i); a.Has("norm.weight") {
			h = v.SelfAttention(a, h)
		}
	}
	return h
}

func (v *Writer) middle(s *weights.Scope, h *onnx.Value) *onnx.Value {
	h = v.Resnet(s.At("block_1"), h)
	h = v.SelfAttention(s.At("attn_1"), h)
	return v.Resnet(s.At("block_2"), h)
}

// Resnet is a residual block of two convolutions.
func (v *Writer) Resnet(s *weights.Scope, x *onnx.Value) *onnx.Value {
	h := v.Conv3(s.At("conv1"), v.GroupNormSiLU(s.At("norm1"), x, 32, 1e-6))
	h = v.GroupNormSiLU(s.At("norm2"), h, 32, 1e-6)
	out := h.Dim(1).N
	switch {
	case s.Has("nin_shortcut.weight"):
		x = v.Conv2d(s.At("nin_shortcut"), x, out, 1, onnx.Window{Stride: 1})
	case s.Has("conv_shortcut.weight"):
		x = v.Conv2d(s.At("conv_shortcut"), x, out, 3, onnx.Pad1())
	}
	return v.Conv2dAdd(s.At("conv2"), h, x, out, 3, onnx.Pad1())
}

// SelfAttention is single-head self-attention over the latent's positions.
func (v *Writer) SelfAttention(s *weights.Scope, x *onnx.Value) *onnx.Value {
	c := x.Dim(1).N
	n := v.ToTokens(v.GroupNorm(s.At("norm"), x, 32, 1e-6))
	a := v.Attention(v.Linear(s.At("q"), n, c), v.Linear(s.At("k"), n, c), v.Linear(s.At("v"), n, c), nil, 1)
	return v.Add(v.FromTokens(v.Linear(s.At("proj_out"), a, c), x), x)
}
