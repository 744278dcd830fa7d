package pixart_test

import (
	"slices"
	"testing"

	"comfygo/engine/dtype"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/familytest"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
)

func TestDetection(t *testing.T) {
	t.Parallel()
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"Alpha":           {Manifest: "pixart-alpha-small", Family: "PixArt Alpha", Type: sampling.EPS},
		"Sigma":           {Manifest: "pixart-sigma-small", Family: "PixArt Sigma", Type: sampling.EPS},
		"no modulation":   {Manifest: "pixart-sigma-small", Without: "t_block"},
		"no text":         {Manifest: "pixart-sigma-small", Without: "y_proj.fc1"},
		"Alpha, no ratio": {Manifest: "pixart-alpha-small", Without: "ar_embedder", Family: "PixArt Sigma", Type: sampling.EPS},
	})
}

func TestLoRAKeys(t *testing.T) {
	t.Parallel()
	const h = 1152
	familytest.CheckLoRAKeys(t, familytest.Model(t, "pixart-alpha-small", dtype.Invalid), map[string]patch.Target{
		"transformer.transformer_blocks.0.attn1.to_k":           {Key: "blocks.0.attn.qkv.weight", From: h, Rows: h},
		"base_model.model.transformer_blocks.0.attn2.to_v":      {Key: "blocks.0.cross_attn.kv_linear.weight", From: h, Rows: h},
		"unet.base_model.model.transformer_blocks.0.attn2.to_q": {Key: "blocks.0.cross_attn.q_linear.weight"},
		"lora_unet_blocks_0_mlp_fc1":                            {Key: "blocks.0.mlp.fc1.weight"},
	})
}

// TestSize checks that Alpha reads the image's size, from the entry or from the latent.
func TestSize(t *testing.T) {
	t.Parallel()
	m := familytest.Model(t, "pixart-alpha-small", dtype.Invalid)
	for name, c := range map[string]struct {
		values map[string]any
		want   []float32
	}{
		"latent": {nil, []float32{320, 640, 0.5}},
		"entry":  {map[string]any{sampling.KeyHeight: 300, sampling.KeyWidth: 100}, []float32{300, 100, 3}},
	} {
		in, err := m.Inputs(&sampling.Cond{Tokens: tensor.New(1, 2, 4096), Values: c.values}, sampling.Request{Shape: []int{1, 4, 40, 80}})
		if err != nil {
			t.Fatal(err)
		}
		var got []float32
		for _, i := range in[1:] {
			got = append(got, i.Value.Data...)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestCUDA(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"pixart-alpha-small", "pixart-sigma-small"} {
		familytest.CheckCUDA(t, familytest.Manifest(t, name, dtype.Invalid), 1)
	}
}
