package models

import (
	"fmt"

	"comfygo/engine/dtype"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// TinyConfig describes a TAESD, a small stand-in for a VAE (https://github.com/madebyollin/taesd). Its pictures are in
// 0…1, its latents are those of the diffusion network. A file holds the encoder, the decoder or both.
type TinyConfig struct {
	// LatentChannels is the width of a latent pixel.
	LatentChannels int
	// Scale and Shift lead from a VAE's latents to the network's: (latent - Shift)*Scale.
	Scale, Shift float32
	// HasEncoder and HasDecoder say which halves the file holds.
	HasEncoder, HasDecoder bool
	// Video, when set, says that it is one of videos, with both halves.
	Video *VideoTiny
}

// The keys by which the halves are known: the first convolution that a block does not hold, and one inside a block.
const (
	tinyEncoderFirst, tinyEncoderBlock = "0.weight", "1.conv.0.weight"
	tinyDecoderFirst, tinyDecoderBlock = "1.weight", "3.conv.0.weight"
)

// detectTiny looks for a TAESD: both halves under their prefixes, or one half alone in a file of its own.
func (f *Found) detectTiny() error {
	if f.detectVideoTiny() {
		return nil
	}
	for _, p := range vaePrefixes {
		view := weights.Sub(f.Source, p)
		if f.setTiny(weights.Sub(view, "taesd_encoder."), weights.Sub(view, "taesd_decoder.")) {
			return readScale(view, f.Tiny)
		}
	}
	f.setTiny(f.Source, f.Source)
	return nil
}

// setTiny takes what halves there are.
func (f *Found) setTiny(encoder, decoder weights.Source) bool {
	cfg := TinyConfig{Scale: 1}
	if last, ok := encoder.Lookup("14.weight"); ok && isTiny(encoder, tinyEncoderFirst, tinyEncoderBlock) && len(last.Shape) == 4 {
		cfg.HasEncoder, cfg.LatentChannels = true, last.Shape[0]
	}
	if isTiny(decoder, tinyDecoderFirst, tinyDecoderBlock) {
		first, _ := decoder.Lookup(tinyDecoderFirst)
		cfg.HasDecoder, cfg.LatentChannels = true, first.Shape[1]
	}
	if !cfg.HasEncoder && !cfg.HasDecoder {
		return false
	}
	f.Tiny = &cfg
	f.tinyEncoder = func() *weights.Scope { return weights.NewScope(encoder) }
	f.tinyDecoder = func() *weights.Scope { return weights.NewScope(decoder) }
	return true
}

func isTiny(half weights.Source, first, block string) bool {
	a, ok := half.Lookup(first)
	b, found := half.Lookup(block)
	return ok && found && len(a.Shape) == 4 && len(b.Shape) == 4
}

// readScale reads the numbers that lead to the network's latents, where the file holds them.
func readScale(src weights.Source, cfg *TinyConfig) error {
	for name, to := range map[string]*float32{"vae_scale": &cfg.Scale, "vae_shift": &cfg.Shift} {
		e, ok := src.Lookup(name)
		if !ok {
			continue
		}
		v := make([]float32, e.Count())
		if err := weights.ToFloat32(v, e); err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		if len(v) != 1 {
			return fmt.Errorf("reading %s: it holds %d values, wanted one", name, len(v))
		}
		*to = v[0]
	}
	return nil
}

// tiny is half a TAESD being written. Its layers are numbered as in a torch Sequential, those without weights too.
type tiny struct {
	vae
	next int
}

// TinyDecoderGraph writes the decoder: input "z" [B,latent,H,W] float32, output "out" [B,3,8H,8W] float32 in about 0…1
// (upstream: comfy/taesd/taesd.py Decoder).
func TinyDecoderGraph(s *weights.Scope, t nn.Target) (*onnx.Graph, error) {
	return buildVAE("taesd decoder", s, t, func(v *vae) {
		d := &tiny{vae: *v}
		latent := 1
		if sh := s.Shape(tinyDecoderFirst); len(sh) == 4 {
			latent = sh[1]
		}
		z := d.Input("z", dtype.F32, onnx.Sym("B"), onnx.D(latent), onnx.Sym("H"), onnx.Sym("W"))
		third := d.Scalar(dtype.F32, 3)
		h := d.Cast(d.Mul(d.Tanh(d.Div(z, third)), third), d.Target.Compute)
		d.next = 1 // the first layer is the bounded z
		h = d.Relu(d.conv(s, h))
		d.next++
		for range 3 {
			h = d.blocks(s, h, 3)
			d.next++ // the upsampling
			h = d.UpsampleConv(s.Index(d.next), h, h.Dim(1).N)
			d.next++
		}
		h = d.blocks(s, h, 1)
		d.Output("out", d.Cast(d.conv(s, h), dtype.F32))
	})
}

// TinyEncoderGraph writes the encoder: input "pixels" [B,3,H,W] float32 in 0…1, output "moments" [B,latent,H/8,W/8]
// float32 (upstream: comfy/taesd/taesd.py Encoder).
func TinyEncoderGraph(s *weights.Scope, t nn.Target) (*onnx.Graph, error) {
	return buildVAE("taesd encoder", s, t, func(v *vae) {
		e := &tiny{vae: *v}
		h := e.Cast(e.Input("pixels", dtype.F32, onnx.Sym("B"), onnx.D(3), onnx.Sym("H"), onnx.Sym("W")), e.Target.Compute)
		h = e.blocks(s, e.conv(s, h), 1)
		for range 3 {
			h = e.Conv2d(s.Index(e.next), h, h.Dim(1).N, 3, onnx.Window{Stride: 2, Pads: [4]int{1, 1, 1, 1}})
			e.next++
			h = e.blocks(s, h, 3)
		}
		e.Output("moments", e.Cast(e.conv(s, h), dtype.F32))
	})
}

// conv is the next layer, a 3x3 convolution that keeps the size.
func (t *tiny) conv(s *weights.Scope, h *onnx.Value) *onnx.Value {
	t.next++
	return t.conv3(s.Index(t.next-1), h)
}

// blocks are the next n layers: three convolutions around a skip connection, in some files on top of a pooled sum.
func (t *tiny) blocks(s *weights.Scope, h *onnx.Value, n int) *onnx.Value {
	for range n {
		b := s.Index(t.next)
		t.next++
		if b.Has("pool.0.weight") {
			h = t.Add(h, t.pool(b.At("pool"), h))
		}
		c := b.At("conv")
		y := t.Relu(t.conv3(c.Index(0), h))
		y = t.Relu(t.conv3(c.Index(2), y))
		skip := h
		if sh := b.Shape("skip.weight"); len(sh) == 4 {
			skip = t.Conv2d(b.At("skip"), h, sh[0], 1, onnx.Window{Stride: 1})
		}
		h = t.Relu(t.Conv2dAdd(c.Index(4), y, skip, skip.Dim(1).N, 3, onnx.Pad1()))
	}
	return h
}

// pool is a normalised detour through four times the channels, which lets a block see the whole picture's range.
func (t *tiny) pool(s *weights.Scope, h *onnx.Value) *onnx.Value {
	c := h.Dim(1).N
	wide := 4 * c
	if sh := s.Shape("0.weight"); len(sh) == 4 {
		wide = sh[0]
	}
	y := t.Conv2d(s.At("0"), h, wide, 1, onnx.Window{Stride: 1})
	y = t.Relu(t.GroupNorm(s.At("1"), y, 4, 1e-5))
	return t.Conv2d(s.At("3"), y, c, 1, onnx.Window{Stride: 1})
}
