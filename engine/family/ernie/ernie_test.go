package ernie_test

import (
	"os"
	"strings"
	"testing"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// TestEqualsUpstream compares calls of the network, the second with positions that are scaled and shifted; torch's own error in
// float32 is about 1e-6.
func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/ernie", "ernie")
	d, fam, err := family.Open(family.Default, src).Diffusion()
	if err != nil || fam.Name() != "ERNIE-Image" {
		t.Fatalf("%v, %v", fam, err)
	}
	for name, options := range map[string]map[string]any{
		"out": nil, "scaled": {dit.OptionRotary: dit.Rotary{ScaleX: 1.5, ScaleY: 0.5, ScaleT: 1, ShiftT: 2, ShiftX: 1, ShiftY: -1}},
	} {
		cond := &sampling.Cond{Tokens: golden.Normal("ernie/context", 2, 7, 24)}
		in, err := d.Inputs(cond, sampling.Request{Format: d.Latent()})
		if err != nil {
			t.Fatal(err)
		}
		y, err := d.Predict(t.Context(), familytest.Runner{}, family.Call{
			X: golden.Normal("ernie/x", 2, 128, 2, 3), T: []float32{300, 800}, Inputs: sampling.Inputs{List: in, Options: options},
		})
		if err != nil {
			t.Fatal(err)
		}
		familytest.Compare(t, stored, name, y, golden.Tolerance{RMSRel: 1e-5})
	}
	if d.Memory([]int{1, 128, 16, 16}, 77) <= 0 {
		t.Error("no estimate of memory")
	}
}

func TestDetection(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/ernie", "ernie")
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"ERNIE-Image":     {Source: src, Family: "ERNIE-Image", Type: sampling.Flow, Shift: 3},
		"no feed-forward": {Source: src, Without: "linear_fc2"},
		"no norm":         {Source: src, Without: "norm_q"},
		"other channels":  {Source: dryrun.List("layers.0.mlp.linear_fc2.weight 64 48\nx_embedder.proj.weight 64 16 1 1\nlayers.0.self_attention.norm_q.weight 32\n")},
	})
	d, _, err := family.Open(family.Default, src).Diffusion()
	if err != nil {
		t.Fatal(err)
	}
	familytest.CheckLoRAKeys(t, d, map[string]patch.Target{
		"transformer.layers.0.self_attention.to_q": {Key: "layers.0.self_attention.to_q.weight"},
		"lora_unet_layers_1_mlp_gate_proj":         {Key: "layers.1.mlp.gate_proj.weight"},
	})
	if _, err := d.Inputs(&sampling.Cond{}, sampling.Request{}); err == nil || !strings.Contains(err.Error(), "text encoding") {
		t.Errorf("an entry without a text encoding: %v", err)
	}
	wide := sampling.Inputs{List: []sampling.Input{{Name: sampling.InputContext, Value: golden.Normal("w", 1, 3, 25)}}}
	if _, err := d.Predict(t.Context(), familytest.Runner{}, family.Call{X: golden.Normal("x", 1, 128, 2, 2), T: []float32{1}, Inputs: wide}); err == nil || !strings.Contains(err.Error(), "width 25") {
		t.Errorf("a text encoding of another width: %v", err)
	}
	familytest.CheckCUDA(t, src, 1)
}
