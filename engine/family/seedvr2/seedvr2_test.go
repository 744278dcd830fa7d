package seedvr2_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/familytest"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

const salt = "seedvr2"

func denoiser(t *testing.T, src weights.Source) family.Denoiser {
	t.Helper()
	d, fam, err := family.Open(family.Default, src).Diffusion()
	if err != nil || fam.Name() != "SeedVR2" {
		t.Fatalf("%v, %v", fam, err)
	}
	return d
}

// call is a call for a video of the given size.
func call(size ...int) family.Call {
	name := strings.ReplaceAll(strings.Trim(fmt.Sprint(size), "[]"), " ", "x")
	shape := func(c int) []int { return append([]int{2, c}, size...) }
	return family.Call{
		X: golden.Normal(salt+"/x"+name, shape(16)...), T: []float32{300, 900},
		Inputs: sampling.Inputs{List: []sampling.Input{
			{Name: sampling.InputContext, Value: golden.Normal(salt+"/context", 2, 7, 40), Rule: sampling.ByRows},
			{Name: "condition", Value: golden.Normal(salt+"/c"+name, shape(17)...), Rule: sampling.ByRows},
		}},
	}
}

// TestNetworksEqualUpstream compares the form of 3B with the frequencies of the file and with its own, and that of 7B. The tolerance is ten times
// torch's own error in float32, about 1e-6.
func TestNetworksEqualUpstream(t *testing.T) {
	t.Parallel()
	for name, sizes := range map[string]map[string][]int{
		"joint": {"image": {1, 6, 8}, "video": {7, 12, 6}}, "plain": {"image": {1, 6, 8}}, "large": {"image": {1, 6, 8}, "video": {7, 12, 6}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stored, src := familytest.Recorded(t, "testdata/"+name, salt)
			d := denoiser(t, src)
			for key, size := range sizes {
				c := call(size...)
				y, err := d.Predict(t.Context(), familytest.Runner{}, c)
				if err != nil {
					t.Fatal(err)
				}
				familytest.CompareEvery(t, stored, key, y, c.X.Shape, 5, golden.Tolerance{RMSRel: 1e-5})
			}
			if y, err := d.Predict(t.Context(), familytest.Runner{}, call(1, 5, 3)); err != nil || !slices.Equal(y.Shape, []int{2, 16, 1, 5, 3}) {
				t.Errorf("a latent of odd sizes: %v", err)
			}
			if small, large := d.Memory([]int{1, 16, 1, 16, 16}, 7), d.Memory([]int{1, 16, 5, 64, 64}, 7); small <= 0 || large <= small {
				t.Errorf("%d bytes, and %d for a larger video", small, large)
			}
			familytest.CheckCUDA(t, src, 1)
		})
	}
}

func TestDetection(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/joint", salt)
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"SeedVR2":           {Source: src, Family: "SeedVR2", Type: sampling.Flow, Shift: 1},
		"no text encodings": {Source: src, Without: "positive_conditioning"},
		"no output":         {Source: src, Without: "vid_out.proj"},
		"no attention":      {Source: src, Without: "blocks.0.attn.proj_qkv"},
		"no embedding":      {Source: src, Without: "emb_in.proj_hid"},
	})
	familytest.CheckLoRAKeys(t, denoiser(t, src), map[string]patch.Target{
		"blocks.0.attn.proj_qkv.vid":              {Key: "blocks.0.attn.proj_qkv.vid.weight"},
		"diffusion_model.vid_in.proj":             {Key: "vid_in.proj.weight"},
		"lora_unet_blocks_2_mlp_all_proj_in_gate": {Key: "blocks.2.mlp.all.proj_in_gate.weight"},
	})
}

