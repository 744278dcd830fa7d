package stableaudio_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/stableaudio"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/tests/cudakernels"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

const manifest = "stable-audio-ckpt"

func TestDetection(t *testing.T) {
	t.Parallel()
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"checkpoint":    {Manifest: manifest, Family: "Stable Audio", Type: sampling.VPredictionContinuous},
		"no angles":     {Manifest: manifest, Without: "inv_freq"},
		"no embeddings": {Manifest: manifest, Without: "to_cond_embed"},
	})
}

func TestLoRAKeys(t *testing.T) {
	t.Parallel()
	familytest.CheckLoRAKeys(t, familytest.Model(t, manifest, dtype.Invalid), map[string]patch.Target{
		"diffusion_model.transformer.layers.0.self_attn.to_qkv": {Key: "transformer.layers.0.self_attn.to_qkv.weight"},
		"lora_unet_transformer_layers_1_ff_ff_2":                {Key: "transformer.layers.1.ff.ff.2.weight"},
	})
}

// TestInputs checks the inputs of an entry with and without a duration, and the graph of a latent.
func TestInputs(t *testing.T) {
	t.Parallel()
	m := stableaudio.WithEmbedders(familytest.Model(t, manifest, dtype.Invalid), 768)
	shape := []int{2, 64, 22}
	for name, values := range map[string]map[string]any{"plain": nil, "times": {sampling.KeySecondsStart: 1.5, sampling.KeySecondsTotal: 30}} {
		in, err := m.Inputs(&sampling.Cond{Tokens: tensor.New(2, 5, 768), Values: values}, sampling.Request{Shape: shape, Format: m.Latent()})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !slices.Equal(in[0].Value.Shape, []int{2, 7, 768}) {
			t.Errorf("%s: text %v, want two more tokens", name, in[0].Value.Shape)
		}
		in[1].Value = tensor.New(2, 1536)
		for _, target := range familytest.Targets(t) {
			run := &dryrun.Runner{Spec: family.Spec{Target: target}}
			y, err := m.Predict(t.Context(), run, family.Call{X: tensor.New(shape...), T: []float32{1, 1}, Inputs: sampling.Inputs{List: in}})
			if err != nil || !slices.Equal(y.Shape, shape) {
				t.Fatalf("%s: %v", name, err)
			}
			for _, g := range run.Graphs {
				cudakernels.Check(t, g)
			}
		}
	}
	lone := familytest.Model(t, manifest, dtype.Invalid)
	_, err := lone.Inputs(&sampling.Cond{Tokens: tensor.New(1, 5, 768)}, sampling.Request{Shape: shape, Format: m.Latent()})
	if err == nil || !strings.Contains(err.Error(), "checkpoint") {
		t.Errorf("a model without its embedders: %v", err)
	}
	_, err = m.Inputs(&sampling.Cond{Tokens: tensor.New(1, 5, 768)}, sampling.Request{Shape: []int{1, 4, 8, 8}, Format: m.Latent()})
	if err == nil || !strings.Contains(err.Error(), "audio latents") {
		t.Errorf("a latent of an image: %v", err)
	}
}

// TestVAEEqualsUpstream compares audio; less than ten times upstream's own error in float32, about 1e-6, is allowed. Pieces of any length
// give the same.
func TestVAEEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/oobleck", "oobleck")
	v, err := family.Open(family.Default, src).VAE()
	if err != nil || v == nil {
		t.Fatalf("%v, %v", v, err)
	}
	if i := v.Info(); i.Audio == nil || i.Audio.Hop != 8 || i.Channels != 8 || !i.CanEncode {
		t.Fatalf("%+v", i)
	}
	tolerance := golden.Tolerance{RMSRel: 1e-5}
	z := golden.Normal("oobleck/z", 1, 8, 150)
	whole, err := v.Decode(t.Context(), familytest.Runner{}, z)
	if err != nil {
		t.Fatal(err)
	}
	familytest.CompareSome(t, stored, "decode", whole, []int{1, 2, 1200}, tolerance)
	moments, err := stableaudio.Moments(t.Context(), v, familytest.Runner{}, golden.Normal("oobleck/x", 1, 2, 1200))
	if err != nil {
		t.Fatal(err)
	}
	familytest.CompareSome(t, stored, "encode", moments, []int{1, 16, 150}, tolerance)
	for name, z := range map[string]*tensor.Tensor{"an image": tensor.New(1, 8, 4, 4), "channels": tensor.New(1, 4, 10)} {
		if _, err := v.Decode(t.Context(), familytest.Runner{}, z); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := v.Encode(t.Context(), familytest.Runner{}, tensor.New(1, 2, 3)); err == nil {
		t.Error("three samples: no error")
	}
}
