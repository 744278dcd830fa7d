package wan

import (
	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// coder is half a VAE being written. Values are videos [1,C,T,H,W]. Upstream takes the frames in groups and keeps what the
// convolutions need of the group before; all frames at once give the same. Upstream: ldm/wan/vae.py.
type coder struct{ *nn.Builder }

// decoderGraph writes the decoder for a latent of n frames: input "z" [1,C,n,h,w] float32, output "out" [4n-3,C,8h,8w].
func decoderGraph(src weights.Source, channels, n int, spec family.Spec) (*onnx.Graph, error) {
	return spec.Build("wan vae decoder", src, func(b *nn.Builder, s *weights.Scope) {
		c := coder{b}
		z := c.Input("z", dtype.F32, onnx.D(1), onnx.D(channels), onnx.D(n), onnx.Sym("h"), onnx.Sym("w"))
		h := c.Conv3d(s.At("conv2"), c.Cast(z, c.Target.Compute), channels, [3]int{1, 1, 1}, onnx.WindowND{})
		d := s.At("decoder")
		h = c.middle(d.At("middle"), c.causal(d.At("conv1"), h))
		for i := range d.Count("upsamples") {
			h = c.layer(d.At("upsamples").Index(i), h)
		}
		h = c.head(d.At("head"), h)
		c.Output("out", c.Cast(c.frames(h), dtype.F32))
	})
}

// encoderGraph writes the encoder for n frames, 4k+1: input "pixels" [n,C,H,W] float32, output "moments" [1,C,k+1,H/8,W/8],
// the mean of the posterior.
func encoderGraph(src weights.Source, image, channels, n int, spec family.Spec) (*onnx.Graph, error) {
	return spec.Build("wan vae encoder", src, func(b *nn.Builder, s *weights.Scope) {
		c := coder{b}
		pixels := c.Cast(c.Input("pixels", dtype.F32, onnx.D(n), onnx.D(image), onnx.Sym("H"), onnx.Sym("W")), c.Target.Compute)
		e := s.At("encoder")
		h := c.causal(e.At("conv1"), c.video(pixels))
		for i := range e.Count("downsamples") {
			h = c.layer(e.At("downsamples").Index(i), h)
		}
		h = c.head(e.At("head"), c.middle(e.At("middle"), h))
		h = c.Conv3d(s.At("conv1"), h, 2*channels, [3]int{1, 1, 1}, onnx.WindowND{})
		c.Output("moments", c.Cast(c.Slice(h, 1, 0, channels), dtype.F32))
	})
}

// frames turns a video [1,C,T,H,W] into images [T,C,H,W], video the other way round.
func (c coder) frames(x *onnx.Value) *onnx.Value {
	return c.Transpose(c.Squeeze(x, 0), 1, 0, 2, 3)
}

func (c coder) video(x *onnx.Value) *onnx.Value {
	return c.Unsqueeze(c.Transpose(x, 1, 0, 2, 3), 0)
}

// outOf is the number of channels that a convolution makes.
func outOf(s *weights.Scope) int {
	if sh := s.Shape("weight"); len(sh) > 0 {
		return sh[0]
	}
	return 1
}

// causal is a 3x3x3 convolution in which a frame sees only those before it.
func (c coder) causal(s *weights.Scope, x *onnx.Value) *onnx.Value {
	return c.CausalConv3d(s, x, outOf(s), [3]int{3, 3, 3}, onnx.Zeros)
}

// layer is a residual block or a change of size.
func (c coder) layer(s *weights.Scope, x *onnx.Value) *onnx.Value {
	switch {
	case s.Has("residual.0.gamma"):
		return c.residual(s, x)
	case s.Has("to_qkv.weight"):
		return c.attention(s, x)
	}
	resample := s.At("resample.1")
	if outOf(resample) < x.Dim(1).N { // a decoder's level has half the channels
		if s.Has("time_conv.weight") {
			x = c.slower(s.At("time_conv"), x)
		}
		return c.video(c.UpsampleConv(resample, c.frames(x), outOf(resample)))
	}
	half := c.Conv2d(resample, c.frames(x), outOf(resample), 3, onnx.Window{Stride: 2, Pads: [4]int{0, 0, 1, 1}})
	x = c.video(half)
	if s.Has("time_conv.weight") {
		return c.faster(s.At("time_conv"), x)
	}
	return x
}

// slower makes two frames of each but the first one.
func (c coder) slower(s *weights.Scope, x *onnx.Value) *onnx.Value {
	n, channels := x.Dim(2).N, x.Dim(1)
	if n == 1 {
		return x
	}
	rest := c.CausalConv3d(s, c.Slice(x, 2, 1, n), outOf(s), [3]int{3, 1, 1}, onnx.Zeros)
	// The channels of the two frames follow each other: [1,2,C,T,H,W] becomes [1,C,T,2,H,W].
	apart := c.Reshape(rest, onnx.D(2), channels, onnx.D(n-1), x.Dim(3), x.Dim(4))
	pairs := c.Reshape(c.Transpose(apart, 1, 2, 0, 3, 4), onnx.D(1), channels, onnx.D(2*(n-1)), x.Dim(3), x.Dim(4))
	return c.Concat(2, c.Slice(x, 2, 0, 1), pairs)
}

// faster makes one frame of two, but for the first one.
func (c coder) faster(s *weights.Scope, x *onnx.Value) *onnx.Value {
	if x.Dim(2).N == 1 {
		return x
	}
	rest := c.Conv3d(s, x, outOf(s), [3]int{3, 1, 1}, onnx.WindowND{Stride: []int{2, 1, 1}})
	return c.Concat(2, c.Slice(x, 2, 0, 1), rest)
}

// residual is two convolutions around a shortcut.
func (c coder) residual(s *weights.Scope, x *onnx.Value) *onnx.Value {
	r := s.At("residual")
	y := c.causal(r.At("2"), c.SiLU(c.ChannelRMSNorm(r.At("0"), x, "gamma")))
	y = c.causal(r.At("6"), c.SiLU(c.ChannelRMSNorm(r.At("3"), y, "gamma")))
	if s.Has("shortcut.weight") {
		x = c.Conv3d(s.At("shortcut"), x, outOf(s.At("shortcut")), [3]int{1, 1, 1}, onnx.WindowND{})
	}
	return c.Add(x, y)
}

// attention lets the pixels of each frame see each other, in one head.
func (c coder) attention(s *weights.Scope, x *onnx.Value) *onnx.Value {
	images := c.frames(x)
	channels := images.Dim(1).N
	qkv := c.Conv2d(s.At("to_qkv"), c.ChannelRMSNorm(s.At("norm"), images, "gamma"), 3*channels, 1, onnx.Window{Stride: 1})
	parts := c.Split(c.ToTokens(qkv), -1, channels, channels, channels)
	y := c.FromTokens(c.Attention(parts[0], parts[1], parts[2], nil, 1), images)
	return c.Add(x, c.video(c.Conv2d(s.At("proj"), y, channels, 1, onnx.Window{Stride: 1})))
}

func (c coder) middle(s *weights.Scope, x *onnx.Value) *onnx.Value {
	return c.residual(s.At("2"), c.attention(s.At("1"), c.residual(s.At("0"), x)))
}

func (c coder) head(s *weights.Scope, x *onnx.Value) *onnx.Value {
	return c.causal(s.At("2"), c.SiLU(c.ChannelRMSNorm(s.At("0"), x, "gamma")))
}
