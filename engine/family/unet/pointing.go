package unet

import (
	"context"
	"errors"

	"comfygo/engine/family"
	"comfygo/engine/onnx"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// headKey is the key by which upstream detects a network with the head of SDPose.
const headKey = "heatmap_head.conv_layers.0.weight"

var errNoHead = errors.New("finding key points: the model has no head for them (heatmap_head): load a model of SDPose")

// featureBlock is the last output block whose input, besides its skip connection, is the head's input: twice the channels of the
// outermost blocks. -1 means no block.
func featureBlock(s *weights.Scope, c Config) int {
	at := -1
	for i := range s.Count("output_blocks") {
		if sh := s.At("output_blocks").Index(i).Shape("0.out_layers.3.weight"); len(sh) == 4 && sh[0] == 2*c.ModelChannels {
			at = i + 1
		}
	}
	return at
}

// heatmaps writes the head on features h [B,C,h,w]: layers that double the size, others that keep it, each normalised by channel, and the
// last one. Upstream: modules/sdpose.py HeatmapHead.
func (u *Writer) heatmaps(s *weights.Scope, h *onnx.Value) *onnx.Value {
	const kernel, epsilon = 4, 1e-5
	normal := func(x *onnx.Value) *onnx.Value {
		rows := u.Reshape(x, x.Dim(0), x.Dim(1), onnx.Infer)
		return u.SiLU(u.ReshapeLike(u.LayerNormPlain(rows, epsilon), x))
	}
	for i := 0; s.At("deconv_layers").Index(i).Has("weight"); i += 3 {
		l := s.At("deconv_layers").Index(i)
		out := 1
		if sh := l.Shape("weight"); len(sh) == 4 {
			out = sh[1]
		}
		window := onnx.WindowND{Stride: []int{2, 2}, Before: []int{1, 1}, After: []int{1, 1}}
		h = normal(u.ConvTranspose(l, h, out, []int{kernel, kernel}, 1, window))
	}
	conv := func(l *weights.Scope, h *onnx.Value) *onnx.Value {
		out := 1
		if sh := l.Shape("weight"); len(sh) == 4 {
			out = sh[0]
		}
		return u.Conv2d(l, h, out, 1, onnx.Window{Stride: 1})
	}
	for i := 0; s.At("conv_layers").Index(i).Has("weight"); i += 3 {
		h = normal(conv(s.At("conv_layers").Index(i), h))
	}
	return conv(s.At("final_layer"), h)
}

// Heatmaps implements family.Pointing.
func (m *Model) Heatmaps(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	s := weights.NewScope(m.Source)
	if !s.Has(headKey) || featureBlock(s, m.Config) < 0 || m.Temporal {
		return nil, errNoHead
	}
	if err := m.check(c.X, c); err != nil {
		return nil, err
	}
	if err := run.Check("finding key points", m.Memory(c.X.Shape, c.Inputs.Get(sampling.InputContext).Dim(1))); err != nil {
		return nil, err
	}
	grid := 1 << (m.Levels - 1)
	v := Variant{Even: c.X.Dim(2)%grid == 0 && c.X.Dim(3)%grid == 0, Pointing: true}
	out, err := run.Run(ctx, m.Graph(v), m.Values(c.X, c), "out")
	if err != nil {
		return nil, err
	}
	return out["out"], nil
}
