package hunyuan3d_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// models are the recorded networks by the name of their family.
var models = map[string]string{"two": "Hunyuan3D 2", "mini": "Hunyuan3D 2mini", "guided": "Hunyuan3D 2", "third": "Hunyuan3D 2.1"}

// read returns a recorded network with a call of two rows.
func read(t *testing.T, file string) (family.Denoiser, family.Call) {
	t.Helper()
	_, src := familytest.Recorded(t, "testdata/"+file, "hunyuan3d")
	d, fam, err := family.Open(family.Default, src).Diffusion()
	if err != nil || fam.Name() != models[file] {
		t.Fatalf("%s: %v, %v", file, fam, err)
	}
	in, err := d.Inputs(&sampling.Cond{Tokens: golden.Normal("hunyuan3d/context", 2, 7, 24)}, sampling.Request{Format: d.Latent()})
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range in {
		if v.Name == "guidance" { // repeated for the rows of a batch
			in[i].Value = &tensor.Tensor{Shape: []int{2}, Data: []float32{v.Value.Data[0], v.Value.Data[0]}}
		}
	}
	return d, family.Call{X: golden.Normal("hunyuan3d/x", 2, 64, 5), T: []float32{0.9, 0.3}, Inputs: sampling.Inputs{List: in}}
}

// TestEqualsUpstream compares calls of the networks; torch's own error in float32 is about 1e-6.
func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	for file := range models {
		stored, src := familytest.Recorded(t, "testdata/"+file, "hunyuan3d")
		d, call := read(t, file)
		y, err := d.Predict(t.Context(), familytest.Runner{}, call)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		familytest.Compare(t, stored, "out", y, golden.Tolerance{RMSRel: 1e-5})
		if d.Memory([]int{1, 64, 3072}, 1370) <= 0 {
			t.Errorf("%s: no estimate of memory", file)
		}
		if d.(family.Sighted).VisionPrefix() == "" {
			t.Errorf("%s: no image encoder", file)
		}
		familytest.CheckCUDA(t, src, 1)
	}
}

// TestVolumeEqualsUpstream compares a volume as the node gives it, in chunks of several sizes.
func TestVolumeEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/vae", "hunyuan3d")
	v, err := family.Open(family.Default, src).VAE()
	if err != nil || v == nil {
		t.Fatal(v, err)
	}
	if info := v.Info(); info.Channels != 8 || !info.Volume || info.CanEncode {
		t.Errorf("%+v", info)
	}
	want, err := stored.Get("volume")
	if err != nil {
		t.Fatal(err)
	}
	for _, points := range []int{50, 1000} {
		y, err := v.(family.Volumetric).DecodeVolume(t.Context(), familytest.Runner{}, golden.Normal("hunyuan3d/z", 1, 8, 9), 6, points)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(want.Shape[1:], y.Shape) {
			t.Fatalf("shape %v, want %v", y.Shape, want.Shape)
		}
		golden.Compare(t, "volume", y.Data, want.Data, golden.Tolerance{RMSRel: 1e-5})
	}
	if v.DecodeMemory([]int{1, 8, 3072}) <= 0 {
		t.Error("no estimate of memory")
	}
	if _, err := v.Decode(t.Context(), familytest.Runner{}, tensor.New(1, 8, 9)); err == nil || !strings.Contains(err.Error(), "VAEDecodeHunyuan3D") {
		t.Errorf("decoding images: %v", err)
	}
	if _, err := v.(family.Volumetric).DecodeVolume(t.Context(), familytest.Runner{}, tensor.New(1, 4, 9), 6, 50); err == nil || !strings.Contains(err.Error(), "[1, 8, vectors]") {
		t.Errorf("another latent: %v", err)
	}
	familytest.CheckCUDA(t, src, 1)
}

// withImages returns a call with other images.
func withImages(c family.Call, x *tensor.Tensor) family.Call {
	c.Inputs = sampling.Inputs{List: []sampling.Input{{Name: sampling.InputContext, Value: x, Rule: sampling.ByRows}}}
	return c
}

func TestDetection(t *testing.T) {
	t.Parallel()
	list := map[string]familytest.Detection{}
	for file, name := range models {
		_, src := familytest.Recorded(t, "testdata/"+file, "hunyuan3d")
		list[file] = familytest.Detection{Source: src, Family: name, Type: sampling.Flow, Shift: 1}
	}
	_, two := familytest.Recorded(t, "testdata/two", "hunyuan3d")
	_, third := familytest.Recorded(t, "testdata/third", "hunyuan3d")
	list["no input layer"] = familytest.Detection{Source: two, Without: "latent_in"}
	list["no blocks"] = familytest.Detection{Source: two, Without: "double_blocks"}
	list["no norm of keys"] = familytest.Detection{Source: third, Without: "blocks.0.attn1.k_norm"}
	familytest.CheckDetection(t, list)
	for want, text := range map[string]string{
		"latents of 32 channels": "latent_in.weight 64 32\ncond_in.weight 64 24\ndouble_blocks.0.img_mlp.0.weight 256 64\n",
		"blocks of width 72":     "latent_in.weight 72 64\ncond_in.weight 72 24\ndouble_blocks.0.img_mlp.0.weight 256 72\n",
	} {
		if _, _, err := family.Open(family.Default, dryrun.List(text)).Diffusion(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	for want, text := range map[string]string{
		"make no shape VAE": "geo_decoder.cross_attn_decoder.ln_1.bias 64\npost_kl.weight 64 8\n",
		"is [0 8]":          "geo_decoder.cross_attn_decoder.ln_1.bias 64\npost_kl.weight 0 8\ntransformer.resblocks.0.attn.attention.q_norm.weight 32\ngeo_decoder.query_proj.weight 0 51\ngeo_decoder.cross_attn_decoder.attn.attention.q_norm.weight 32\n",
		"inputs, a point":   "geo_decoder.cross_attn_decoder.ln_1.bias 64\npost_kl.weight 64 8\ntransformer.resblocks.0.attn.attention.q_norm.weight 32\ngeo_decoder.query_proj.weight 64 39\ngeo_decoder.cross_attn_decoder.attn.attention.q_norm.weight 32\n",
	} {
		if _, err := family.Open(family.Default, dryrun.List(text)).VAE(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestWrongInputs(t *testing.T) {
	t.Parallel()
	d, call := read(t, "two")
	if _, err := d.Inputs(&sampling.Cond{}, sampling.Request{}); err == nil || !strings.Contains(err.Error(), "Hunyuan3Dv2Conditioning") {
		t.Errorf("an entry without an image: %v", err)
	}
	for want, c := range map[string]family.Call{
		"has width 25":  withImages(call, tensor.New(2, 7, 25)),
		"for each row":  withImages(call, tensor.New(1, 7, 24)),
		"64 channels":   {X: tensor.New(2, 4, 5), T: call.T, Inputs: call.Inputs},
		"1 timesteps":   {X: call.X, T: call.T[:1], Inputs: call.Inputs},
		"and 3 axes":    {X: tensor.New(2, 64, 5, 5), T: call.T, Inputs: call.Inputs},
		"encoded image": {X: call.X, T: call.T},
	} {
		if _, err := d.Predict(t.Context(), familytest.Runner{}, c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
