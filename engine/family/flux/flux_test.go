package flux_test

import (
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/flux"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/tests/cudakernels"
)

func model(t *testing.T, src weights.Source) *flux.Model {
	t.Helper()
	d, _, err := family.Open(family.Default, src).Diffusion()
	if err != nil {
		t.Fatal(err)
	}
	return d.(*flux.Model)
}

func TestDetection(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		manifest, without, family string
		kind                      sampling.ModelType
	}{
		"dev":                        {"flux-tiny-dev", "", "Flux.1", sampling.Flux},
		"diffusers":                  {"flux-tiny-diffusers", "", "Flux.1", sampling.Flux},
		"fill":                       {"flux-fill-small", "", "Flux.1 Fill", sampling.Flux},
		"schnell":                    {"flux-schnell-small", "", "Flux.1 schnell", sampling.Flow},
		"dev without guidance":       {"flux-tiny-dev", "guidance_in", "Flux.1 schnell", sampling.Flow},
		"diffusers without guidance": {"flux-tiny-diffusers", "guidance_embedder", "Flux.1 schnell", sampling.Flow},
		"no image layer":             {"flux-tiny-dev", "img_in", "", ""},
		"no norms":                   {"flux-tiny-dev", "key_norm", "", ""},
	} {
		src := familytest.Manifest(t, c.manifest, dtype.Invalid)
		if c.without != "" {
			src = familytest.Without(src, c.without)
		}
		d, fam, err := family.Open(family.Default, src).Diffusion()
		if c.family == "" {
			if err == nil {
				t.Errorf("%s: read as %s", name, fam.Name())
			}
			continue
		}
		if err != nil || fam.Name() != c.family {
			t.Errorf("%s: family %v, %v", name, fam, err)
			continue
		}
		if kind, _ := d.Sampling(); kind != c.kind || d.Latent().Channels != 16 {
			t.Errorf("%s: %v, latent %+v", name, kind, d.Latent())
		}
	}
}

// TestDiffusersLayout checks that a file in the layout of diffusers gives the tensors of one in the original layout.
func TestDiffusersLayout(t *testing.T) {
	t.Parallel()
	m := model(t, familytest.Manifest(t, "flux-tiny-diffusers", dtype.Invalid))
	s := weights.NewScope(m.Source)
	for name, want := range map[string][]int{
		"double_blocks.0.img_attn.qkv.weight": {3 * m.Hidden, m.Hidden}, "double_blocks.0.txt_attn.qkv.bias": {3 * m.Hidden},
		"single_blocks.0.linear1.weight": {3*m.Hidden + m.MLP, m.Hidden}, "final_layer.adaLN_modulation.1.weight": {2 * m.Hidden, m.Hidden},
	} {
		s.Weight(name, want...)
	}
	if err := s.Err(); err != nil {
		t.Error(err)
	}
}

func TestLoRAKeys(t *testing.T) {
	t.Parallel()
	m := model(t, familytest.Manifest(t, "flux-tiny-dev", dtype.Invalid))
	var keys patch.KeyMap
	m.LoRAKeys(&keys, "diffusion_model.")
	qkv := "diffusion_model.double_blocks.0.img_attn.qkv.weight"
	linear1 := "diffusion_model.single_blocks.0.linear1.weight"
	h := m.Hidden
	for name, want := range map[string]patch.Target{
		"diffusion_model.double_blocks.0.img_attn.qkv":                 {Key: qkv},
		"lora_unet_double_blocks_0_img_attn_qkv":                       {Key: qkv},
		"transformer.transformer_blocks.0.attn.to_k":                   {Key: qkv, From: h, Rows: h},
		"lora_transformer_transformer_blocks_0_attn_to_v":              {Key: qkv, From: 2 * h, Rows: h},
		"lycoris_single_transformer_blocks_0_proj_mlp":                 {Key: linear1, From: 3 * h, Rows: 4 * h},
		"single_transformer_blocks.0.attn.to_q":                        {Key: linear1, Rows: h},
		"diffusion_model.single_blocks.0.linear1_qkv":                  {Key: linear1, Rows: 3 * h},
		"transformer.norm_out.linear":                                  {Key: "diffusion_model.final_layer.adaLN_modulation.1.weight", SwapHalves: true},
		"diffusion_model.double_blocks.0.img_attn.norm.query_norm":     {Key: "diffusion_model.double_blocks.0.img_attn.norm.query_norm.weight"},
		"transformer.single_transformer_blocks.0.attn.to_qkv_mlp_proj": {Key: linear1},
	} {
		if got, ok := keys.Lookup(name); !ok || got != want {
			t.Errorf("%s stands for %+v, want %+v", name, got, want)
		}
	}
}

