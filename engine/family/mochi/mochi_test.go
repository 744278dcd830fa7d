package mochi_test

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/familytest"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	inner "comfygo/internal/golden"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// every is the distance of the values that record.py keeps.
const every = 7

// compare compares some of the values with the recorded ones.
func compare(t *testing.T, stored *inner.Tensors, name string, got *tensor.Tensor, shape []int, tolerance golden.Tolerance) {
	t.Helper()
	familytest.CompareEvery(t, stored, name, got, shape, every, tolerance)
}

func network(t *testing.T) (*inner.Tensors, weights.Source) {
	t.Helper()
	return familytest.Recorded(t, "testdata/network", "mochi")
}

func denoiser(t *testing.T) family.Denoiser {
	t.Helper()
	_, src := network(t)
	d, fam, err := family.Open(family.Default, src).Diffusion()
	if err != nil || fam.Name() != "Mochi" {
		t.Fatalf("%v, %v", fam, err)
	}
	return d
}

func TestDetection(t *testing.T) {
	t.Parallel()
	_, src := network(t)
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"Mochi":      {Source: src, Family: "Mochi", Type: sampling.Flow, Shift: 6},
		"no text":    {Source: src, Without: "t5_yproj"},
		"no patches": {Source: src, Without: "x_embedder"},
		"no output":  {Source: src, Without: "final_layer.linear"},
	})
	if kind, s := denoiser(t).Sampling(); kind != sampling.Flow || s.Multiplier != 1 {
		t.Errorf("%v %+v", kind, s)
	}
}

// call is a call on a latent.
func call(x *tensor.Tensor, more ...sampling.Input) family.Call {
	in := append([]sampling.Input{{Name: sampling.InputContext, Value: golden.Normal("mochi/context", 2, 9, 32), Rule: sampling.ByRows}}, more...)
	return family.Call{X: x, T: []float32{0.3, 0.9}, Inputs: sampling.Inputs{List: in}}
}

// masked are the inputs of texts of five and three tokens: all rows count together, as in upstream.
func masked() []sampling.Input {
	mask := tensor.New(2, 9)
	for _, i := range []int{0, 1, 2, 3, 4, 9, 10, 11} {
		mask.Data[i] = 1
	}
	return []sampling.Input{
		{Name: "attention_mask", Value: mask, Rule: sampling.ByRows}, {Name: "num_tokens", Value: &tensor.Tensor{Shape: []int{1}, Data: []float32{8}}, Rule: sampling.Shared},
	}
}

func TestNetworkEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, _ := network(t)
	d := denoiser(t)
	x := golden.Normal("mochi/x", 2, 12, 3, 6, 4)
	for name, more := range map[string][]sampling.Input{"out": masked(), "all": nil} {
		got, err := d.Predict(t.Context(), familytest.Runner{}, call(x, more...))
		if err != nil {
			t.Fatal(err)
		}
		compare(t, stored, name, got, x.Shape, golden.Tolerance{RMSRel: 1e-5}) // ten times torch's own error in float32, about 1e-6
	}
	skipped := call(x)
	skipped.Inputs.Options = map[string]any{sampling.OptionSkipDouble: []int{0}}
	one, err := d.Predict(t.Context(), familytest.Runner{}, skipped)
	if err != nil {
		t.Fatal(err)
	}
	all, err := d.Predict(t.Context(), familytest.Runner{}, call(x))
	if err != nil || slices.Equal(one.Data, all.Data) {
		t.Errorf("a block that is left out changes nothing (%v)", err)
	}
	if odd, err := d.Predict(t.Context(), familytest.Runner{}, call(tensor.New(2, 12, 1, 5, 3))); err != nil || !slices.Equal(odd.Shape, []int{2, 12, 1, 5, 3}) {
		t.Errorf("a latent of odd sizes: %v", err)
	}
	if small, large := d.Memory([]int{1, 12, 3, 8, 8}, 9), d.Memory([]int{1, 12, 3, 64, 64}, 9); small <= 0 || large <= small {
		t.Errorf("%d bytes, and %d for a larger video", small, large)
	}
}

