package engine_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/dtype"
	"comfygo/engine/safetensors"
	"comfygo/engine/weights"
	"comfygo/tests/golden"
)

// tripledDemo writes the built-in model with the last layer of its diffusion model, and so its prediction, tripled.
func tripledDemo(t *testing.T) string {
	t.Helper()
	return changed(t, func(x safetensors.Tensor) *safetensors.Tensor {
		if !strings.HasPrefix(x.Name, "model.diffusion_model.out.2.") {
			return &x
		}
		v, err := weights.Float32s(weights.Entry{Name: x.Name, DType: x.DType, Shape: x.Shape, Data: x.Data})
		if err != nil {
			t.Fatal(err)
		}
		for i := range v {
			v[i] *= 3
		}
		x.Data = make([]byte, len(x.Data))
		if err := weights.FromFloat32(x.Data, v, x.DType); err != nil {
			t.Fatal(err)
		}
		return &x
	}, true)
}

// saved writes a checkpoint of a model into a file.
func saved(t *testing.T, b engine.Bundle) string {
	t.Helper()
	tensors, err := shared.Checkpoint(b, "title")
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := tensors.Write(t.Context(), &file, map[string]string{"prompt": "{}"}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "saved.safetensors")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestMergedModels merges models whose predictions are multiples of each other, so that those of the merged ones are, too,
// before and after they were saved.
func TestMergedModels(t *testing.T) {
	t.Parallel()
	load := func(path string) *engine.Model {
		m, _, _, err := shared.LoadCheckpoint(path)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	answer := func(m *engine.Model) []float32 {
		y, err := step(t.Context(), m, 40)
		if err != nil {
			t.Fatal(err)
		}
		return y.Data
	}
	first, second := load(demoFile(t)), load(tripledDemo(t))
	base := answer(first)
	for name, c := range map[string]struct{ keep, add, factor float64 }{
		"mean": {0.5, 0.5, 2}, "second": {0, 1, 3}, "difference": {2, -1, -1}, "first": {1, 0, 1},
	} {
		m, err := first.Merge(t.Context(), second, func(key string) (float64, float64) {
			if strings.HasPrefix(key, "out.2.") {
				return c.keep, c.add
			}
			return 1, 0
		})
		if err != nil {
			t.Fatal(err)
		}
		want := make([]float32, len(base))
		for i, v := range base {
			want[i] = v * float32(c.factor)
		}
		golden.Compare(t, name, answer(m), want, golden.Tolerance{RMSRel: 1e-3}) // the file's half precision triples inexactly
		golden.Compare(t, name+", saved", answer(load(saved(t, engine.Bundle{Model: m}))), want, golden.Tolerance{RMSRel: 2e-3})
	}
}

// TestSavedCheckpointIsTheSame: without changes a checkpoint is saved with the bytes of its tensors.
func TestSavedCheckpointIsTheSame(t *testing.T) {
	t.Parallel()
	path := demoFile(t)
	m, c, v, err := shared.LoadCheckpoint(path)
	if err != nil {
		t.Fatal(err)
	}
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	now, err := os.ReadFile(saved(t, engine.Bundle{Model: m, CLIP: c, VAE: v}))
	if err != nil {
		t.Fatal(err)
	}
	want, _, err := safetensors.Parse(was)
	if err != nil {
		t.Fatal(err)
	}
	got, meta, err := safetensors.Parse(now)
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]safetensors.Tensor{}
	for _, x := range got {
		have[x.Name] = x
	}
	for _, x := range want {
		if y, ok := have[x.Name]; !ok || y.DType != x.DType || !bytes.Equal(y.Data, x.Data) {
			t.Errorf("%s is missing or another tensor", x.Name)
		}
	}
	if len(got) != len(want) || meta["prompt"] != "{}" || meta["modelspec.predict_key"] == "" {
		t.Errorf("%d tensors of %d, metadata %v", len(got), len(want), meta)
	}
}

func TestMergeOfOtherFamilies(t *testing.T) {
	t.Parallel()
	m, _, _, err := shared.LoadCheckpoint(demoFile(t))
	if err != nil {
		t.Fatal(err)
	}
	other, err := shared.LoadModel(manifest(t, "sdxl-small"), dtype.Invalid)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Merge(t.Context(), other, func(string) (float64, float64) { return 0.5, 0.5 }); err == nil || !strings.Contains(err.Error(), "different families") {
		t.Errorf("merging models of different sizes: %v", err)
	}
}
