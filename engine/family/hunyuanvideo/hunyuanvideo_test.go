package hunyuanvideo_test

import (
	"fmt"
	"os"
	"slices"
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
	"comfygo/tests/cudakernels"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

const manifest = "hunyuan-video-small"

// widened is the model with other shapes of some weights, and further ones.
func widened(t *testing.T, list string) weights.Source {
	t.Helper()
	other := dryrun.List(list)
	src := familytest.Manifest(t, manifest, dtype.BF16)
	return layered{src, other}
}

// layered shows the tensors of a source, or those of another where it has them.
type layered struct {
	weights.Source
	over weights.Source
}

// Names implements weights.Source.
func (l layered) Names() []string {
	names := slices.Clone(l.over.Names())
	for _, n := range l.Source.Names() {
		if !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names
}

// Lookup implements weights.Source.
func (l layered) Lookup(name string) (weights.Entry, bool) {
	if e, ok := l.over.Lookup(name); ok {
		return e, true
	}
	return l.Source.Lookup(name)
}

const (
	sky     = "img_in.proj.weight 256 32 1 2 2\n"
	concat  = "img_in.proj.weight 256 33 1 2 2\n"
	newer   = "cond_type_embedding.weight 3 256\nvision_in.proj.0.weight 1152\nvision_in.proj.0.bias 1152\nvision_in.proj.1.weight 1152 1152\nvision_in.proj.1.bias 1152\nvision_in.proj.3.weight 256 1152\nvision_in.proj.3.bias 256\nvision_in.proj.4.weight 256\nvision_in.proj.4.bias 256\nbyt5_in.layernorm.weight 1472\nbyt5_in.layernorm.bias 1472\nbyt5_in.fc1.weight 2048 1472\nbyt5_in.fc1.bias 2048\nbyt5_in.fc2.weight 2048 2048\nbyt5_in.fc2.bias 2048\nbyt5_in.fc3.weight 256 2048\nbyt5_in.fc3.bias 256\ntime_r_in.in_layer.weight 256 256\ntime_r_in.in_layer.bias 256\ntime_r_in.out_layer.weight 256 256\ntime_r_in.out_layer.bias 256\n"
	video15 = newer + "img_in.proj.weight 256 65 1 1 1\nfinal_layer.linear.weight 32 256\nfinal_layer.linear.bias 32\n"
	super   = newer + "img_in.proj.weight 256 98 1 1 1\nfinal_layer.linear.weight 32 256\nfinal_layer.linear.bias 32\n"
	refiner = "img_in.proj.weight 256 128 1 1 1\nfinal_layer.linear.weight 64 256\nfinal_layer.linear.bias 64\n"
)

func TestDetection(t *testing.T) {
	t.Parallel()
	without := func(list, part string) weights.Source { return familytest.Without(widened(t, list), part) }
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"text to video":  {Manifest: manifest, Family: "HunyuanVideo", Type: sampling.Flow, Shift: 7},
		"image to video": {Source: widened(t, concat), Family: "HunyuanVideo (image to video)", Type: sampling.Flow, Shift: 7},
		"SkyReels":       {Source: widened(t, sky), Family: "HunyuanVideo (SkyReels, image to video)", Type: sampling.Flow, Shift: 7},
		"1.5":            {Source: without(video15, "vector_in"), Family: "HunyuanVideo 1.5", Type: sampling.Flow, Shift: 7},
		"upscaling":      {Source: without(super, "vector_in"), Family: "HunyuanVideo 1.5 super-resolution", Type: sampling.Flow, Shift: 2},
		"refiner":        {Source: without(refiner, "vector_in"), Family: "HunyuanImage 2.1 refiner", Type: sampling.Flow, Shift: 4},
		"HunyuanImage":   {Manifest: "hunyuan-image21-small", Family: "HunyuanImage 2.1", Type: sampling.Flow, Shift: 5},
		"no text layers": {Manifest: manifest, Without: "individual_token_refiner"},
		"no last layer":  {Manifest: manifest, Without: "final_layer"},
	})
}

func TestLoRAKeys(t *testing.T) {
	t.Parallel()
	familytest.CheckLoRAKeys(t, familytest.Model(t, manifest, dtype.Invalid), map[string]patch.Target{
		"lora_unet_double_blocks_0_img_attn_qkv":        {Key: "double_blocks.0.img_attn.qkv.weight"},
		"transformer.double_blocks.0.img_attn_qkv":      {Key: "double_blocks.0.img_attn.qkv.weight"},
		"diffusion_model.double_blocks.0.img_mlp.fc1":   {Key: "double_blocks.0.img_mlp.0.weight"},
		"transformer.single_blocks.1.modulation.linear": {Key: "single_blocks.1.modulation.lin.weight"},
	})
}

