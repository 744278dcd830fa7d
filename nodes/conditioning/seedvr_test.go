package conditioning_test

import (
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/dtype"
	"comfygo/engine/family/familytest"
	"comfygo/engine/safetensors"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/nodes"
	"comfygo/nodes/conditioning"
	"comfygo/tests/golden"
)

// load opens a model of these tensors; nothing is run.
func load(t *testing.T, src weights.Source) *engine.Model {
	t.Helper()
	var list []safetensors.Tensor
	for _, name := range src.Names() {
		e, _ := src.Lookup(name)
		list = append(list, safetensors.Tensor{Name: name, DType: e.DType, Shape: e.Shape, Data: e.Data})
	}
	path := filepath.Join(t.TempDir(), "model.safetensors")
	if err := safetensors.Save(path, nil, list); err != nil {
		t.Fatal(err)
	}
	rt := engine.New(engine.Config{Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(func() {
		if err := rt.Close(); err != nil {
			t.Error(err)
		}
	})
	m, err := rt.LoadModel(path, dtype.Invalid)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestSeedVR2Conditioning gives the text encodings of the file with the latent and a channel of ones.
func TestSeedVR2Conditioning(t *testing.T) {
	t.Parallel()
	family := filepath.Join("..", "..", "engine", "family")
	_, src := familytest.Recorded(t, filepath.Join(family, "seedvr2", "testdata", "plain"), "seedvr2")
	m := load(t, src)
	z := golden.Normal("seedvr2/node", 2, 16, 1, 3, 2)
	ctx := nodes.TestContext(t.Context(), nodes.Services{})
	out, err := (&conditioning.SeedVR2Conditioning{Model: m, Latent: engine.Latent{Samples: z}}).Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i, key := range []string{"positive_conditioning", "negative_conditioning"} {
		c := out.Values[i].(engine.Conditioning)
		e, _ := src.Lookup(key)
		want, err := weights.Float32s(e)
		if err != nil || len(c) != 1 || !slices.Equal(c[0].Tokens.Data, want) || c[0].Tokens.Dim(0) != 1 {
			t.Fatalf("%s: %v, %v", key, c, err)
		}
		given := c[0].Values["condition"].(*tensor.Tensor)
		if !slices.Equal(given.Shape, []int{2, 17, 1, 3, 2}) {
			t.Fatalf("%s: a latent of shape %v", key, given.Shape)
		}
		for b := range 2 {
			row := given.Index(b).Data
			if !slices.Equal(row[:96], z.Index(b).Data) || slices.ContainsFunc(row[96:], func(v float32) bool { return v != 1 }) {
				t.Errorf("%s: row %d is %v", key, b, row)
			}
		}
	}
	_, mochi := familytest.Recorded(t, filepath.Join(family, "mochi", "testdata", "network"), "mochi")
	for name, c := range map[string]struct {
		model  *engine.Model
		latent *tensor.Tensor
		want   string
	}{
		"no model":       {nil, z, "model input is empty"},
		"another model":  {load(t, mochi), z, "the model is Mochi"},
		"no latent":      {m, nil, "encode it by SeedVR2's VAE"},
		"an image":       {m, tensor.New(1, 16, 4, 4), "encode it by SeedVR2's VAE"},
		"other channels": {m, tensor.New(1, 4, 1, 4, 4), "16 channels"},
		"channels last":  {m, tensor.New(1, 1, 4, 4, 16), "16 channels"},
	} {
		if _, err := (&conditioning.SeedVR2Conditioning{Model: c.model, Latent: engine.Latent{Samples: c.latent}}).Run(ctx); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
