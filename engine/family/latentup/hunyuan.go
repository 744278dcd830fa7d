package latentup

import (
	"context"
	"fmt"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(hunyuanKind{}) }

// hunyuanKind is the family of networks that improve enlarged latents of HunyuanVideo 1.5.
type hunyuanKind struct{}

// Name implements family.Family.
func (hunyuanKind) Name() string { return "HunyuanVideo 1.5 latent upscaler" }

// Rank implements family.Family.
func (hunyuanKind) Rank() int { return 10 }

// ReadLatentUpscaler implements family.LatentUpscaler. Upstream: hunyuan_video/upsampler.py SRModel3DV2, Upsampler.
func (hunyuanKind) ReadLatentUpscaler(src weights.Source) (family.LatentUpscaleNetwork, error) {
	s := weights.NewScope(src)
	m := &hunyuan{network: network{src: src, name: "hunyuan latent upscaler"}}
	first, last := "in_conv.conv.weight", "out_conv.conv.weight"
	switch {
	case s.Has("blocks.0.block.0.conv.weight"):
		m.blocks = s.Count("blocks")
	case s.Has("up.0.block.0.conv1.conv.weight"):
		first, last = "conv_in.conv.weight", "conv_out.conv.weight"
		for i := range s.Count("up") {
			shape := s.At("up").Index(i).Shape("block.0.conv1.conv.weight")
			if len(shape) != 5 {
				return nil, fmt.Errorf("its shapes make no upscale model: up.%d.block.0.conv1.conv.weight is %v", i, shape)
			}
			m.stages = append(m.stages, shape[0])
		}
	default:
		return nil, nil
	}
	in, out := s.Shape(first), s.Shape(last)
	if len(in) != 5 || len(out) != 5 || in[1] < 1 || len(m.stages) > 0 && in[0]%in[1] != 0 {
		return nil, fmt.Errorf("its shapes make no upscale model: %s is %v, %s %v", first, in, last, out)
	}
	m.hidden, m.channels, m.out = in[0], in[1], out[0]
	return m, nil
}

// hunyuan is a network that was read from a file: one of plain blocks, or one of stages with the given number of channels.
type hunyuan struct {
	network
	channels, hidden, out, blocks int
	stages                        []int
}

// Channels implements family.LatentUpscaleNetwork.
func (m *hunyuan) Channels() int { return m.channels }

// Upscale implements family.LatentUpscaleNetwork: the size stays unchanged.
func (m *hunyuan) Upscale(ctx context.Context, run family.Runner, z *tensor.Tensor) (*tensor.Tensor, error) {
	return m.run(ctx, run, z, m.write)
}

// conv is a convolution with a kernel of three in which a frame depends only on those before it; the borders are repeated. Upstream:
// VideoConv3d.
func conv(b *nn.Builder, s *weights.Scope, x *onnx.Value, out int) *onnx.Value {
	x = b.PadAxes(x, onnx.Edge, []int{0, 0, 2, 1, 1}, []int{0, 0, 0, 1, 1})
	return b.Conv3d(s.At("conv"), x, out, [3]int{3, 3, 3}, onnx.WindowND{})
}

func (m *hunyuan) write(b *nn.Builder, s *weights.Scope) {
	x := input(b, m.channels)
	if len(m.stages) == 0 {
		y := conv(b, s.At("in_conv"), x, m.hidden)
		for i := range m.blocks {
			at := s.At("blocks").Index(i).At("block")
			z := b.SiLU(conv(b, at.Index(0), y, m.hidden))
			z = b.SiLU(conv(b, at.Index(2), z, m.hidden))
			y = b.Add(y, conv(b, at.Index(4), z, m.hidden))
		}
		b.Output("out", b.Cast(conv(b, s.At("out_conv"), y, m.out), dtype.F32))
		return
	}
	y := b.Add(conv(b, s.At("conv_in"), x, m.hidden), b.RepeatElements(x, 1, m.hidden/m.channels, 1, 1, 1))
	for i, out := range m.stages {
		at := s.At("up").Index(i).At("block")
		for k := range at.Count("") {
			y = residual(b, at.Index(k), y, out)
		}
	}
	y = b.SiLU(b.ChannelRMSNorm(s.At("norm_out"), y, "gamma"))
	b.Output("out", b.Cast(conv(b, s.At("conv_out"), y, m.out), dtype.F32))
}

// residual is two convolutions around a shortcut. Upstream: ResnetBlock.
func residual(b *nn.Builder, s *weights.Scope, x *onnx.Value, out int) *onnx.Value {
	y := conv(b, s.At("conv1"), b.SiLU(b.ChannelRMSNorm(s.At("norm1"), x, "gamma")), out)
	y = conv(b, s.At("conv2"), b.SiLU(b.ChannelRMSNorm(s.At("norm2"), y, "gamma")), out)
	if x.Dim(1).N != out {
		at := s.At("nin_shortcut")
		if at.Has("conv.weight") {
			at = at.At("conv")
		}
		x = b.Conv3d(at, x, out, [3]int{1, 1, 1}, onnx.WindowND{})
	}
	return b.Add(x, y)
}
