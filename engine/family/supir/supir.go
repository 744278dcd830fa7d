// Package supir is the family of SUPIR's model patches, which restore images with SDXL: a copy of the U-Net's input half reads the damaged image
// beside the latent, and adapters lead what it finds into the output half. Upstream: ldm/supir.
package supir

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/unet"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "SUPIR for SDXL" }

// Rank implements family.Family.
func (kind) Rank() int { return 52 }

// The names of the parts in a file: SUPIR's own, and those without the first folder.
const (
	ownControl, plainControl   = "model.control_model.", "control_model."
	ownAdapters, plainAdapters = "model.diffusion_model.project_modules.", "project_modules."
	encoderPrefix              = "first_stage_model.denoise_encoder."
	hintLayer                  = "input_hint_block.0.weight"
)

// headWidth is the width of an attention head of the copy and of the adapters.
const headWidth = 64

// ReadPatch implements family.ModelPatch.
func (kind) ReadPatch(src weights.Source) (family.PatchNetwork, error) {
	control, adapters := ownControl, ownAdapters
	if _, ok := src.Lookup(control + hintLayer); !ok {
		control, adapters = plainControl, plainAdapters
	}
	if _, ok := src.Lookup(control + hintLayer); !ok || !weights.NewScope(src).HasAny(strings.TrimSuffix(adapters, ".")) {
		return nil, nil // ControlNets have such a layer, too
	}
	p := &patch{src: parts(src, control, adapters)}
	s := weights.NewScope(p.src)
	var err error
	if p.control, err = unet.ReadHalf(s.At("control")); err != nil {
		return nil, err
	}
	p.control.HeadChannels = headWidth
	hint := s.Shape("control." + hintLayer)
	if len(hint) != 4 || hint[1] != p.control.InChannels || hint[0] != p.control.ModelChannels {
		return nil, fmt.Errorf("input_hint_block.0.weight is %v, wanted %d channels that become %d", hint, p.control.InChannels, p.control.ModelChannels)
	}
	p.blocks = s.Count("control.input_blocks")
	for i := range s.Count("adapter") {
		if a := s.At("adapter").Index(i); a.Has("zero_mul.weight") {
			p.joints++
		} else if !a.Has("attn.to_q.weight") {
			return nil, fmt.Errorf("project_modules.%d is neither an adapter of convolutions nor one of attention", i)
		}
	}
	if p.joints != p.blocks+1 {
		return nil, fmt.Errorf("it has %d adapters of convolutions for %d blocks and a middle block", p.joints, p.blocks)
	}
	if e := weights.Sub(src, encoderPrefix); len(e.Names()) > 0 {
		p.encoder = dit.Rename(e, func(n string) string { return "encoder." + n })
	}
	return p, nil
}

// parts shows the copy under "control." and the adapters under "adapter.".
func parts(src weights.Source, control, adapters string) weights.Source {
	const used = "used."
	return weights.Sub(dit.Rename(src, func(n string) string {
		if rest, ok := strings.CutPrefix(n, control); ok {
			return used + "control." + rest
		}
		if rest, ok := strings.CutPrefix(n, adapters); ok {
			return used + "adapter." + rest
		}
		return n
	}), used)
}

// patch is a model patch that was read from a file.
type patch struct {
	// src holds the copy under "control." and the adapters under "adapter."; encoder is the VAE's encoder for damaged images, or nil.
	src, encoder weights.Source
	control      unet.Config
	// blocks are the input blocks of the copy, joints the adapters of convolutions.
	blocks, joints int
}

var (
	_ unet.Fusion            = (*patch)(nil)
	_ family.EncodingNetwork = (*patch)(nil)
)

// Patches implements family.PatchNetwork.
func (*patch) Patches() string { return "SDXL" }

// Weights implements family.PatchNetwork.
func (p *patch) Weights() weights.Source { return p.src }

// Encoder implements family.EncodingNetwork.
func (p *patch) Encoder() weights.Source { return p.encoder }

