package vision_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/engine"
	_ "comfygo/engine/family/all"
	"comfygo/engine/safetensors"
	"comfygo/engine/tensor"
	inner "comfygo/internal/golden"
	"comfygo/nodes"
	"comfygo/tests/golden"
	"comfygo/tests/nodetest"
)

// runtime is the one of all tests: a process can have one library open.
var runtime *engine.Runtime

func TestMain(m *testing.M) { os.Exit(nodetest.Main(m, &runtime, nil)) }

// overflowing are the tensors of a model whose last layers have finite weights that are too large for float32 when they are summed.
func overflowing(list []safetensors.Tensor) []safetensors.Tensor {
	out := slices.Clone(list)
	for i, t := range out {
		if strings.Contains(t.Name, "dec_score_head.") && strings.HasSuffix(t.Name, ".weight") || t.Name == "decoder.conv_out1.0.weight" {
			out[i].Data = bytes.Repeat([]byte{0xff, 0xff, 0x7f, 0x7f}, len(t.Data)/4)
		}
	}
	return out
}

// place returns a context with a model folder that has the recorded model of a family as NAME.safetensors (change changes its tensors), overflow.safetensors of values that are too
// large, other.safetensors of another family and broken.safetensors.
func place(t *testing.T, folder, family, name string, change func(*safetensors.Tensor)) *nodes.Context {
	t.Helper()
	base := t.TempDir()
	dir := filepath.Join(base, "models", folder)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	list := nodetest.Recorded(t, family, name)
	if change != nil {
		for i := range list {
			change(&list[i])
		}
	}
	save := func(name string, list []safetensors.Tensor) {
		nodetest.Save(t, filepath.Join(dir, name+".safetensors"), list)
	}
	save(name, list)
	save("overflow", overflowing(list))
	save("other", []safetensors.Tensor{{Name: "conv_first.weight", DType: list[0].DType, Shape: []int{1}, Data: make([]byte, 4)}})
	if err := os.WriteFile(filepath.Join(dir, "broken.safetensors"), []byte("no model"), 0o600); err != nil {
		t.Fatal(err)
	}
	return nodetest.Context(t, runtime, base)
}

// image is one of a recording's, around 0.5.
func image(salt, name string, shape ...int) *tensor.Tensor {
	x := golden.Normal(salt+"/"+name, shape...)
	for i, v := range x.Data {
		x.Data[i] = v/4 + 0.5
	}
	return x
}

// check compares every so many values with those recorded.
func check(t *testing.T, stored *inner.Tensors, name string, got []float32, every int, tolerance golden.Tolerance) {
	t.Helper()
	want, err := stored.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	got = golden.Strided(got, every)
	if len(got) != len(want.Data) {
		t.Errorf("%s: %d values, want %d", name, len(got), len(want.Data))
		return
	}
	golden.Compare(t, name, got, want.Data, tolerance)
}
