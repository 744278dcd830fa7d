package flux2_test

import (
	"os"
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
	"comfygo/tests/cudakernels"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// TestCacheEqualsUpstream makes the calls of a run: the first one writes the keys and values of its reference latents, and the following
// ones read them, also with other numbers of rows.
func TestCacheEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/cache", "flux2")
	d, _, err := family.Open(family.Default, src).Diffusion()
	if err != nil {
		t.Fatal(err)
	}
	m := d.(*flux.Model)
	m.TextLength = 0
	state, options := &sampling.State{}, map[string]any{flux.OptionCache: &flux.Cache{}}
	predict := func(x *tensor.Tensor, sigma float32, refs ...*tensor.Tensor) (*tensor.Tensor, error) {
		rows, list := x.Dim(0), []any{}
		for _, r := range refs {
			list = append(list, r.Slice(0, rows))
		}
		cond := &sampling.Cond{Tokens: golden.Normal("flux2/context", 2, 5, 16).Slice(0, rows), Values: map[string]any{sampling.KeyReferences: list}}
		in, err := m.Inputs(cond, sampling.Request{Format: m.Latent()})
		if err != nil {
			t.Fatal(err)
		}
		times := make([]float32, rows)
		for i := range times {
			times[i] = sigma
		}
		return m.Predict(t.Context(), familytest.Runner{}, family.Call{X: x, T: times, Inputs: sampling.Inputs{List: in, Options: options, State: state}})
	}
	ref := golden.Normal("flux2/ref", 2, 128, 2, 1)
	for _, c := range []struct {
		name, x string
		rows    int
		sigma   float32
	}{{"first", "x1", 2, 0.9}, {"second", "x2", 1, 0.5}, {"third", "x3", 2, 0.2}} {
		y, err := predict(golden.Normal("flux2/"+c.x, 2, 128, 2, 3).Slice(0, c.rows), c.sigma, ref)
		if err != nil {
			t.Fatal(err)
		}
		familytest.Compare(t, stored, c.name, y, golden.Tolerance{RMSRel: 1e-5}) // ten times torch's own error
	}
	x := golden.Normal("flux2/x1", 2, 128, 2, 3)
	if _, err := predict(x, 0.2, ref, ref); err == nil || !strings.Contains(err.Error(), "4 tokens") {
		t.Errorf("more reference latents than in the first call: %v", err)
	}
	if y, err := predict(x, 0.2); err != nil || y == nil {
		t.Errorf("no reference latents: %v", err)
	}
}

func TestDetection(t *testing.T) {
	t.Parallel()
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"dev":               {Manifest: "flux2-small", Family: "Flux.2", Type: sampling.Flux, Shift: 2.02},
		"Klein":             {Manifest: "flux2-small", Without: "guidance_in", Family: "Flux.2", Type: sampling.Flux, Shift: 2.02},
		"Flux.1 is another": {Manifest: "flux-tiny-dev", Family: "Flux.1", Type: sampling.Flux},
	})
}

func TestLoRAKeys(t *testing.T) {
	t.Parallel()
	m := familytest.Model(t, "flux2-small", dtype.Invalid)
	h := m.(*flux.Model).Hidden
	familytest.CheckLoRAKeys(t, m, map[string]patch.Target{
		"transformer.single_transformer_blocks.0.attn.to_qkv_mlp_proj": {Key: "single_blocks.0.linear1.weight"},
		"transformer.single_transformer_blocks.0.attn.to_out":          {Key: "single_blocks.0.linear2.weight"},
		"transformer.transformer_blocks.0.ff.linear_in":                {Key: "double_blocks.0.img_mlp.0.weight"},
		"transformer.transformer_blocks.0.attn.add_v_proj":             {Key: "double_blocks.0.txt_attn.qkv.weight", From: 2 * h, Rows: h},
	})
}

// TestText checks that short encodings get zeros before them.
func TestText(t *testing.T) {
	t.Parallel()
	m := familytest.Model(t, "flux2-small", dtype.Invalid).(*flux.Model)
	text := tensor.New(1, 3, m.Context)
	text.Data[0] = 7
	in, err := m.Inputs(&sampling.Cond{Tokens: text}, sampling.Request{Shape: []int{1, 128, 4, 4}, Format: m.Latent()})
	if err != nil {
		t.Fatal(err)
	}
	got := (sampling.Inputs{List: in}).Get(sampling.InputContext)
	if got.Dim(1) != 512 || got.Data[0] != 0 || got.Data[509*m.Context] != 7 {
		t.Errorf("text encoding %v", got.Shape)
	}
}

func TestCUDA(t *testing.T) {
	t.Parallel()
	familytest.CheckCUDA(t, familytest.Manifest(t, "flux2-small", dtype.Invalid), 1)
	m := familytest.Model(t, "flux2-small", dtype.BF16).(*flux.Model)
	for _, target := range familytest.Targets(t) {
		for _, v := range []flux.Variant{{In: 128, References: true, Still: true}, {In: 128, References: true, Still: true, Keep: true}, {In: 128, Kept: true}} {
			g, err := m.Graph(v).Build(family.Spec{Target: target})
			if err != nil {
				t.Fatal(err)
			}
			cudakernels.Check(t, g)
		}
	}
}

// TestLongCat distinguishes LongCat-Image from Flux.1 by its text encoding.
func TestLongCat(t *testing.T) {
	t.Parallel()
	list := func(width string) string {
		return strings.ReplaceAll(`img_in.weight 128 64
img_in.bias 128
txt_in.weight 128 WIDTH
txt_in.bias 128
time_in.in_layer.weight 128 256
time_in.in_layer.bias 128
time_in.out_layer.weight 128 128
time_in.out_layer.bias 128
double_blocks.0.img_mod.lin.weight 768 128
double_blocks.0.img_attn.qkv.weight 384 128
double_blocks.0.img_attn.norm.query_norm.weight 128
double_blocks.0.img_attn.norm.key_norm.weight 128
double_blocks.0.img_attn.proj.weight 128 128
double_blocks.0.img_mlp.0.weight 512 128
double_blocks.0.img_mlp.2.weight 128 512
double_blocks.0.txt_mod.lin.weight 768 128
double_blocks.0.txt_attn.qkv.weight 384 128
double_blocks.0.txt_attn.norm.query_norm.weight 128
double_blocks.0.txt_attn.norm.key_norm.weight 128
double_blocks.0.txt_attn.proj.weight 128 128
double_blocks.0.txt_mlp.0.weight 512 128
double_blocks.0.txt_mlp.2.weight 128 512
final_layer.linear.weight 64 128
final_layer.adaLN_modulation.1.weight 256 128
`, "WIDTH", width)
	}
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"LongCat-Image": {Source: dryrun.List(list("3584")), Family: "LongCat-Image", Type: sampling.Flux},
		"schnell":       {Source: dryrun.List(list("4096")), Family: "Flux.1 schnell", Type: sampling.Flow, Shift: 1},
	})
	familytest.CheckCUDA(t, dryrun.List(list("3584")), 1)
}
