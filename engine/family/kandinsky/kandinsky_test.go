package kandinsky_test

import (
	"slices"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/tests/cudakernels"
)

const (
	image = "kandinsky5-image-small"
	video = "kandinsky5-i2v-small"
)

func TestDetection(t *testing.T) {
	t.Parallel()
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"image":      {Manifest: image, Family: "Kandinsky 5 Image", Type: sampling.Flow, Shift: 3},
		"video":      {Manifest: video, Family: "Kandinsky 5", Type: sampling.Flow, Shift: 10},
		"no norm":    {Manifest: video, Without: "key_norm"},
		"no pooling": {Manifest: video, Without: "pooled_text"},
	})
	for manifest, scheme := range map[string]string{image: "kandinsky5_image", video: "kandinsky5"} {
		m := familytest.Model(t, manifest, dtype.Invalid)
		if got := m.(family.Bundle).Scheme(); got != scheme || m.Latent().Video != (manifest == video) {
			t.Errorf("%s: text encoders %s, latent %+v", manifest, got, m.Latent())
		}
	}
}

func TestLoRAKeys(t *testing.T) {
	t.Parallel()
	want := patch.Target{Key: "visual_transformer_blocks.0.self_attention.to_query.weight"}
	names := map[string]patch.Target{}
	for _, prefix := range []string{"", "transformer.", "diffusion_model."} {
		names[prefix+"visual_transformer_blocks.0.self_attention.to_query"] = want
	}
	names["lora_unet_visual_transformer_blocks_0_self_attention_to_query"] = want
	familytest.CheckLoRAKeys(t, familytest.Model(t, video, dtype.Invalid), names)
}

// TestInputs holds what entries need, and the graphs on CUDA.
func TestInputs(t *testing.T) {
	t.Parallel()
	shape := []int{1, 16, 3, 6, 9}
	for name, c := range map[string]struct {
		manifest string
		shape    []int
		values   map[string]any
		mask     *tensor.Tensor
		err      bool
	}{
		"image":            {manifest: image, shape: []int{1, 16, 5, 8}},
		"video":            {manifest: video, shape: shape},
		"first frame":      {manifest: video, shape: shape, values: map[string]any{"time_dim_replace": tensor.New(1, 16, 1, 6, 9), sampling.KeyConcatMask: tensor.New(1, 1, 3, 6, 9)}},
		"noise mask":       {manifest: video, shape: shape, mask: tensor.New(1, 16, 3, 6, 9)},
		"smaller mask":     {manifest: video, shape: shape, values: map[string]any{sampling.KeyConcatMask: tensor.New(1, 1, 2, 6, 9)}},
		"frames of images": {manifest: video, shape: shape, values: map[string]any{"time_dim_replace": tensor.New(1, 16, 1, 4, 4)}, err: true},
		"flat mask":        {manifest: video, shape: shape, values: map[string]any{sampling.KeyConcatMask: tensor.New(1, 6, 9)}, err: true},
	} {
		m := familytest.Model(t, c.manifest, dtype.BF16)
		cond := &sampling.Cond{Tokens: tensor.New(1, 4, 3584), Pooled: tensor.New(1, 768), Values: c.values}
		in, err := m.Inputs(cond, sampling.Request{Shape: c.shape, Format: m.Latent(), Mask: c.mask})
		if err != nil {
			if !c.err {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		for _, target := range familytest.Targets(t) {
			run := &dryrun.Runner{Spec: family.Spec{Target: target}}
			y, err := m.Predict(t.Context(), run, family.Call{X: tensor.New(c.shape...), T: []float32{1}, Inputs: sampling.Inputs{List: in}})
			if (err != nil) != c.err || run.Err != nil || err == nil && !slices.Equal(y.Shape, c.shape) {
				t.Errorf("%s: %v, %v", name, err, run.Err)
			}
			for _, g := range run.Graphs {
				cudakernels.Check(t, g)
			}
		}
	}
	if _, err := familytest.Model(t, image, dtype.BF16).Inputs(&sampling.Cond{Tokens: tensor.New(1, 4, 3584)}, sampling.Request{}); err == nil {
		t.Error("no pooled encoding: no error")
	}
	if !slices.Contains(familytest.Model(t, image, dtype.BF16).(family.Optioned).Options(), dit.OptionRotary) {
		t.Error("scaled positions are not read")
	}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	m := familytest.Model(t, video, dtype.F16)
	small, large := m.Memory([]int{1, 16, 1, 64, 64}, 77), m.Memory([]int{1, 16, 1, 128, 128}, 77)
	const least = 8 << 20 // the hidden states of 1024 tokens, several times
	if small < least || large < 2*small {
		t.Errorf("%d bytes, and %d for four times the size", small, large)
	}
}
