package omnigen2_test

import (
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
)

func open(t *testing.T) family.Denoiser {
	t.Helper()
	d, fam, err := family.Open(family.Default, familytest.Manifest(t, "mod-omnigen2", dtype.F16)).Diffusion()
	if err != nil || fam.Name() != "OmniGen2" {
		t.Fatalf("%v, %v", fam, err)
	}
	return d
}

func TestDetection(t *testing.T) {
	t.Parallel()
	d := open(t)
	kind, s := d.Sampling()
	if kind != sampling.Flow || s.Shift != 2.6 || s.Multiplier != 1 || d.Latent().Channels != 16 {
		t.Errorf("%v %+v, %+v", kind, s, d.Latent())
	}
	boogu := "time_caption_embed.timestep_embedder.linear_1.bias 8\nnoise_refiner.0.attn.to_q.weight 8 8\nref_image_patch_embedder.weight 8 8\n" +
		"double_stream_layers.0.img_instruct_attn.processor.img_to_q.weight 8 8\n"
	if _, _, err := family.Open(family.Default, dryrun.List(boogu)).Diffusion(); err == nil {
		t.Error("Boogu is read")
	}
}

func TestCUDA(t *testing.T) {
	t.Parallel()
	familytest.CheckCUDA(t, familytest.Manifest(t, "mod-omnigen2", dtype.F16), 1)
}

func TestLoRAKeys(t *testing.T) {
	t.Parallel()
	var keys patch.KeyMap
	open(t).(family.Adaptable).LoRAKeys(&keys, "diffusion_model.")
	for _, name := range []string{"layers.0.attn.to_q", "diffusion_model.layers.0.attn.to_q", "lora_unet_layers_0_attn_to_q"} {
		if got, ok := keys.Lookup(name); !ok || got.Key != "diffusion_model.layers.0.attn.to_q.weight" {
			t.Errorf("%s stands for %+v", name, got)
		}
	}
}

// TestReferences builds the graph for reference latents and masked text.
func TestReferences(t *testing.T) {
	t.Parallel()
	d := open(t)
	mask := tensor.New(1, 7)
	mask.Data[2] = 1
	predict := func(refs int) (*tensor.Tensor, *dryrun.Runner, error) {
		cond := &sampling.Cond{Tokens: tensor.New(1, 7, 192), Values: map[string]any{sampling.KeyAttentionMask: mask}}
		var list []any
		for range refs {
			list = append(list, tensor.New(1, 16, 5, 4))
		}
		cond.Values[sampling.KeyReferences] = list
		x := tensor.New(1, 16, 9, 6)
		in, err := d.Inputs(cond, sampling.Request{Shape: x.Shape, Format: d.Latent()})
		if err != nil {
			t.Fatal(err)
		}
		run := &dryrun.Runner{Spec: family.Spec{Target: familytest.Targets(t)[0]}}
		y, err := d.Predict(t.Context(), run, family.Call{X: x, T: []float32{0.5}, Inputs: sampling.Inputs{List: in}})
		return y, run, err
	}
	y, run, err := predict(2)
	if err != nil || run.Err != nil || !slices.Equal(y.Shape, []int{1, 16, 9, 6}) {
		t.Errorf("%v, %v", err, run.Err)
	}
	if _, _, err := predict(6); err == nil {
		t.Error("more references than the model has embeddings for: no error")
	}
}