// Channels implements unet.Fusion.
func (p *patch) Channels() int { return p.control.InChannels }

// Fits implements family.PatchNetwork.
func (p *patch) Fits(d family.Denoiser) error {
	m, ok := d.(*unet.Model)
	switch {
	case !ok:
		return errors.New("the model is no U-Net")
	case m.ContextDim != p.control.ContextDim || m.AdmChannels != p.control.AdmChannels:
		return fmt.Errorf("the model reads text of width %d and a vector of %d values, the patch %d and %d", m.ContextDim, m.AdmChannels, p.control.ContextDim, p.control.AdmChannels)
	case m.InChannels != p.control.InChannels:
		return fmt.Errorf("the model reads %d channels, the patch %d", m.InChannels, p.control.InChannels)
	}
	return p.fits(weights.NewScope(m.Source), m.Skips())
}

// fits compares the adapters with the blocks of the output half, which they join with the input blocks in turn. skips are the channels of the
// input blocks.
func (p *patch) fits(s *weights.Scope, skips []int) error {
	own := weights.NewScope(p.src)
	if n := s.Count("output_blocks"); n != p.blocks || s.Count("input_blocks") != p.blocks {
		return fmt.Errorf("the model has %d input blocks and %d output blocks, the patch is for %d of each", s.Count("input_blocks"), n, p.blocks)
	}
	ups, attending := 0, own.Count("adapter")-p.joints
	for i := range p.blocks {
		block := s.At("output_blocks").Index(i)
		for k := range block.Count("") {
			if block.Index(k).Has("conv.weight") {
				ups++
			}
		}
	}
	if ups != attending {
		return fmt.Errorf("the model enlarges its features %d times, the patch has %d adapters for that", ups, attending)
	}
	joint := 0
	for i := range own.Count("adapter") {
		a := own.At("adapter").Index(i)
		adds, joined := a.Shape("zero_conv.weight"), a.Shape("param_free_norm.weight")
		if !a.Has("zero_mul.weight") || joint == p.blocks {
			continue // of attention, or of the middle block
		}
		block := s.At("output_blocks").Index(p.blocks - 1 - joint).Shape("0.in_layers.0.weight")
		if len(adds) != 4 || len(joined) != 1 || len(block) != 1 || adds[0] != skips[joint] || joined[0] != block[0] {
			return fmt.Errorf("project_modules.%d adds %v to %d channels of input block %d and joins %v, where the model's output block reads %v", i, adds, skips[joint], joint, joined, block)
		}
		joint++
	}
	return nil
}

// Input implements family.PatchNetwork: the image as the model reads latents.
func (p *patch) Input(_ context.Context, _ family.Runner, c family.PatchCall) (*tensor.Tensor, error) {
	if c.Latent == nil {
		return nil, errors.New("it needs an image: connect one, and a VAE")
	}
	if len(c.Latent.Shape) != 4 || c.Latent.Dim(1) != p.control.InChannels || c.Latent.Len() == 0 {
		return nil, fmt.Errorf("the latent of its image has shape %v, wanted %d channels: connect the VAE of SDXL", c.Latent.Shape, p.control.InChannels)
	}
	return c.Format.In(c.Latent), nil
}

// Fuse implements unet.Fusion: the copy of the input half, whose features adapters take from the last to the first.
func (p *patch) Fuse(u *unet.Writer, s *weights.Scope, hint, strength *onnx.Value) unet.Fused {
	c := s.At("control")
	w := u.Beside(c, p.control)
	guided := w.Conv2d(c.At("input_hint_block", "0"), hint, p.control.ModelChannels, 3, onnx.Pad1())
	f := &fused{Writer: u, adapters: s.At("adapter"), next: s.Count("adapter"), strength: strength}
	h := u.X()
	for i := range p.blocks {
		h = w.Block(c.At("input_blocks").Index(i), h, nil)
		if i == 0 {
			h = w.Add(h, guided)
		}
		f.features = append(f.features, h)
	}
	f.features = append(f.features, w.Block(c.At("middle_block"), h, nil))
	return f
}
