package acestep

import (
	"fmt"

	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// vocoder converts spectrograms to audio (upstream: music_vocoder.py ADaMoSHiFiGANV1).
type vocoder struct {
	// widths and depths are those of the stages of the backbone.
	widths, depths []int
	// first is the width after the first convolution of the head, before and after its kernels at both ends.
	first, before, after int
	// strides are the strides of the steps that raise the sample rate, kernels those of the residual blocks of each step.
	strides, kernels []int
}

const bandsIn = 128

func readVocoder(s *weights.Scope) (vocoder, error) {
	v := vocoder{first: dim(s, "head.conv_pre.weight", 0), before: dim(s, "head.conv_pre.weight", 2), after: dim(s, "head.conv_post.weight", 2)}
	for i := 0; s.At("backbone", "stages").Index(i).HasAny(""); i++ {
		stage := s.At("backbone", "stages").Index(i)
		v.widths, v.depths = append(v.widths, dim(stage, "0.gamma", 0)), append(v.depths, len(stage.Children()))
	}
	total := 1
	for i := 0; s.Has(fmt.Sprintf("head.ups.%d.weight", i)); i++ {
		stride := dim(s, fmt.Sprintf("head.ups.%d.weight", i), 2) / 2
		v.strides, total = append(v.strides, stride), total*max(stride, 1)
	}
	blocks := s.Count("head.resblocks")
	for i := 0; len(v.strides) > 0 && i < blocks/len(v.strides); i++ {
		v.kernels = append(v.kernels, dim(s, fmt.Sprintf("head.resblocks.%d.convs1.0.weight", i), 2))
	}
	if len(v.widths) == 0 || v.first == 0 || total != hop || len(v.kernels) == 0 || v.first>>len(v.strides) == 0 || v.before%2 == 0 || v.after%2 == 0 {
		return v, fmt.Errorf("its shapes make no vocoder: stages %v of widths %v, strides %v, kernels %v; wanted strides of %d samples together", v.depths, v.widths, v.strides, v.kernels, hop)
	}
	return v, nil
}

// write writes the vocoder: mel [2,128,L·8] gives out [2,1,L·4096].
func (v *vocoder) write(b *nn.Builder, s *weights.Scope) {
	n := onnx.Sym("L").Times(onnx.D(reach))
	x := v.backbone(b, s.At("vocoder", "backbone"), dit.Input(b, "mel", onnx.D(stereo), onnx.D(bandsIn), n))
	h := s.At("vocoder", "head")
	x = b.Conv1d(h.At("conv_pre"), x, v.first, v.before, 1, onnx.Same(v.before))
	c := v.first
	for i, stride := range v.strides {
		c /= 2
		pad := []int{stride / 2}
		x = b.ConvTranspose(h.At("ups").Index(i), b.SiLU(x), c, []int{2 * stride}, 1, onnx.WindowND{Stride: []int{stride}, Before: pad, After: pad})
		var sum *onnx.Value
		for k, kernel := range v.kernels {
			y := residual(b, h.At("resblocks").Index(i*len(v.kernels)+k), x, kernel)
			if sum == nil {
				sum = y
			} else {
				sum = b.Add(sum, y)
			}
		}
		x = b.Mul(sum, b.Const(1/float32(len(v.kernels))))
	}
	x = b.Tanh(b.Conv1d(h.At("conv_post"), b.SiLU(x), 1, v.after, 1, onnx.Same(v.after)))
	dit.Output(b, "out", x)
}

// residual is three pairs of convolutions around shortcuts. Upstream: ResBlock1.
func residual(b *nn.Builder, s *weights.Scope, x *onnx.Value, kernel int) *onnx.Value {
	c := x.Dim(1).N
	for i, dilation := range []int{1, 3, 5} {
		pad := []int{kernel / 2 * dilation}
		y := b.Conv1d(s.At("convs1").Index(i), b.SiLU(x), c, kernel, 1, onnx.WindowND{Dilation: []int{dilation}, Before: pad, After: pad})
		x = b.Add(x, b.Conv1d(s.At("convs2").Index(i), b.SiLU(y), c, kernel, 1, onnx.Same(kernel)))
	}
	return x
}

// backbone describes the bands of each frame and of those around it. Upstream: ConvNeXtEncoder.
func (v *vocoder) backbone(b *nn.Builder, s *weights.Scope, x *onnx.Value) *onnx.Value {
	const kernel = 7
	norm := func(s *weights.Scope, x *onnx.Value) *onnx.Value {
		return b.Transpose(b.LayerNorm(s, b.Transpose(x, 0, 2, 1), epsilon), 0, 2, 1)
	}
	for i, width := range v.widths {
		l := s.At("channel_layers").Index(i)
		if i == 0 {
			edge := []int{0, 0, kernel / 2}
			x = b.Conv1d(l.Index(0), b.PadAxes(x, onnx.Edge, edge, edge), width, kernel, 1, onnx.WindowND{})
			x = norm(l.Index(1), x)
		} else {
			x = b.Conv1d(l.Index(1), norm(l.Index(0), x), width, 1, 1, onnx.WindowND{})
		}
		for k := range v.depths[i] {
			block := s.At("stages").Index(i).Index(k)
			y := b.Transpose(b.Conv1d(block.At("dwconv"), x, width, kernel, width, onnx.Same(kernel)), 0, 2, 1)
			y = b.LayerNorm(block.At("norm"), y, epsilon)
			y = b.Linear(block.At("pwconv2"), b.Gelu(b.Linear(block.At("pwconv1"), y, 4*width), false), width)
			y = b.Mul(y, b.Table(block.Weight("gamma", width)))
			x = b.Add(x, b.Transpose(y, 0, 2, 1))
		}
	}
	return norm(s.At("norm"), x)
}