func TestInputs(t *testing.T) {
	t.Parallel()
	d := denoiser(t)
	mask := &tensor.Tensor{Shape: []int{1, 4}, Data: []float32{1, 1, 1, 0}}
	c := &sampling.Cond{Tokens: tensor.New(1, 4, 32), Values: map[string]any{sampling.KeyAttentionMask: mask}}
	in, err := d.Inputs(c, sampling.Request{})
	if err != nil {
		t.Fatal(err)
	}
	if n := (sampling.Inputs{List: in}).Get("num_tokens"); n == nil || n.Data[0] != 3 {
		t.Errorf("tokens that images see: %v", n)
	}
	c.Tokens = tensor.New(1, 5, 32)
	if _, err = d.Inputs(c, sampling.Request{}); err == nil {
		t.Error("a mask of another length: no error")
	}
	if _, err = d.Inputs(&sampling.Cond{}, sampling.Request{}); err == nil {
		t.Error("no text: no error")
	}
	wrong := masked()
	wrong[0].Value = tensor.New(2, 8)
	for name, c := range map[string]family.Call{
		"an image": call(tensor.New(2, 12, 4, 4)), "other latents": call(tensor.New(2, 16, 3, 4, 4)), "another mask": call(tensor.New(2, 12, 3, 4, 4), wrong...),
		"no text": {X: tensor.New(2, 12, 3, 4, 4), T: []float32{1, 1}},
	} {
		if _, err = d.Predict(t.Context(), familytest.Runner{}, c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestLoRAKeys(t *testing.T) {
	t.Parallel()
	familytest.CheckLoRAKeys(t, denoiser(t), map[string]patch.Target{
		"blocks.0.attn.qkv_x":         {Key: "blocks.0.attn.qkv_x.weight"},
		"diffusion_model.t5_yproj":    {Key: "t5_yproj.weight"},
		"lora_unet_blocks_1_mlp_x_w1": {Key: "blocks.1.mlp_x.w1.weight"},
	})
}

func TestCUDA(t *testing.T) {
	t.Parallel()
	for name, parts := range map[string]int{"network": 1, "vae": 2} {
		_, src := familytest.Recorded(t, "testdata/"+name, "mochi")
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

// half is one half of a VAE without its name.
type half struct {
	weights.Source
	name string
}

func (h half) Names() []string {
	var out []string
	for _, n := range h.Source.Names() {
		if len(n) > len(h.name) && n[:len(h.name)] == h.name {
			out = append(out, n[len(h.name):])
		}
	}
	return out
}

func (h half) Lookup(name string) (weights.Entry, bool) {
	e, ok := h.Source.Lookup(h.name + name)
	e.Name = name
	return e, ok
}

// TestVAEEqualsUpstream compares videos, decoded a latent frame at a time. The encoder reads sines of values times 2^7·2π, whose rounding
// alone is 5e-5 of them.
func TestVAEEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/vae", "mochi")
	v := vae(t, src)
	if i := v.Info(); i.Channels != 12 || i.Downscale != 8 || !i.Video || !i.CanEncode || i.Frames(1) != 1 || i.Frames(3) != 13 {
		t.Errorf("%+v", i)
	}
	decoder, encoder := vae(t, half{src, "decoder."}), vae(t, half{src, "encoder."})
	for n, frames := range map[int]int{1: 1, 3: 13} {
		y, err := decoder.Decode(t.Context(), familytest.Runner{}, golden.Normal(fmt.Sprint("mochi/z", n), 1, 12, n, 3, 2))
		if err != nil {
			t.Fatal(err)
		}
		compare(t, stored, fmt.Sprint("decode", n), y, []int{frames, 3, 24, 16}, golden.Tolerance{RMSRel: 1e-5})
	}
	for n, frames := range map[int]int{1: 1, 9: 2, 13: 3} {
		z, err := v.Encode(t.Context(), familytest.Runner{}, golden.Normal(fmt.Sprint("mochi/p", n), n, 3, 16, 24))
		if err != nil {
			t.Fatal(err)
		}
		compare(t, stored, fmt.Sprint("encode", n), z, []int{1, 12, frames, 2, 3}, golden.Tolerance{RMSRel: 1e-4})
	}
	if _, err := encoder.Decode(t.Context(), familytest.Runner{}, tensor.New(1, 12, 1, 3, 2)); err == nil || encoder.Info().CanDecode {
		t.Errorf("a file without decoder: %v", err)
	}
	if _, err := decoder.Encode(t.Context(), familytest.Runner{}, tensor.New(1, 3, 16, 16)); err == nil || decoder.Info().CanEncode {
		t.Errorf("a file without encoder: %v", err)
	}
}

func TestVAERefusals(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/vae", "mochi")
	v := vae(t, familytest.Stored(src, dtype.F16))
	if _, err := v.Decode(t.Context(), familytest.Runner{}, tensor.New(1, 4, 1, 3, 2)); err == nil {
		t.Error("a latent of four channels is decoded")
	}
	if _, err := v.Encode(t.Context(), familytest.Runner{}, tensor.New(1, 4, 16, 16)); err == nil {
		t.Error("an image with transparency is encoded")
	}
	for _, missing := range []string{"decoder.blocks.0.0", "encoder.output_proj"} {
		if _, err := family.Open(family.Default, familytest.Without(src, missing)).VAE(); err == nil {
			t.Errorf("a VAE without %s: no error", missing)
		}
	}
	if short, long := v.DecodeMemory([]int{1, 12, 3, 24, 40}), v.DecodeMemory([]int{1, 12, 30, 24, 40}); short <= 0 || long != short {
		t.Errorf("decoding: %d bytes, and %d for more frames", short, long)
	}
	if small, large := v.EncodeMemory([]int{7, 3, 64, 64}), v.EncodeMemory([]int{7, 3, 128, 128}); small <= 0 || large <= small {
		t.Errorf("encoding: %d bytes, and %d for a larger video", small, large)
	}
}
