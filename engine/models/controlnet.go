package models

import (
	"fmt"
	"strconv"

	"comfygo/engine/dtype"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
	"comfygo/engine/weights/layout"
)

// ControlConfig describes a ControlNet of the Stable Diffusion 1.x class (Zhang et al. 2023, arXiv:2302.05543): the first
// half of a U-Net, which sees a picture beside the latent and gives what is added to the second half.
type ControlConfig struct {
	// UNet is the half's shape; it has no OutChannels.
	UNet UNetConfig
	// HintChannels are those of the picture.
	HintChannels int
	// Blocks is the number of results besides the middle block's.
	Blocks int
}

// ControlMiddle names the middle block's result of a ControlNet.
const ControlMiddle = "control.middle"

// ControlInput names the result for input block i.
func ControlInput(i int) string { return "control." + strconv.Itoa(i) }

// controlPrefixes are the places where a ControlNet's keys begin.
var controlPrefixes = []string{"control_model.", ""}

// detectControl looks for a ControlNet in its own layout or in that of diffusers.
func (f *Found) detectControl() error {
	for _, p := range controlPrefixes {
		view := layout.ControlNet(weights.Sub(f.Source, p))
		if _, ok := view.Lookup("zero_convs.0.0.weight"); !ok {
			continue
		}
		cfg, err := readControl(weights.NewScope(view))
		if err != nil {
			return err
		}
		f.Control, f.control = &cfg, func() *weights.Scope { return weights.NewScope(view) }
		return nil
	}
	return nil
}

func readControl(s *weights.Scope) (ControlConfig, error) {
	unet, err := readHalf(s)
	if err != nil {
		return ControlConfig{}, err
	}
	switch {
	case unet.ContextDim == 768 && unet.ModelChannels == 320 && unet.AdmChannels == 0:
		unet.Heads = 8
	case unet.ContextDim == 2048:
		return ControlConfig{}, fmt.Errorf("it is for Stable Diffusion XL; the engine runs those for Stable Diffusion 1.x")
	case unet.ContextDim == 1024:
		return ControlConfig{}, fmt.Errorf("it is for Stable Diffusion 2.x; the engine runs those for Stable Diffusion 1.x")
	default:
		return ControlConfig{}, fmt.Errorf("it (width %d, text width %d) is for no known family", unet.ModelChannels, unet.ContextDim)
	}
	hint := s.Shape("input_hint_block.0.weight")
	if len(hint) != 4 {
		return ControlConfig{}, fmt.Errorf("input_hint_block.0.weight is %v, wanted four dimensions", hint)
	}
	return ControlConfig{UNet: unet, HintChannels: hint[1], Blocks: s.Count("input_blocks")}, nil
}

// ControlGraph writes the network: inputs x, timesteps and context as UNetGraph's, and hint [B,HintChannels,8H,8W] in 0…1;
// outputs ControlInput(0), ControlInput(1), … and ControlMiddle, float32 (upstream: comfy/cldm/cldm.py ControlNet).
func ControlGraph(s *weights.Scope, cfg ControlConfig, t nn.Target) (*onnx.Graph, error) {
	g, err := onnx.Build("controlnet", func(g *onnx.Graph) error {
		u := &unet{Builder: &nn.Builder{Graph: g, Target: t}, cfg: cfg.UNet}
		u.writeControl(s, cfg)
		return nil
	})
	if kerr := s.Err(); kerr != nil {
		return nil, kerr
	}
	return g, err
}

func (u *unet) writeControl(s *weights.Scope, cfg ControlConfig) {
	h := u.inputs(s)
	const side = 8 // picture pixels per latent pixel
	hint := u.Input("hint", dtype.F32, onnx.Sym("B"), onnx.D(cfg.HintChannels), onnx.Sym(fmt.Sprintf("H*%d", side)), onnx.Sym(fmt.Sprintf("W*%d", side)))
	guided := u.hint(s.At("input_hint_block"), u.Cast(hint, u.Target.Compute))
	for i := range cfg.Blocks {
		h = u.block(s.At("input_blocks").Index(i), h, nil)
		if i == 0 {
			h = u.Add(h, u.Declare(guided, h.Shape))
		}
		u.Output(ControlInput(i), u.Cast(u.pointwise(s.At("zero_convs").Index(i).At("0"), h), dtype.F32))
	}
	h = u.block(s.At("middle_block"), h, nil)
	u.Output(ControlMiddle, u.Cast(u.pointwise(s.At("middle_block_out", "0"), h), dtype.F32))
}

// hint brings the picture to the latent's size: convolutions 0, 2, 4, … of a torch Sequential, of which every second one
// from the third on halves the size, with a SiLU behind all but the last.
func (u *unet) hint(s *weights.Scope, h *onnx.Value) *onnx.Value {
	n := 0
	for s.Has(strconv.Itoa(2*n) + ".weight") {
		n++
	}
	for i := range n {
		conv := s.Index(2 * i)
		w := onnx.Pad1()
		if i%2 == 0 && i > 0 && i < n-1 {
			w.Stride = 2
		}
		out := h.Dim(1).N
		if sh := conv.Shape("weight"); len(sh) == 4 {
			out = sh[0]
		}
		if h = u.Conv2d(conv, h, out, 3, w); i < n-1 {
			h = u.SiLU(h)
		}
	}
	return h
}

func (u *unet) pointwise(s *weights.Scope, h *onnx.Value) *onnx.Value {
	return u.Conv2d(s, h, h.Dim(1).N, 1, onnx.Window{Stride: 1})
}

// steered adds a ControlNet's result, which comes as a further input.
func (u *unet) steered(h *onnx.Value, name string) *onnx.Value {
	return u.Add(h, u.Cast(u.Input(name, dtype.F32, h.Shape...), u.Target.Compute))
}