func TestPromptsAndInputs(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/joint", salt)
	d := denoiser(t, src)
	positive, negative, err := d.(family.Prompting).Prompts()
	if err != nil || !slices.Equal(positive.Shape, []int{1, 3, 40}) || !slices.Equal(negative.Shape, []int{1, 4, 40}) {
		t.Errorf("%v, %v, %v", positive, negative, err)
	}
	if _, err := d.Inputs(&sampling.Cond{Tokens: positive}, sampling.Request{}); err == nil || !strings.Contains(err.Error(), "SeedVR2Conditioning") {
		t.Errorf("no latent to restore: %v", err)
	}
	if in, err := d.Inputs(&sampling.Cond{Tokens: positive, Values: map[string]any{"condition": tensor.New(1, 17, 1, 4, 4)}}, sampling.Request{}); err != nil || len(in) != 2 {
		t.Errorf("%v, %v", in, err)
	}
	wrong := func(x, cond *tensor.Tensor) family.Call {
		c := call(1, 4, 4)
		c.X = x
		c.Inputs.List[1].Value = cond
		return c
	}
	for name, c := range map[string]family.Call{
		"an image": wrong(tensor.New(2, 16, 4, 4), tensor.New(2, 17, 1, 4, 4)), "other channels": wrong(tensor.New(2, 4, 1, 4, 4), tensor.New(2, 17, 1, 4, 4)),
		"another size": wrong(tensor.New(2, 16, 1, 4, 4), tensor.New(2, 17, 1, 4, 6)), "no mask": wrong(tensor.New(2, 16, 1, 4, 4), tensor.New(2, 16, 1, 4, 4)),
	} {
		if _, err := d.Predict(t.Context(), familytest.Runner{}, c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func vae(t *testing.T, src weights.Source) family.Autoencoder {
	t.Helper()
	v, err := family.Open(family.Default, src).VAE()
	if err != nil || v == nil {
		t.Fatalf("%v, %v", v, err)
	}
	return v
}

// TestVAEEqualsUpstream compares videos, decoded a frame at a time and encoded four at a time; torch's own error in float32 is about 1e-6.
func TestVAEEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/vae", salt)
	v := vae(t, src)
	if i := v.Info(); i.Channels != 16 || i.Downscale != 8 || !i.Video || !i.CanEncode || i.Frames(1) != 1 || i.Frames(4) != 13 {
		t.Errorf("%+v", i)
	}
	for n, frames := range map[int]int{1: 1, 4: 13} {
		y, err := v.Decode(t.Context(), familytest.Runner{}, golden.Normal(fmt.Sprint(salt, "/z", n), 1, 16, n, 3, 2))
		if err != nil {
			t.Fatal(err)
		}
		familytest.CompareEvery(t, stored, fmt.Sprint("decode", n), y, []int{frames, 3, 24, 16}, 7, golden.Tolerance{RMSRel: 1e-5})
	}
	for name, p := range map[string]struct {
		pixels *tensor.Tensor
		want   []int
	}{
		"encode1":  {golden.Normal(salt+"/p1", 1, 3, 16, 24), []int{1, 16, 1, 2, 3}},
		"encode11": {golden.Normal(salt+"/p11", 11, 3, 16, 24), []int{1, 16, 3, 2, 3}},
		"odd":      {golden.Normal(salt+"/odd", 1, 3, 25, 29), []int{1, 16, 1, 3, 3}},
	} {
		z, err := v.Encode(t.Context(), familytest.Runner{}, p.pixels)
		if err != nil {
			t.Fatal(err)
		}
		familytest.CompareEvery(t, stored, name, z, p.want, 3, golden.Tolerance{RMSRel: 1e-5})
	}
	familytest.CheckCUDA(t, src, 2)
}

func TestVAERefusals(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/vae", salt)
	v := vae(t, familytest.Stored(src, dtype.F16))
	if _, err := v.Decode(t.Context(), familytest.Runner{}, tensor.New(1, 4, 1, 3, 2)); err == nil {
		t.Error("a latent of four channels is decoded")
	}
	for _, pixels := range []*tensor.Tensor{tensor.New(1, 4, 16, 16), tensor.New(1, 3, 4, 16)} {
		if _, err := v.Encode(t.Context(), familytest.Runner{}, pixels); err == nil {
			t.Errorf("an image of shape %v is encoded", pixels.Shape)
		}
	}
	decoder := vae(t, familytest.Without(src, "encoder."))
	if _, err := decoder.Encode(t.Context(), familytest.Runner{}, tensor.New(1, 3, 16, 16)); err == nil || decoder.Info().CanEncode {
		t.Errorf("a file without encoder: %v", err)
	}
	if short, long := v.DecodeMemory([]int{1, 16, 3, 24, 40}), v.DecodeMemory([]int{1, 16, 30, 24, 40}); short <= 0 || long != short {
		t.Errorf("decoding: %d bytes, and %d for more frames", short, long)
	}
	if small, large := v.EncodeMemory([]int{5, 3, 64, 64}), v.EncodeMemory([]int{5, 3, 128, 128}); small <= 0 || large <= small {
		t.Errorf("encoding: %d bytes, and %d for a larger video", small, large)
	}
}
