package engine_test

import (
	"os"
	"path/filepath"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/weights"
)

// numbers is a tensor of float32 for tensorFile.
func numbers(t *testing.T, name string, values []float32, shape []int) weights.Saved {
	t.Helper()
	e := weights.Entry{Name: name, DType: dtype.F32, Shape: shape, Data: make([]byte, 4*len(values))}
	if err := weights.FromFloat32(e.Data, values, dtype.F32); err != nil {
		t.Fatal(err)
	}
	return weights.Saved{Name: name, Entry: e}
}

// tensorFile writes a safetensors file of the given name to a folder of its own and returns its path.
func tensorFile(t *testing.T, name string, all []weights.Saved) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := weights.Save(t.Context(), f, nil, all); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}
