package cosmos_test

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
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

// every is the distance of the values that record.py keeps.
const every = 7

// compare compares some of the values with the recorded ones.
func compare(t *testing.T, stored *inner.Tensors, name string, got *tensor.Tensor, shape []int) {
	t.Helper()
	familytest.CompareEvery(t, stored, name, got, shape, every, golden.Tolerance{RMSRel: 1e-5}) // ten times torch's own error in float32, about 1e-6
}

func firstModel(t *testing.T, src weights.Source) family.Denoiser {
	t.Helper()
	d, fam, err := family.Open(family.Default, src).Diffusion()
	if err != nil || fam.Name() != "Cosmos 1" {
		t.Fatalf("%v, %v", fam, err)
	}
	return d
}

// part returns channels [from, to) of a latent.
func part(x *tensor.Tensor, from, to int) *tensor.Tensor {
	out := tensor.New(append([]int{x.Dim(0), to - from}, x.Shape[2:]...)...)
	size := tensor.Count(x.Shape[2:])
	for b := range x.Dim(0) {
		copy(out.Index(b).Data, x.Index(b).Data[from*size:to*size])
	}
	return out
}

// textModel is what detection reads of a model for videos from text.
const textModel = `blocks.block0.blocks.0.block.attn.to_q.0.weight 128 128
blocks.block0.blocks.0.block.attn.to_q.1.weight 64
blocks.block0.blocks.1.block.attn.to_k.0.weight 128 24
x_embedder.proj.1.weight 128 68
final_layer.linear.weight 64 128
extra_pos_embedder.pos_emb_h 8 128
extra_pos_embedder.pos_emb_w 8 128
extra_pos_embedder.pos_emb_t 4 128
`

func TestFirstDetection(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/network", "cosmos")
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"images":    {Source: src, Family: "Cosmos 1", Type: sampling.EDM},
		"text":      {Source: dryrun.List(textModel), Family: "Cosmos 1", Type: sampling.EDM},
		"no places": {Source: src, Without: "pos_emb_h"},
		"no text":   {Source: src, Without: "blocks.1.block.attn.to_k"},
		"no norm":   {Source: src, Without: "to_q.1"},
	})
}

