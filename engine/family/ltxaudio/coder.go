package ltxaudio

import (
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

const (
	normEpsilon = 1e-6
	normGroups  = 32
)

// coder writes half an autoencoder. Tokens are [1,C,time,frequency].
type coder struct {
	*nn.Builder
	*coderConfig
	axis string
}

// window is the geometry of a convolution with an odd kernel that keeps the size. Upstream: CausalConv2d.
func (c *coder) window(kernel int) onnx.WindowND {
	w := onnx.Same(kernel, kernel)
	w.Before, w.After = []int{kernel / 2, kernel / 2}, []int{kernel / 2, kernel / 2}
	switch c.axis {
	case axisTime:
		w.Before[0], w.After[0] = kernel-1, 0
	case axisFrequency, axisCompatible:
		w.Before[1], w.After[1] = kernel-1, 0
	}
	return w
}

func (c *coder) conv(s *weights.Scope, x *onnx.Value, out, kernel int) *onnx.Value {
	return c.ConvND(s.At("conv"), x, out, []int{kernel, kernel}, 1, c.window(kernel))
}

func (c *coder) norm(s *weights.Scope, x *onnx.Value) *onnx.Value {
	if c.Norm == normGroup {
		return c.GroupNorm(s, x, normGroups, normEpsilon)
	}
	return c.Div(x, c.Sqrt(c.Add(c.ReduceMean(c.Mul(x, x), true, 1), c.Const(normEpsilon))))
}

// residual is two convolutions around a shortcut. Upstream: ResnetBlock.
func (c *coder) residual(s *weights.Scope, x *onnx.Value, out int) *onnx.Value {
	y := c.conv(s.At("conv1"), c.SiLU(c.norm(s.At("norm1"), x)), out, 3)
	y = c.conv(s.At("conv2"), c.SiLU(c.norm(s.At("norm2"), y)), out, 3)
	if x.Dim(1).N != out {
		x = c.conv(s.At("nin_shortcut"), x, out, 1)
	}
	return c.Add(x, y)
}

// attention is attention of all places to each other in one head. Upstream: AttnBlock.
func (c *coder) attention(s *weights.Scope, x *onnx.Value) *onnx.Value {
	if c.Kind != attentionVanilla {
		return x
	}
	n := x.Dim(1).N
	y := c.norm(s.At("norm"), x)
	tokens := func(name string) *onnx.Value {
		return c.ToTokens(c.ConvND(s.At(name), y, n, []int{1, 1}, 1, onnx.WindowND{}))
	}
	y = c.Attend(tokens("q"), tokens("k"), tokens("v"), onnx.Attention{Heads: 1, Scale: float32(1 / math.Sqrt(float64(n)))})
	return c.Add(x, c.ConvND(s.At("proj_out"), c.FromTokens(y, x), n, []int{1, 1}, 1, onnx.WindowND{}))
}

func (c *coder) middle(s *weights.Scope, x *onnx.Value) *onnx.Value {
	n := x.Dim(1).N
	x = c.residual(s.At("block_1"), x, n)
	if on(c.Middle) {
		x = c.attention(s.At("attn_1"), x)
	}
	return c.residual(s.At("block_2"), x, n)
}

// attends reports whether blocks at a resolution attend.
func (c *coderConfig) attends(resolution int) bool {
	for _, r := range c.Attention {
		if r == resolution {
			return true
		}
	}
	return false
}

// local reports whether no place depends on one that is far away in time.
func (c *coderConfig) local() bool {
	return c.axis(axisFrequency) == axisTime && (c.Kind != attentionVanilla || !on(c.Middle) && len(c.Attention) == 0)
}

// levels is the number of times the size is halved.
func (c *coderConfig) levels() int { return len(c.Factors) - 1 }

// pace is the number of frames of a spectrogram per latent value.
func (c *coderConfig) pace() int { return 1 << c.levels() }

// reach limits the number of earlier latent values that a value depends on: each convolution reads two earlier ones at its
// own rate.
func (c *coderConfig) reach() int {
	const edge, middle, each = 4, 8, 4
	n := edge + middle
	for level := range c.Factors {
		frames := each*(c.Blocks+1) + edge
		n += (frames + (1 << level) - 1) >> level
	}
	return n
}

// writeEncoder writes the encoder: input mel [1,channels,M,bands], output out [1,C,L,F], the means of the latent.
func writeEncoder(b *nn.Builder, s *weights.Scope, cfg *coderConfig) {
	c := &coder{Builder: b, coderConfig: cfg, axis: cfg.axis(axisFrequency)}
	mel := b.Input("mel", dtype.F32, onnx.D(1), onnx.D(cfg.In), onnx.Sym("M"), onnx.D(cfg.Bands))
	x := c.conv(s.At("conv_in"), b.Cast(mel, b.Target.Compute), cfg.Width, 3)
	resolution := cfg.Resolution
	for level, factor := range cfg.Factors {
		at := s.At("down").Index(level)
		for i := range cfg.Blocks {
			x = c.residual(at.At("block").Index(i), x, cfg.Width*factor)
			if cfg.attends(resolution) {
				x = c.attention(at.At("attn").Index(i), x)
			}
		}
		if level == cfg.levels() {
			break
		}
		x = c.shrink(at.At("downsample"), x)
		resolution /= 2
	}
	x = c.SiLU(c.norm(s.At("norm_out"), c.middle(s.At("mid"), x)))
	out := cfg.Latent
	if on(cfg.Double) {
		out *= 2
	}
	x = c.conv(s.At("conv_out"), x, out, 3)
	b.Output("out", b.Cast(b.Slice(x, 1, 0, cfg.Latent), dtype.F32))
}

// shrink halves both axes. Upstream: Downsample.
func (c *coder) shrink(s *weights.Scope, x *onnx.Value) *onnx.Value {
	if !on(c.Convolved) {
		return c.AveragePool(x, []int{2, 2}, onnx.WindowND{Stride: []int{2, 2}})
	}
	w := onnx.WindowND{Stride: []int{2, 2}, Before: []int{0, 0}, After: []int{1, 1}}
	switch c.axis {
	case axisTime:
		w.Before, w.After = []int{2, 0}, []int{0, 1}
	case axisFrequency:
		w.Before, w.After = []int{0, 2}, []int{1, 0}
	case axisCompatible:
		w.Before, w.After = []int{0, 1}, []int{1, 0}
	}
	return c.ConvND(s.At("conv"), x, x.Dim(1).N, []int{3, 3}, 1, w)
}

// writeDecoder writes the decoder: input z [1,C,L,F], output out [1,channels,·,·], a spectrogram.
func writeDecoder(b *nn.Builder, s *weights.Scope, cfg *coderConfig, bins int) {
	c := &coder{Builder: b, coderConfig: cfg, axis: cfg.axis(axisFrequency)}
	z := b.Input("z", dtype.F32, onnx.D(1), onnx.D(cfg.Latent), onnx.Sym("L"), onnx.D(bins))
	last := len(cfg.Factors) - 1
	x := c.conv(s.At("conv_in"), b.Cast(z, b.Target.Compute), cfg.Width*cfg.Factors[last], 3)
	x = c.middle(s.At("mid"), x)
	resolution := cfg.Resolution >> last
	for level := last; level >= 0; level-- {
		at := s.At("up").Index(level)
		for i := range cfg.Blocks + 1 {
			x = c.residual(at.At("block").Index(i), x, cfg.Width*cfg.Factors[level])
			if cfg.attends(resolution) {
				x = c.attention(at.At("attn").Index(i), x)
			}
		}
		if level > 0 {
			x = c.grow(at.At("upsample"), x)
			resolution *= 2
		}
	}
	x = c.conv(s.At("conv_out"), c.SiLU(c.norm(s.At("norm_out"), x)), cfg.Out, 3)
	if cfg.Tanh {
		x = b.Tanh(x)
	}
	b.Output("out", b.Cast(x, dtype.F32))
}

// grow doubles both axes; the first of two equal places of a causal axis is cut off. Upstream: Upsample.
func (c *coder) grow(s *weights.Scope, x *onnx.Value) *onnx.Value {
	x = c.UpsampleNearest(x, 2)
	if !on(c.Convolved) {
		return x
	}
	x = c.conv(s.At("conv"), x, x.Dim(1).N, 3)
	switch c.axis {
	case axisTime:
		return c.SliceDims(x, 2, onnx.D(1), x.Dim(2))
	case axisFrequency:
		return c.SliceDims(x, 3, onnx.D(1), x.Dim(3))
	}
	return x
}
