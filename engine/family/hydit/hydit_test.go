package hydit_test

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
	"comfygo/tests/cudakernels"
)

func TestDetection(t *testing.T) {
	t.Parallel()
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"1.2":       {Manifest: "hydit-small", Family: "Hunyuan-DiT", Type: sampling.VPrediction},
		"1.1":       {Manifest: "hydit1-small", Family: "Hunyuan-DiT", Type: sampling.VPrediction},
		"no mT5":    {Manifest: "hydit-small", Without: "mlp_t5"},
		"no pooler": {Manifest: "hydit-small", Without: "pooler"},
	})
	for manifest, end := range map[string]float64{"hydit-small": 0.018, "hydit1-small": 0.03} {
		if _, s := familytest.Model(t, manifest, dtype.Invalid).Sampling(); s.LinearEnd != end {
			t.Errorf("%s: the schedule ends at %v", manifest, s.LinearEnd)
		}
	}
}

func TestLoRAKeys(t *testing.T) {
	t.Parallel()
	familytest.CheckLoRAKeys(t, familytest.Model(t, "hydit1-small", dtype.Invalid), map[string]patch.Target{
		"base_model.model.blocks.0.attn1.Wqkv": {Key: "blocks.0.attn1.Wqkv.weight"},
		"lora_unet_blocks_0_attn2_kv_proj":     {Key: "blocks.0.attn2.kv_proj.weight"},
		"diffusion_model.mlp_t5.0":             {Key: "mlp_t5.0.weight"},
	})
}

// entry is a conditioning entry with the given number of tokens of BERT and of mT5.
func entry(texts, wide int, values map[string]any) *sampling.Cond {
	c := &sampling.Cond{Tokens: tensor.New(1, texts, 1024), Values: map[string]any{"conditioning_mt5xl": tensor.New(1, wide, 2048)}}
	for k, v := range values {
		c.Values[k] = v
	}
	return c
}

// TestInputs holds what entries need, and the graphs on CUDA.
func TestInputs(t *testing.T) {
	t.Parallel()
	shape := []int{1, 4, 5, 8}
	for _, manifest := range []string{"hydit-small", "hydit1-small", "hydit-skip-small"} {
		m := familytest.Model(t, manifest, dtype.F16)
		for name, c := range map[string]struct {
			cond *sampling.Cond
			err  bool
		}{
			"plain":      {entry(77, 256, nil), false},
			"masks":      {entry(77, 256, map[string]any{sampling.KeyAttentionMask: tensor.New(1, 77), "attention_mask_mt5xl": tensor.New(1, 256)}), false},
			"longer":     {entry(154, 300, nil), false},
			"short BERT": {entry(20, 256, nil), true},
			"short mT5":  {entry(77, 20, nil), true},
			"wrong mask": {entry(77, 256, map[string]any{sampling.KeyAttentionMask: tensor.New(1, 3)}), true},
		} {
			in, err := m.Inputs(c.cond, sampling.Request{Shape: shape, Format: m.Latent()})
			if err != nil {
				t.Fatal(err)
			}
			for _, target := range familytest.Targets(t) {
				run := &dryrun.Runner{Spec: family.Spec{Target: target}}
				y, err := m.Predict(t.Context(), run, family.Call{X: tensor.New(shape...), T: []float32{1}, Inputs: sampling.Inputs{List: in}})
				if (err != nil) != c.err || run.Err != nil || err == nil && !slices.Equal(y.Shape, shape) {
					t.Errorf("%s, %s: %v, %v", manifest, name, err, run.Err)
				}
				for _, g := range run.Graphs {
					cudakernels.Check(t, g)
				}
			}
		}
		if _, err := m.Inputs(&sampling.Cond{Tokens: tensor.New(1, 77, 1024)}, sampling.Request{Shape: shape}); err == nil {
			t.Errorf("%s: no encoding of mT5: no error", manifest)
		}
	}
}

// TestSizes holds which sizes of an image version 1.1 reads.
func TestSizes(t *testing.T) {
	t.Parallel()
	m := familytest.Model(t, "hydit1-small", dtype.Invalid)
	for name, c := range map[string]struct {
		values map[string]any
		want   []float32
	}{
		"none":   {nil, []float32{768, 768, 768, 768, 0, 0}},
		"own":    {map[string]any{sampling.KeyWidth: 640, sampling.KeyHeight: 512}, []float32{512, 640, 512, 640, 0, 0}},
		"target": {map[string]any{sampling.KeyTargetWidth: 1024, sampling.KeyTargetHeight: 896}, []float32{768, 768, 896, 1024, 0, 0}},
	} {
		in, err := m.Inputs(entry(77, 256, c.values), sampling.Request{Shape: []int{1, 4, 8, 8}})
		if err != nil {
			t.Fatal(err)
		}
		if sizes := (sampling.Inputs{List: in}).Get("image_meta_size"); sizes == nil || !slices.Equal(sizes.Data, c.want) {
			t.Errorf("%s: %v, want %v", name, sizes, c.want)
		}
	}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	m := familytest.Model(t, "hydit-small", dtype.F16)
	small, large := m.Memory([]int{1, 4, 64, 64}, 77), m.Memory([]int{1, 4, 128, 128}, 77)
	const least = 8 << 20 // the hidden states of 1024 tokens, several times
	if small < least || large < 2*small {
		t.Errorf("%d bytes, and %d for four times the size", small, large)
	}
}
