package engine_test

import (
	"path/filepath"
	"testing"

	"comfygo/engine/family/familytest"
	"comfygo/engine/safetensors"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
)

// TestCheckpointOnPixels loads a small HiDream O1 as a checkpoint: it has neither text encoders nor a VAE, and returns those that need no
// file. A prompt is encoded, predicted from and decoded.
func TestCheckpointOnPixels(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "family/hidreamo1/testdata/hidreamo1", "hidreamo1")
	var list []safetensors.Tensor
	for _, name := range src.Names() {
		e, _ := src.Lookup(name)
		list = append(list, safetensors.Tensor{Name: "model.diffusion_model." + name, DType: e.DType, Shape: e.Shape, Data: e.Data})
	}
	path := filepath.Join(t.TempDir(), "hidream_o1.safetensors")
	if err := safetensors.Save(path, nil, list); err != nil {
		t.Fatal(err)
	}
	m, c, v, err := shared.LoadCheckpoint(path)
	if err != nil || m == nil || c == nil || v == nil {
		t.Fatal(m, c, v, err)
	}
	cond, err := c.Encode(t.Context(), "a cat")
	if err != nil {
		t.Fatal(err)
	}
	x := tensor.New(1, 3, 64, 64)
	in, err := m.Inputs(t.Context(), &sampling.Cond{Tokens: cond[0].Tokens, Values: cond[0].Values}, sampling.Request{Shape: x.Shape, Format: m.LatentFormat()})
	if err != nil {
		t.Fatal(err)
	}
	y, err := m.Predict(t.Context(), x, []float32{500}, sampling.Inputs{List: in})
	if err != nil || !tensor.SameShape(x, y) {
		t.Fatal(y, err)
	}
	image, err := v.Decode(t.Context(), y)
	if err != nil || image.Dim(1) != 64 || image.Dim(3) != 3 {
		t.Errorf("%v, %v", image, err)
	}
}
