package krea2_test

import (
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/tests/cudakernels"
)

func TestDetection(t *testing.T) {
	t.Parallel()
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"Krea 2":       {Manifest: "krea2-small", Family: "Krea 2", Type: sampling.Flux, Shift: 1.15},
		"no text sum":  {Manifest: "krea2-small", Without: "txtfusion.projector"},
		"no keys":      {Manifest: "krea2-small", Without: "attn.wk"},
		"Flux is none": {Manifest: "flux-tiny-dev", Family: "Flux.1", Type: sampling.Flux},
	})
}

func TestLoRAKeys(t *testing.T) {
	t.Parallel()
	familytest.CheckLoRAKeys(t, familytest.Model(t, "krea2-small", dtype.Invalid), map[string]patch.Target{
		"transformer.transformer_blocks.0.attn.to_gate":  {Key: "blocks.0.attn.gate.weight"},
		"lora_unet_blocks_0_mlp_up":                      {Key: "blocks.0.mlp.up.weight"},
		"text_fusion.refiner_blocks.1.attn.to_out.0":     {Key: "txtfusion.refiner_blocks.1.attn.wo.weight"},
		"lycoris_text_fusion_layerwise_blocks_0_ff_down": {Key: "txtfusion.layerwise_blocks.0.mlp.down.weight"},
		"diffusion_model.time_mod_proj":                  {Key: "tproj.1.weight"},
	})
}

// TestCUDA checks the graphs without and with reference latents. The text's width is that of several layers together, which
// no exercise of the file tries.
func TestCUDA(t *testing.T) {
	t.Parallel()
	for _, stored := range []dtype.DType{dtype.F32, dtype.F16, dtype.BF16} {
		m := familytest.Model(t, "krea2-small", stored)
		for _, method := range []string{"", "index", "index_timestep_zero"} {
			c := &sampling.Cond{Tokens: tensor.New(1, 4, 640), Values: map[string]any{}}
			if method != "" {
				c.Values[sampling.KeyReferences], c.Values[sampling.KeyReferenceMethod] = []any{tensor.New(1, 16, 4, 6)}, method
			}
			shape := []int{1, 16, 1, 9, 8}
			in, err := m.Inputs(c, sampling.Request{Shape: shape, Format: m.Latent()})
			if err != nil {
				t.Fatal(err)
			}
			for _, target := range familytest.Targets(t) {
				run := &dryrun.Runner{Spec: family.Spec{Target: target}}
				if _, err := m.Predict(t.Context(), run, family.Call{X: tensor.New(shape...), T: []float32{1}, Inputs: sampling.Inputs{List: in}}); err != nil {
					t.Fatal(err)
				}
				for _, g := range run.Graphs {
					cudakernels.Check(t, g)
				}
			}
		}
	}
}
