package qwenimage_test

import (
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
)

// small is the model of the goldens with further tensors.
func small(t *testing.T, more string) weights.Source {
	t.Helper()
	src := familytest.Manifest(t, "mod-qwen-image", dtype.BF16)
	extra := dryrun.List(more)
	var list []weights.Entry
	for _, s := range []weights.Source{src, extra} {
		for _, n := range s.Names() {
			e, _ := s.Lookup(n)
			list = append(list, e)
		}
	}
	return dryrun.Described(list)
}

func open(t *testing.T, src weights.Source) (family.Denoiser, string) {
	t.Helper()
	d, fam, err := family.Open(family.Default, src).Diffusion()
	if err != nil {
		t.Fatal(err)
	}
	return d, fam.Name()
}

func TestDetection(t *testing.T) {
	t.Parallel()
	d, name := open(t, small(t, ""))
	kind, settings := d.Sampling()
	if name != "Qwen-Image" || kind != sampling.Flux || settings.Shift != 1.15 || !d.Latent().Video || d.Latent().Channels != 16 {
		t.Errorf("%s: %v %+v, %+v", name, kind, settings, d.Latent())
	}
	for what, list := range map[string]string{
		"Mage-Flow": "txt_norm.weight 2560\nproj_out.weight 128 64\nimg_in.weight 64 128\ntransformer_blocks.0.img_mlp.net.0.proj.weight 64 64\n",
		"Lens":      "txt_norm.weight 2560\ntransformer_blocks.0.attn.norm_added_q.weight 64\ntransformer_blocks.0.img_mlp.w1.weight 64 64\n",
	} {
		if _, _, err := family.Open(family.Default, dryrun.List(list)).Diffusion(); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestCUDA(t *testing.T) {
	t.Parallel()
	familytest.CheckCUDA(t, small(t, ""), 1)
}

func TestLoRAKeys(t *testing.T) {
	t.Parallel()
	d, _ := open(t, small(t, ""))
	var keys patch.KeyMap
	d.(family.Adaptable).LoRAKeys(&keys, "diffusion_model.")
	want := patch.Target{Key: "diffusion_model.transformer_blocks.1.attn.to_out.0.weight"}
	for _, name := range []string{
		"transformer_blocks.1.attn.to_out.0", "transformer.transformer_blocks.1.attn.to_out.0", "lycoris_transformer_blocks_1_attn_to_out_0",
		"diffusion_model.transformer_blocks.1.attn.to_out.0", "lora_unet_transformer_blocks_1_attn_to_out_0",
	} {
		if got, ok := keys.Lookup(name); !ok || got != want {
			t.Errorf("%s stands for %+v, %v", name, got, ok)
		}
	}
}

// TestReferences builds the graphs for reference latents, for each method and for odd sizes, and for masked text.
func TestReferences(t *testing.T) {
	t.Parallel()
	target := familytest.Targets(t)[0]
	for name, c := range map[string]struct {
		marker, method string
		inputs         []string
	}{
		"index":    {"", "", []string{"ref"}},
		"2511":     {"__index_timestep_zero__ 0\n", "", []string{"ref"}},
		"layered":  {"time_text_embed.addition_t_embedding.weight 2 256\n", "", []string{"ref"}},
		"by entry": {"", "offset", []string{"ref"}},
		"unknown":  {"", "another", []string{"ref"}},
	} {
		d, _ := open(t, small(t, c.marker))
		mask := tensor.New(1, 7)
		mask.Data[3] = 1
		cond := &sampling.Cond{Tokens: tensor.New(1, 7, 512), Values: map[string]any{
			sampling.KeyReferences: []any{tensor.New(1, 16, 5, 4), tensor.New(1, 16, 2, 3, 3)}, sampling.KeyAttentionMask: mask,
		}}
		if c.method != "" {
			cond.Values[sampling.KeyReferenceMethod] = c.method
		}
		shape := []int{1, 16, 3, 9, 6}
		in, err := d.Inputs(cond, sampling.Request{Shape: shape, Format: d.Latent()})
		if err != nil {
			t.Fatal(err)
		}
		run := &dryrun.Runner{Spec: family.Spec{Target: target}}
		y, err := d.Predict(t.Context(), run, family.Call{X: tensor.New(shape...), T: []float32{0.5}, Inputs: sampling.Inputs{List: in}})
		if err != nil || run.Err != nil || !slices.Equal(y.Shape, shape) {
			t.Errorf("%s: %v, %v", name, err, run.Err)
			continue
		}
		var has []string
		for _, v := range run.Graphs[0].Inputs() {
			has = append(has, v.Name)
		}
		for _, want := range append(c.inputs, "mask") {
			if !slices.Contains(has, want) {
				t.Errorf("%s: the graph reads %v, not %s", name, has, want)
			}
		}
	}
}

func TestWrongInputs(t *testing.T) {
	t.Parallel()
	d, _ := open(t, small(t, ""))
	if _, err := d.Inputs(&sampling.Cond{}, sampling.Request{}); err == nil {
		t.Error("no text: no error")
	}
	text := sampling.Input{Name: sampling.InputContext, Value: tensor.New(1, 3, 512), Rule: sampling.ByRows}
	for name, c := range map[string]struct {
		x  *tensor.Tensor
		in []sampling.Input
	}{
		"no frames":    {tensor.New(1, 16, 8, 8), []sampling.Input{text}},
		"other width":  {tensor.New(1, 16, 1, 8, 8), []sampling.Input{{Name: sampling.InputContext, Value: tensor.New(1, 3, 768), Rule: sampling.ByRows}}},
		"other latent": {tensor.New(1, 16, 1, 8, 8), []sampling.Input{text, {Name: "ref_latents.0", Value: tensor.New(1, 4, 1, 8, 8), Rule: sampling.ByRows}}},
		"short mask":   {tensor.New(1, 16, 1, 8, 8), []sampling.Input{text, {Name: "attention_mask", Value: tensor.New(1, 2), Rule: sampling.ByRows}}},
	} {
		run := &dryrun.Runner{Spec: family.Spec{Target: familytest.Targets(t)[0]}}
		if _, err := d.Predict(t.Context(), run, family.Call{X: c.x, T: []float32{1}, Inputs: sampling.Inputs{List: c.in}}); err == nil || run.Err != nil {
			t.Errorf("%s: %v, %v", name, err, run.Err)
		}
	}
}
