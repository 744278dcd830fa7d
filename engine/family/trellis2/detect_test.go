package trellis2_test

import (
	"strings"
	"testing"

	"comfygo/engine/family"
	"comfygo/engine/family/familytest"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// TestDetection passes near misses of files, and files that are not whole.
func TestDetection(t *testing.T) {
	t.Parallel()
	_, flow, d := model(t, "flow")
	if f := d.Latent(); f.Channels != 32 || f.Video {
		t.Errorf("latents are %+v", f)
	}
	if kind, settings := d.Sampling(); kind != sampling.Flow || settings.Shift != 3 {
		t.Errorf("sampled as %v with %+v", kind, settings)
	}
	_, paint, _ := model(t, "texture_flow")
	_, shapes, _ := shape(t)
	_, colors := familytest.Recorded(t, "testdata/texture_vae", "trellis2")
	for name, c := range map[string]struct {
		src           weights.Source
		without, want string
	}{
		"no shape and no texture": {familytest.Without(flow, "shape2txt.t_embedder"), "img2shape.t_embedder", "holds no diffusion model"},
		"no texture":              {paint, "shape2txt.t_embedder", "holds no diffusion model"},
		"no cells":                {flow, "img2shape.input_layer", "img2shape: 2 blocks of width 0"},
		"no heads":                {paint, "q_rms_norm", "with 0 heads"},
	} {
		if _, _, err := family.Open(family.Default, familytest.Without(c.src, c.without)).Diffusion(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for name, c := range map[string]struct {
		src           weights.Source
		without, want string
	}{
		"no latent":      {shapes, "shape_dec.from_latent.bias", ""},
		"no last layer":  {shapes, "shape_dec.output_layer", "output_layer.weight is []"},
		"no divisions":   {shapes, "to_subdiv", "to_subdiv layers"},
		"no blocks":      {colors, "blocks.0.0.mlp", "txt_dec: it has"},
		"no middle":      {shapes, "struct_dec.blocks", "struct_dec: input_layer.weight"},
		"a level of two": {colors, "blocks.2.1.conv2", "txt_dec: it has 3 levels"},
	} {
		_, err := family.Open(family.Default, familytest.Without(c.src, c.without)).VAE()
		if c.want == "" && err == nil {
			continue // a missing bias is told when the graph is written
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestConditioning passes entries that do not fit.
func TestConditioning(t *testing.T) {
	t.Parallel()
	_, _, d := model(t, "flow")
	_, _, seen := model(t, "seen")
	_, _, paint := model(t, "texture_flow")
	with := func(stage string, key string, value any) map[string]any {
		all := values(stage, 0)
		all[key] = value
		return all
	}
	moved := tensor.New(30, 4)
	copy(moved.Data, cells(counts, 16))
	moved.Data[5] = 1e9
	for want, c := range map[string]struct {
		d     family.Denoiser
		stage string
		entry map[string]any
	}{
		"(structure_model)":                 {paint, "structure", values("structure", 0)},
		"is \"painting\"":                   {d, "fine", with("fine", sampling.KeyStage, "painting")},
		"of this stage":                     {d, "fine", with("fine", sampling.KeyCells, nil)},
		"is of type string":                 {d, "fine", with("fine", sampling.KeyCells, "cells")},
		"[19 12] for 30 cells":              {d, "coarse", with("coarse", sampling.KeyCellCounts, []int{19, 12})},
		"[19 1] for 30 cells":               {d, "coarse", with("coarse", sampling.KeyCellCounts, []int{19, 1})},
		"wanted the item 0 and places":      {d, "coarse", with("coarse", sampling.KeyCells, moved)},
		"no encoded image":                  {d, "fine", with("fine", sampling.KeyFineImage, nil)},
		"connect Trellis2TextureStage":      {d, "texture", with("texture", sampling.KeyShapeLatent, nil)},
		"has 31 values each, wanted 32":     {d, "texture", with("texture", sampling.KeyShapeLatent, tensor.New(30, 31))},
		"256 image features a cell":         {seen, "fine", values("fine", 0)},
		"and the conditioning has 128":      {seen, "fine", values("fine", 128)},
		"features have shape [3 4096 128]":  {seen, "structure", with("structure", sampling.KeyProjected, tensor.New(3, 4096, 128))},
		"features have shape [29 256] for ": {seen, "fine", with("fine", sampling.KeyProjected, tensor.New(29, 256))},
	} {
		if _, err := predict(t, c.d, c.stage, c.entry); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestMemory: the estimates grow with the cells, and those of what no machine holds do not overflow.
func TestMemory(t *testing.T) {
	t.Parallel()
	_, _, d := model(t, "flow")
	small, large := d.Memory([]int{1, 32, 100, 1}, 9), d.Memory([]int{2, 32, 1000, 1}, 9)
	if small <= 0 || large < small+1<<22 || d.Memory([]int{2, 32, 1 << 40, 1}, 9) < 1<<60 || d.Memory([]int{1, 32, 16, 16, 16}, 9) <= 0 {
		t.Errorf("%d and %d bytes", small, large)
	}
	_, _, v := shape(t)
	if a, b := v.DecodeMemory([]int{1, 32, 100, 1}), v.DecodeMemory([]int{1, 32, 1000, 1}); a <= 0 || b < a+1<<20 {
		t.Errorf("%d and %d bytes", a, b)
	}
}

// TestLoRAKeys looks the names of adapter files up: upstream has those of the weights themselves alone.
func TestLoRAKeys(t *testing.T) {
	t.Parallel()
	_, _, d := model(t, "seen")
	familytest.CheckLoRAKeys(t, d, map[string]patch.Target{
		"diffusion_model.img2shape.blocks.1.self_attn.to_qkv":            {Key: "img2shape.blocks.1.self_attn.to_qkv.weight"},
		"lora_unet_structure_model_blocks_0_cross_attn_proj_linear":      {Key: "structure_model.blocks.0.cross_attn.proj_linear.weight"},
		"lora_unet_shape2txt_blocks_0_cross_attn_cross_attn_block_to_kv": {Key: "shape2txt.blocks.0.cross_attn.cross_attn_block.to_kv.weight"},
		"diffusion_model.img2shape_512.blocks.0.mlp.mlp.0":               {Key: "img2shape_512.blocks.0.mlp.mlp.0.weight"},
	})
}