// TestCUDAVariants checks the graphs that no exercise of the file reaches.
func TestCUDAVariants(t *testing.T) {
	t.Parallel()
	m := model(t, familytest.Manifest(t, "flux-tiny-dev", dtype.BF16))
	for _, v := range []flux.Variant{
		{In: 16, Guided: true, References: true},
		{In: 16, References: true, Still: true},
		{In: 16, Guided: true, Masked: true},
		{In: 16, Double: []int{0}, Single: []int{0}, SkipDouble: []int{0}},
		{In: 16, References: true, Single: []int{0}},
	} {
		for _, target := range familytest.Targets(t) {
			g, err := m.Graph(v).Build(family.Spec{Target: target})
			if err != nil {
				t.Fatalf("%+v: %v", v, err)
			}
			cudakernels.Check(t, g)
		}
	}
}

// TestInputs holds what a conditioning entry must have and how its inputs are batched.
func TestInputs(t *testing.T) {
	t.Parallel()
	m := model(t, familytest.Manifest(t, "flux-tiny-dev", dtype.Invalid))
	r := sampling.Request{Shape: []int{2, 16, 8, 8}, Format: m.Latent()}
	if _, err := m.Inputs(&sampling.Cond{}, r); err == nil || !strings.Contains(err.Error(), "text encoding") {
		t.Errorf("no text encoding: %v", err)
	}
	c := &sampling.Cond{Tokens: tensor.New(1, 3, 768), Values: map[string]any{
		sampling.KeyReferences: []any{tensor.New(1, 16, 4, 4)}, sampling.KeyReferenceMethod: "uxo", sampling.KeyGuidance: 2.5,
	}}
	list, err := m.Inputs(c, r)
	if err != nil {
		t.Fatal(err)
	}
	in := sampling.Inputs{List: list}
	if g := in.Get("guidance"); g == nil || g.Data[0] != 2.5 {
		t.Errorf("guidance %v", g)
	}
	want := -m.Latent().Shift * m.Latent().Scale
	if ref := in.Get("ref_latents.0"); ref == nil || ref.Data[0] != want {
		t.Errorf("reference latent %v, want it as the network reads it", ref)
	}
	c.Values[sampling.KeyGuidance] = nil
	c.Values[sampling.KeyReferences] = "an image"
	if _, err = m.Inputs(c, r); err == nil || !strings.Contains(err.Error(), "reference_latents") {
		t.Errorf("a text as reference latents: %v", err)
	}
	delete(c.Values, sampling.KeyReferences)
	if list, err = m.Inputs(c, r); err != nil || (sampling.Inputs{List: list}).Get("guidance") != nil {
		t.Errorf("guidance switched off: %v, %v", list, err)
	}
}

// TestWrongCalls checks that inputs of another family are rejected with a reason.
func TestWrongCalls(t *testing.T) {
	t.Parallel()
	m := model(t, familytest.Manifest(t, "flux-tiny-dev", dtype.Invalid))
	for name, c := range map[string]struct {
		latent, text, pooled []int
		want                 string
	}{
		"latent of four channels": {[]int{1, 4, 8, 8}, []int{1, 3, 768}, []int{1, 768}, "reads 16 channels"},
		"wide text":               {[]int{1, 16, 8, 8}, []int{1, 3, 2048}, []int{1, 768}, "text encoder of another family"},
		"narrow pooled encoding":  {[]int{1, 16, 8, 8}, []int{1, 3, 768}, []int{1, 64}, "pooled text encoding"},
		"rows":                    {[]int{2, 16, 8, 8}, []int{1, 3, 768}, []int{1, 768}, "for each row"},
	} {
		x := tensor.New(c.latent...)
		call := family.Call{X: x, T: make([]float32, x.Dim(0)), Inputs: sampling.Inputs{List: []sampling.Input{
			{Name: sampling.InputContext, Value: tensor.New(c.text...), Rule: sampling.ByRows}, {Name: flux.InputVector, Value: tensor.New(c.pooled...), Rule: sampling.ByRows},
		}}}
		_, err := m.Predict(t.Context(), &dryrun.Runner{Spec: family.Spec{Target: familytest.Targets(t)[0]}}, call)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