// TestGraphs writes the graphs of all models with everything that they can read.
func TestGraphs(t *testing.T) {
	t.Parallel()
	mask, next := &tensor.Tensor{Shape: []int{1, 4}, Data: []float32{1, 1, 1, 0}}, float32(0.5)
	for name, c := range map[string]struct {
		list     string
		channels int
		values   map[string]any
	}{
		"text to video":  {"", 16, map[string]any{sampling.KeyAttentionMask: mask, sampling.KeyGuidingFrame: 0}},
		"reference":      {"", 16, map[string]any{sampling.KeyRefLatent: tensor.New(1, 16, 1, 5, 4)}},
		"image to video": {concat, 16, map[string]any{sampling.KeyConcatLatent: tensor.New(1, 16, 1, 5, 4)}},
		"SkyReels":       {sky, 16, nil},
		"1.5": {video15, 32, map[string]any{
			"conditioning_byt5small": tensor.New(1, 3, 1472), sampling.KeyVisionOutput: family.ImageEncoding{Last: tensor.New(1, 5, 1152)}, sampling.KeyAttentionMask: mask,
		}},
		"upscaling": {super, 32, map[string]any{sampling.KeyConcatLatent: tensor.New(1, 66, 3, 5, 4), sampling.KeyNoiseAugment: 0.5}},
		"refiner":   {refiner, 64, map[string]any{sampling.KeyConcatLatent: tensor.New(1, 32, 5, 5, 4), sampling.KeyNoiseAugment: 0.5}},
	} {
		src := widened(t, c.list)
		if c.channels != 16 {
			src = familytest.Without(src, "vector_in")
		}
		m, _, err := family.Open(family.Default, src).Diffusion()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		shape := []int{1, c.channels, 3, 5, 4}
		in, err := m.Inputs(&sampling.Cond{Tokens: tensor.New(1, 4, 4096), Pooled: tensor.New(1, 768), Values: c.values}, sampling.Request{Shape: shape, Format: m.Latent(), Latent: tensor.New(shape...)})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, target := range familytest.Targets(t) {
			run := &dryrun.Runner{Spec: family.Spec{Target: target}}
			y, err := m.Predict(t.Context(), run, family.Call{X: tensor.New(shape...), T: []float32{1}, Inputs: sampling.Inputs{List: in, Next: &next}})
			if err != nil || !slices.Equal(y.Shape, shape) {
				t.Errorf("%s: %v", name, err)
				break
			}
			for _, g := range run.Graphs {
				cudakernels.Check(t, g)
			}
		}
	}
}

// TestVAE15EqualsUpstream compares videos; less than ten times upstream's own error in float32, about 1e-6, is allowed.
func TestVAE15EqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/hunyuan15", "hunyuan15")
	v, err := family.Open(family.Default, src).VAE()
	if err != nil || v == nil {
		t.Fatalf("%v, %v", v, err)
	}
	tolerance := golden.Tolerance{RMSRel: 1e-5}
	for _, n := range []int{1, 2, 4} {
		y, err := v.Decode(t.Context(), familytest.Runner{}, golden.Normal(fmt.Sprintf("hunyuan15/z%d", n), 1, 8, n, 2, 3))
		if err != nil {
			t.Fatal(err)
		}
		familytest.CompareSome(t, stored, fmt.Sprintf("decode%d", n), y, []int{4*n - 3, 3, 32, 48}, tolerance)
	}
	for _, n := range []int{1, 5, 13} {
		z, err := v.Encode(t.Context(), familytest.Runner{}, golden.Normal(fmt.Sprintf("hunyuan15/x%d", n), n, 3, 32, 64))
		if err != nil {
			t.Fatal(err)
		}
		familytest.CompareSome(t, stored, fmt.Sprintf("encode%d", n), z, []int{1, 8, (n + 3) / 4, 2, 4}, tolerance)
	}
	if _, err := v.Decode(t.Context(), familytest.Runner{}, tensor.New(1, 16, 1, 2, 2)); err == nil {
		t.Error("a latent of 16 channels: no error")
	}
}
