package cogvideo_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	inner "comfygo/internal/golden"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// file is a model with two heads, of which the first layer is described as given.
func file(first string, more ...string) weights.Source {
	return dryrun.List("blocks.0.norm1.linear.weight 768 32\npatch_embed.text_proj.weight 128 24\n" + first + "\n" + strings.Join(more, "\n") + "\n")
}

func TestDetection(t *testing.T) {
	t.Parallel()
	const out, deepOut = "proj_out.weight 64 128", "proj_out.weight 128 128"
	model := func(src weights.Source) familytest.Detection {
		return familytest.Detection{Source: src, Family: "CogVideoX", Type: sampling.VPredictionDDPM}
	}
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"text":          model(file("patch_embed.proj.weight 128 16 2 2", out)),
		"image":         model(file("patch_embed.proj.weight 128 32 2 2", out)),
		"inpainting":    model(file("patch_embed.proj.weight 128 384", deepOut)),
		"other latents": {Source: file("patch_embed.proj.weight 128 16 2 2", "proj_out.weight 48 128")},
		"no positions":  {Source: file("patch_embed.proj.weight 128 16 2 2", out, "patch_embed.pos_embedding 1 226 128")},
		"other patches": {Source: file("patch_embed.proj.weight 128 16 4 4", out)},
		"no output":     {Source: file("patch_embed.proj.weight 128 16 2 2")},
	})
}

// TestLatents checks that models of 48 heads have the scale of the 5B models.
func TestLatents(t *testing.T) {
	t.Parallel()
	for hidden, want := range map[int]float64{128: 1.15258426, 3072: 0.7} {
		src := dryrun.List(fmt.Sprintf("blocks.0.norm1.linear.weight %d 32\npatch_embed.text_proj.weight 128 24\npatch_embed.proj.weight 128 16 2 2\nproj_out.weight 64 128\n", 6*hidden))
		m, _, err := family.Open(family.Default, src).Diffusion()
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Latent(); float64(float32(got.Scale)) != float64(float32(want)) || !got.Video {
			t.Errorf("width %d: %+v", hidden, got)
		}
	}
}

// every is the distance of the values that record.py keeps.
const every = 7

// compare compares some of the values with the recorded ones.
func compare(t *testing.T, stored *inner.Tensors, name string, got *tensor.Tensor, shape []int) {
	t.Helper()
	familytest.CompareEvery(t, stored, name, got, shape, every, golden.Tolerance{RMSRel: 1e-5}) // ten times torch's own error in float32, about 1e-6
}

func denoiser(t *testing.T, src weights.Source) family.Denoiser {
	t.Helper()
	d, fam, err := family.Open(family.Default, src).Diffusion()
	if err != nil || fam.Name() != "CogVideoX" {
		t.Fatalf("%v, %v", fam, err)
	}
	return d
}

// call is a call on a latent, with frames that are given.
func call(x, concat *tensor.Tensor) family.Call {
	in := []sampling.Input{{Name: sampling.InputContext, Value: golden.Normal("cogvideo/context", 2, 7, 24), Rule: sampling.ByRows}}
	if concat != nil {
		in = append(in, sampling.Input{Name: "concat", Value: concat, Rule: sampling.ByCells})
	}
	return family.Call{X: x, T: []float32{30, 800}, Inputs: sampling.Inputs{List: in}}
}

// channels returns channels [from, to) of a latent.
func channels(x *tensor.Tensor, from, to int) *tensor.Tensor {
	out := tensor.New(append([]int{x.Dim(0), to - from}, x.Shape[2:]...)...)
	size := tensor.Count(x.Shape[2:])
	for b := range x.Dim(0) {
		copy(out.Index(b).Data, x.Index(b).Data[from*size:to*size])
	}
	return out
}

func TestNetworksEqualUpstream(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]*tensor.Tensor{
		"rotary": golden.Normal("cogvideo/x", 2, 16, 3, 5, 4), "learned": golden.Normal("cogvideo/x32", 2, 32, 3, 5, 8), "deep": golden.Normal("cogvideo/x48", 2, 48, 3, 5, 4),
	} {
		stored, src := familytest.Recorded(t, "testdata/"+name, "cogvideo")
		d := denoiser(t, src)
		var concat *tensor.Tensor
		if x.Dim(1) > 16 {
			concat = channels(x, 16, x.Dim(1))
		}
		got, err := d.Predict(t.Context(), familytest.Runner{}, call(channels(x, 0, 16), concat))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		compare(t, stored, "out", got, append([]int{2, 16}, x.Shape[2:]...))
		if small, large := d.Memory([]int{1, 16, 3, 8, 8}, 7), d.Memory([]int{1, 16, 3, 64, 64}, 7); small <= 0 || large <= small {
			t.Errorf("%s: %d bytes, and %d for a larger video", name, small, large)
		}
	}
}

