package controlnet

import (
	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/unet"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// Graph writes the network: the inputs of a U-Net's graph, and hint [B,HintChannels,8H,8W] in 0…1; outputs
// unet.Residual(0), unet.Residual(1), … and unet.ResidualMiddle, float32. A union network reads kinds [1,256·Types] and,
// if told is set, kind, the number of its hint type, int64 [1] (upstream: comfy/cldm/cldm.py ControlNet).
func Graph(src weights.Source, cfg Config, told bool, spec family.Spec) (*onnx.Graph, error) {
	return spec.Build("controlnet", src, func(b *nn.Builder, s *weights.Scope) {
		w := &writer{unet.NewWriter(b, cfg.UNet)}
		w.write(s, cfg, told)
	})
}

type writer struct{ *unet.Writer }

func (w *writer) write(s *weights.Scope, cfg Config, told bool) {
	if cfg.Types > 0 {
		w.Embed = func(e *onnx.Value) *onnx.Value { return w.Add(e, w.kinds(s, cfg)) }
	}
	h := w.Inputs(s)
	height, width := onnx.Sym("H").Times(onnx.D(hintScale)), onnx.Sym("W").Times(onnx.D(hintScale))
	hint := w.Input("hint", dtype.F32, onnx.Sym("B"), onnx.D(cfg.HintChannels), height, width)
	guided := dit.HintConvolutions(w.Builder, s.At("input_hint_block"), w.Cast(hint, w.Target.Compute), 2, 4, 6)
	if told {
		guided = w.union(s, cfg, guided)
	}
	for i := range cfg.Blocks {
		h = w.Block(s.At("input_blocks").Index(i), h, nil)
		if i == 0 {
			h = w.Add(h, w.Declare(guided, h.Shape))
		}
		w.Output(unet.Residual(i), w.Cast(w.pointwise(s.At("zero_convs").Index(i).At("0"), h), dtype.F32))
	}
	h = w.Block(s.At("middle_block"), h, nil)
	w.Output(unet.ResidualMiddle, w.Cast(w.pointwise(s.At("middle_block_out", "0"), h), dtype.F32))
}

func (w *writer) pointwise(s *weights.Scope, h *onnx.Value) *onnx.Value {
	return w.Conv2d(s, h, h.Dim(1).N, 1, onnx.Window{Stride: 1})
}
