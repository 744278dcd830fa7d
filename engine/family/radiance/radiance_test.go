package radiance_test

import (
	"os"
	"testing"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/radiance"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// recorded is a network that record.py recorded, with the marks that files carry as empty tensors.
func recorded(t *testing.T, name string) (func(what string, y *tensor.Tensor), weights.Source) {
	t.Helper()
	stored, src := familytest.Recorded(t, "testdata/"+name, "radiance")
	return func(what string, y *tensor.Tensor) {
		// Forty times torch's own error in float32, which is greatest where the noise is divided by small timesteps.
		familytest.Compare(t, stored, what, y, golden.Tolerance{RMSRel: 2e-5})
	}, src
}

func predict(t *testing.T, src weights.Source, x *tensor.Tensor, o ...radiance.Options) *tensor.Tensor {
	t.Helper()
	d, fam, err := family.Open(family.Default, src).Diffusion()
	if err != nil || fam.Name() != "Chroma Radiance" {
		t.Fatalf("%v, %v", fam, err)
	}
	in, err := d.Inputs(&sampling.Cond{Tokens: golden.Normal("radiance/context", 2, 5, 16)}, sampling.Request{Format: d.Latent()})
	if err != nil {
		t.Fatal(err)
	}
	y, err := d.Predict(t.Context(), familytest.Runner{}, family.Call{
		X: x, T: []float32{0.3, 0.8}, Inputs: sampling.Inputs{List: in, Sigma: 0.8, Options: map[string]any{radiance.Option: o}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return y
}

// TestEqualsUpstream compares calls of networks of both last layers, with the options of ChromaRadianceOptions.
func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	x, odd := golden.Normal("radiance/x", 2, 3, 12, 8), golden.Normal("radiance/odd", 2, 3, 10, 7)
	compare, src := recorded(t, "conv")
	compare("out", predict(t, src, x))
	compare, src = recorded(t, "linear")
	compare("out", predict(t, src, x))
	compare("odd", predict(t, src, odd))
	given := radiance.Options{Start: 1, Tile: 4, Sequential: true}
	compare("options", predict(t, src, x, given))
	// Where the sigma is not theirs, and where an earlier node has others, options do not count.
	compare("out", predict(t, src, x, radiance.Options{Start: 0.7, Sequential: true}))
	compare("out", predict(t, src, x, given, radiance.Options{Start: 1, Tile: 0}))
}

func TestDetection(t *testing.T) {
	t.Parallel()
	_, src := recorded(t, "conv")
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"Chroma Radiance": {Source: src, Family: "Chroma Radiance", Type: sampling.Flux},
		"no patches":      {Source: src, Without: "img_in_patch"},
		"no pixels":       {Source: src, Without: "nerf_image_embedder"},
		"Chroma":          {Manifest: "mod-chroma", Family: "Chroma", Type: sampling.Flux},
	})
	d, _, err := family.Open(family.Default, src).Diffusion()
	if err != nil {
		t.Fatal(err)
	}
	if d.Memory([]int{1, 3, 64, 64}, 77) <= 0 || d.Latent().Downscale != 1 {
		t.Errorf("no estimate of memory, or latents: %+v", d.Latent())
	}
	familytest.CheckLoRAKeys(t, d, map[string]patch.Target{
		"lora_unet_nerf_blocks_0_param_generator":        {Key: "nerf_blocks.0.param_generator.weight"},
		"lora_unet_img_in_patch":                         {Key: "img_in_patch.weight"},
		"transformer.transformer_blocks.0.attn.to_out.0": {Key: "double_blocks.0.img_attn.proj.weight"},
	})
	familytest.CheckCUDA(t, src, 1)
}