// TestFirstEqualsUpstream compares the network with and without a frame rate: upstream reads the mask of given frames as a channel.
func TestFirstEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/network", "cosmos")
	d := firstModel(t, src)
	x := golden.Normal("cosmos/x", 2, 17, 3, 6, 4)
	in := []sampling.Input{
		{Name: sampling.InputContext, Value: golden.Normal("cosmos/context", 2, 7, 24), Rule: sampling.ByRows},
		{Name: "given", Value: part(x, 16, 17), Rule: sampling.ByCells},
	}
	for name, more := range map[string][]sampling.Input{"plain": nil, "paced": {{Name: "pace", Value: &tensor.Tensor{Shape: []int{1}, Data: []float32{24.0 / 30}}, Rule: sampling.Shared}}} {
		got, err := d.Predict(t.Context(), familytest.Runner{}, family.Call{X: part(x, 0, 16), T: []float32{0.3, -1.2}, Inputs: sampling.Inputs{List: slices.Concat(in, more)}})
		if err != nil {
			t.Fatal(err)
		}
		compare(t, stored, name, got, []int{2, 16, 3, 6, 4})
	}
	for name, shape := range map[string][]int{"too long": {2, 16, 5, 6, 4}, "too wide": {2, 16, 3, 6, 18}, "other latents": {2, 4, 3, 6, 4}} {
		if _, err := d.Predict(t.Context(), familytest.Runner{}, family.Call{X: tensor.New(shape...), T: []float32{1, 1}, Inputs: sampling.Inputs{List: in[:1]}}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestFirstInputs checks the inputs from a conditioning entry: the mask of given frames, inverted, and the frame rate.
func TestFirstInputs(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/network", "cosmos")
	d := firstModel(t, src)
	mask := tensor.New(1, 1, 2, 2, 2)
	for i := range 4 {
		mask.Data[4+i] = 1
	}
	r := sampling.Request{Shape: []int{1, 16, 2, 2, 2}, Format: d.Latent(), Mask: mask}
	c := &sampling.Cond{Tokens: tensor.New(1, 7, 24), Values: map[string]any{sampling.KeyFrameRate: 12}}
	in, err := d.Inputs(c, r)
	if err != nil {
		t.Fatal(err)
	}
	list := sampling.Inputs{List: in}
	if given := list.Get("given"); given == nil || given.Data[0] != 1 || given.Data[7] != 0 {
		t.Errorf("given: %v", given)
	}
	if pace := list.Get("pace"); pace == nil || pace.Data[0] != 2 {
		t.Errorf("pace: %v", pace)
	}
	for _, wrong := range []any{0, "fast"} {
		c.Values[sampling.KeyFrameRate] = wrong
		if _, err = d.Inputs(c, r); err == nil {
			t.Errorf("a frame rate of %v: no error", wrong)
		}
	}
	kept := d.(family.Keeping).Kept(3, &tensor.Tensor{Shape: []int{1}, Data: []float32{1}})
	if want := float32(math.Sqrt(9.25) * 2); math.Abs(float64(kept.Data[0]-want)) > 1e-6 {
		t.Errorf("kept: %v, want %v", kept.Data, want)
	}
}

func TestFirstLoRAKeys(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/network", "cosmos")
	familytest.CheckLoRAKeys(t, firstModel(t, src), map[string]patch.Target{
		"diffusion_model.blocks.block0.blocks.0.block.attn.to_q.0": {Key: "blocks.block0.blocks.0.block.attn.to_q.0.weight"},
		"lora_unet_blocks_block1_blocks_2_block_layer1":            {Key: "blocks.block1.blocks.2.block.layer1.weight"},
	})
}

func TestFirstCUDA(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/network", "cosmos")
	familytest.CheckCUDA(t, src, 1)
	familytest.CheckCUDA(t, vaeFile(t), 2)
}

// vaeFile is the VAE that record.py recorded, with the key by which upstream detects it and the mean and deviation of
// latents.
func vaeFile(t *testing.T) weights.Source {
	t.Helper()
	_, src := familytest.Recorded(t, "testdata/vae", "cosmos")
	mean, deviation := golden.Normal("cosmos/mean", 256), golden.Normal("cosmos/std", 256)
	for i := range mean.Data {
		mean.Data[i] /= 4
		deviation.Data[i] = 1 + deviation.Data[i]/8
	}
	var list []weights.Entry
	add := func(name string, x *tensor.Tensor) {
		data := make([]byte, 4*x.Len())
		if err := weights.FromFloat32(data, x.Data, dtype.F32); err != nil {
			t.Fatal(err)
		}
		list = append(list, weights.Entry{Name: name, DType: dtype.F32, TypeName: "F32", Shape: x.Shape, Data: data})
	}
	for _, n := range src.Names() {
		if e, ok := src.Lookup(n); ok && !strings.HasPrefix(n, "latent_") {
			list = append(list, e)
		}
	}
	add("latent_mean", mean)
	add("latent_std", deviation)
	add("decoder.unpatcher3d.wavelets", tensor.New(2))
	return dryrun.Described(list)
}

func vae(t *testing.T, src weights.Source) family.Autoencoder {
	t.Helper()
	v, err := family.Open(family.Default, src).VAE()
	if err != nil || v == nil {
		t.Fatalf("%v, %v", v, err)
	}
	return v
}

// TestVAEEqualsUpstream compares videos, including some whose frames do not fill a whole latent.
func TestVAEEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, _ := familytest.Recorded(t, "testdata/vae", "cosmos")
	v := vae(t, vaeFile(t))
	if i := v.Info(); i.Channels != 16 || i.Downscale != 8 || !i.Video || !i.CanEncode || i.Frames(1) != 1 || i.Frames(3) != 17 {
		t.Errorf("%+v", i)
	}
	for n, frames := range map[int]int{1: 1, 3: 17} {
		y, err := v.Decode(t.Context(), familytest.Runner{}, golden.Normal(fmt.Sprint("cosmos/z", n), 1, 16, n, 3, 2))
		if err != nil {
			t.Fatal(err)
		}
		compare(t, stored, fmt.Sprint("decode", n), y, []int{frames, 3, 24, 16})
	}
	for n, frames := range map[int]int{1: 1, 12: 2, 14: 3, 17: 3} {
		z, err := v.Encode(t.Context(), familytest.Runner{}, golden.Normal(fmt.Sprint("cosmos/p", n), n, 3, 16, 24))
		if err != nil {
			t.Fatal(err)
		}
		compare(t, stored, fmt.Sprint("encode", n), z, []int{1, 16, frames, 2, 3})
	}
}

func TestVAERefusals(t *testing.T) {
	t.Parallel()
	src := vaeFile(t)
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
	for _, missing := range []string{"latent_mean", "post_quant_conv", "decoder.conv_out.0"} {
		if _, err := family.Open(family.Default, familytest.Without(src, missing)).VAE(); err == nil {
			t.Errorf("a VAE without %s: no error", missing)
		}
	}
	if _, err := vae(t, familytest.Without(src, "latent_std")).Decode(t.Context(), familytest.Runner{}, tensor.New(1, 16, 1, 3, 2)); err == nil || !strings.Contains(err.Error(), "latent_std") {
		t.Errorf("a VAE without deviations: %v", err)
	}
	if small, large := v.DecodeMemory([]int{1, 16, 2, 16, 16}), v.DecodeMemory([]int{1, 16, 2, 32, 32}); small <= 0 || large <= small {
		t.Errorf("decoding: %d bytes, and %d for a larger video", small, large)
	}
	if small, large := v.EncodeMemory([]int{9, 3, 64, 64}), v.EncodeMemory([]int{9, 3, 128, 128}); small <= 0 || large <= small {
		t.Errorf("encoding: %d bytes, and %d for a larger video", small, large)
	}
}