func TestPredictRefusals(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/learned", "cogvideo")
	d := denoiser(t, src)
	for name, c := range map[string]family.Call{
		"an image":     call(tensor.New(2, 16, 4, 4), nil),
		"no frames":    call(tensor.New(2, 16, 3, 4, 4), nil),
		"other frames": call(tensor.New(2, 16, 3, 4, 4), tensor.New(2, 16, 2, 4, 4)),
		"too large":    call(tensor.New(2, 16, 3, 8, 8), tensor.New(2, 16, 3, 8, 8)),
		"no text":      {X: tensor.New(2, 16, 3, 4, 4), T: []float32{1, 1}},
	} {
		if _, err := d.Predict(t.Context(), familytest.Runner{}, c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestGivenFrames holds how the latent of given frames is fitted: scaled, cut or continued by zeros, its channels repeated.
func TestGivenFrames(t *testing.T) {
	t.Parallel()
	d := denoiser(t, file("patch_embed.proj.weight 128 384", "proj_out.weight 128 128")) // 48 channels
	given := tensor.New(1, 16, 1, 2, 2)
	for i := range given.Data {
		given.Data[i] = float32(i / 4)
	}
	r := sampling.Request{Shape: []int{2, 16, 2, 2, 2}, Format: d.Latent()}
	c := &sampling.Cond{Tokens: tensor.New(1, 7, 24), Values: map[string]any{sampling.KeyConcatLatent: given}}
	in, err := d.Inputs(c, r)
	if err != nil {
		t.Fatal(err)
	}
	got := sampling.Inputs{List: in}.Get("concat")
	if got == nil || !slices.Equal(got.Shape, []int{2, 32, 2, 2, 2}) {
		t.Fatalf("%v", got)
	}
	for ch := range 32 {
		want := float32(ch%16) * float32(d.Latent().Scale)
		if frame := got.Index(1).Index(ch).Data; frame[0] != want || frame[7] != 0 {
			t.Errorf("channel %d: %v, want %v and zeros", ch, frame, want)
		}
	}
	c.Values[sampling.KeyConcatLatent] = tensor.New(1, 12, 1, 2, 2)
	if _, err = d.Inputs(c, r); err == nil || !strings.Contains(err.Error(), "another family") {
		t.Errorf("a latent of another family: %v", err)
	}
	c.Values = nil
	if _, err = d.Inputs(c, sampling.Request{Shape: []int{1, 16, 2, 2}}); err == nil {
		t.Error("a latent without a time axis: no error")
	}
	if _, err = d.Inputs(&sampling.Cond{}, r); err == nil {
		t.Error("no text: no error")
	}
}

func TestLoRAKeys(t *testing.T) {
	t.Parallel()
	familytest.CheckLoRAKeys(t, denoiser(t, file("patch_embed.proj.weight 128 16 2 2", "proj_out.weight 64 128")), map[string]patch.Target{
		"lora_unet_proj_out":                    {Key: "proj_out.weight"},
		"diffusion_model.patch_embed.text_proj": {Key: "patch_embed.text_proj.weight"},
		"diffusion_model.blocks.0.norm1.linear": {Key: "blocks.0.norm1.linear.weight"},
		"lora_unet_blocks_0_norm1_linear":       {Key: "blocks.0.norm1.linear.weight"},
	})
}

func TestCUDA(t *testing.T) {
	t.Parallel()
	for name, parts := range map[string]int{"rotary": 1, "deep": 1, "vae": 2} {
		_, src := familytest.Recorded(t, "testdata/"+name, "cogvideo")
		familytest.CheckCUDA(t, src, parts)
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

// TestVAEEqualsUpstream compares videos of even and odd numbers of frames, whose chunks have norms of their own.
func TestVAEEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/vae", "cogvideo")
	v := vae(t, src)
	if i := v.Info(); i.Channels != 16 || i.Downscale != 8 || !i.Video || !i.CanEncode || i.Frames(1) != 1 || i.Frames(3) != 9 || i.Frames(2) != 8 {
		t.Errorf("%+v", i)
	}
	for n, frames := range map[int]int{1: 1, 2: 8, 3: 9} {
		y, err := v.Decode(t.Context(), familytest.Runner{}, golden.Normal(fmt.Sprint("cogvideo/z", n), 1, 16, n, 3, 2))
		if err != nil {
			t.Fatal(err)
		}
		compare(t, stored, fmt.Sprint("decode", n), y, []int{frames, 3, 24, 16})
	}
	for n, frames := range map[int]int{1: 1, 9: 3, 11: 3} {
		z, err := v.Encode(t.Context(), familytest.Runner{}, golden.Normal(fmt.Sprint("cogvideo/p", n), n, 3, 16, 24))
		if err != nil {
			t.Fatal(err)
		}
		compare(t, stored, fmt.Sprint("encode", n), z, []int{1, 16, frames, 2, 3})
	}
}

func TestVAERefusals(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/vae", "cogvideo")
	v := vae(t, familytest.Stored(src, dtype.F16))
	if _, err := v.Decode(t.Context(), familytest.Runner{}, tensor.New(1, 4, 1, 3, 2)); err == nil {
		t.Error("a latent of four channels is decoded")
	}
	if _, err := v.Encode(t.Context(), familytest.Runner{}, tensor.New(1, 4, 16, 16)); err == nil {
		t.Error("an image with transparency is encoded")
	}
	half := vae(t, familytest.Without(src, "encoder."))
	if _, err := half.Encode(t.Context(), familytest.Runner{}, tensor.New(1, 3, 16, 16)); err == nil || half.Info().CanEncode {
		t.Errorf("a file without encoder: %v", err)
	}
	if _, err := family.Open(family.Default, familytest.Without(src, "decoder.up_blocks.2")).VAE(); err == nil {
		t.Error("a VAE of two levels: no error")
	}
	if small, large := v.EncodeMemory([]int{8, 3, 64, 64}), v.EncodeMemory([]int{80, 3, 64, 64}); small <= 0 || large != small {
		t.Errorf("encoding: %d bytes, and %d for more frames", small, large)
	}
}
