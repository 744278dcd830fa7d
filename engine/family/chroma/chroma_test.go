package chroma_test

import (
	"testing"

	"comfygo/engine/dtype"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/flux"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
)

func TestDetection(t *testing.T) {
	t.Parallel()
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"Chroma":                {Manifest: "mod-chroma", Family: "Chroma", Type: sampling.Flux},
		"without modulations":   {Manifest: "mod-chroma", Without: "distilled_guidance_layer", Family: "Flux.1 schnell", Type: sampling.Flow, Shift: 1},
		"without double blocks": {Manifest: "mod-chroma", Without: "double_blocks"},
	})
}

func TestLoRAKeys(t *testing.T) {
	t.Parallel()
	m := familytest.Model(t, "mod-chroma", dtype.Invalid)
	h := m.(*flux.Model).Hidden
	familytest.CheckLoRAKeys(t, m, map[string]patch.Target{
		"lora_unet_distilled_guidance_layer_in_proj": {Key: "distilled_guidance_layer.in_proj.weight"},
		"transformer.transformer_blocks.0.attn.to_k": {Key: "double_blocks.0.img_attn.qkv.weight", From: h, Rows: h},
	})
}

func TestCUDA(t *testing.T) {
	t.Parallel()
	familytest.CheckCUDA(t, familytest.Manifest(t, "mod-chroma", dtype.Invalid), 1)
}
