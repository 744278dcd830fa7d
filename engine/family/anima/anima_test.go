package anima_test

import (
	"slices"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/anima"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/tests/cudakernels"
)

const manifest = "anima-small"

func TestDetection(t *testing.T) {
	t.Parallel()
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"Anima":      {Manifest: manifest, Family: "Anima", Type: sampling.Flow, Shift: 3},
		"no adapter": {Manifest: manifest, Without: "llm_adapter", Family: "Cosmos Predict2", Type: sampling.FlowCosmos},
		"no table":   {Manifest: manifest, Without: "llm_adapter.embed"},
		"no network": {Manifest: manifest, Without: "x_embedder"},
	})
}

// TestLoRAKeys checks that the token table takes adapters, too, though no layer of a graph reads it.
func TestLoRAKeys(t *testing.T) {
	t.Parallel()
	familytest.CheckLoRAKeys(t, familytest.Model(t, manifest, dtype.Invalid), map[string]patch.Target{
		"lora_unet_blocks_0_mlp_layer1":                   {Key: "blocks.0.mlp.layer1.weight"},
		"lora_unet_llm_adapter_blocks_0_self_attn_q_proj": {Key: "llm_adapter.blocks.0.self_attn.q_proj.weight"},
		"diffusion_model.llm_adapter.blocks.1.mlp.2":      {Key: "llm_adapter.blocks.1.mlp.2.weight"},
		"diffusion_model.llm_adapter.embed":               {Key: "llm_adapter.embed.weight", Baked: true},
	})
}

// withTable is the model with bytes for the table of tokens, which the host reads.
func withTable(t *testing.T, stored dtype.DType) family.Denoiser {
	t.Helper()
	src := familytest.Manifest(t, manifest, stored)
	var list []weights.Entry
	for _, n := range src.Names() {
		e, _ := src.Lookup(n)
		if n == "llm_adapter.embed.weight" {
			e.Data = make([]byte, e.Count()*e.DType.Size())
		}
		list = append(list, e)
	}
	d, _, err := family.Open(family.Default, dryrun.Described(list)).Diffusion()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestCUDA checks the graphs of the network and of its adapter, and that encodings without tokens of T5 are passed to the
// network unchanged.
func TestCUDA(t *testing.T) {
	t.Parallel()
	m := withTable(t, dtype.F8E4M3)
	shape := []int{1, 16, 1, 5, 4}
	for name, c := range map[string]struct {
		values map[string]any
		graphs int
		err    bool
	}{
		"tokens":       {map[string]any{anima.KeyTokens: tensor.New(6), anima.KeyWeights: tensor.New(6)}, 2, false},
		"no weights":   {map[string]any{anima.KeyTokens: tensor.New(6)}, 2, false},
		"no tokens":    {nil, 1, false},
		"unknown word": {map[string]any{anima.KeyTokens: &tensor.Tensor{Shape: []int{1}, Data: []float32{40000}}}, 0, true},
	} {
		in, err := m.Inputs(&sampling.Cond{Tokens: tensor.New(1, 3, 1024), Values: c.values}, sampling.Request{Shape: shape, Format: m.Latent()})
		if err != nil {
			t.Fatal(err)
		}
		for _, target := range familytest.Targets(t) {
			run := &dryrun.Runner{Spec: family.Spec{Target: target}}
			y, err := m.Predict(t.Context(), run, family.Call{X: tensor.New(shape...), T: []float32{1}, Inputs: sampling.Inputs{List: in}})
			if (err != nil) != c.err || run.Err != nil || len(run.Graphs) != c.graphs || err == nil && !slices.Equal(y.Shape, shape) {
				t.Errorf("%s: %d graphs, %v, %v", name, len(run.Graphs), err, run.Err)
			}
			for _, g := range run.Graphs {
				cudakernels.Check(t, g)
			}
		}
	}
	if _, err := m.Inputs(&sampling.Cond{}, sampling.Request{}); err == nil {
		t.Error("no text: no error")
	}
	if _, err := m.Inputs(&sampling.Cond{Tokens: tensor.New(1, 3, 1024), Values: map[string]any{anima.KeyTokens: tensor.New(0)}}, sampling.Request{}); err == nil {
		t.Error("no tokens in a list of them: no error")
	}
}
