package merging_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/weights"
	"comfygo/folders"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// TestSavedLoRA writes tensors as ComfyUI's training names them, in bfloat16 and with scalars: the file holds the same.
func TestSavedLoRA(t *testing.T) {
	t.Parallel()
	entry := func(name string, shape ...int) weights.Entry {
		size := 2
		for _, d := range shape {
			size *= d
		}
		e := weights.Entry{Name: "diffusion_model.input_blocks.0.0." + name, DType: dtype.BF16, Shape: shape, Data: make([]byte, size)}
		for i := range e.Data {
			e.Data[i] = byte(7*i + len(name))
		}
		return e
	}
	given := []weights.Entry{
		entry("alpha"), entry("lora_up.weight", 8, 2), entry("lora_down.weight", 2, 4, 3, 3), entry("diff", 8), entry("diff_b", 8),
	}
	lora, err := weights.Memory("trained", given...)
	if err != nil {
		t.Fatal(err)
	}
	output := t.TempDir()
	f, err := folders.New(folders.Config{Base: t.TempDir(), Output: output})
	if err != nil {
		t.Fatal(err)
	}
	c, _ := nodes.Default().Get("SaveLoRA")
	for file, steps := range map[string][]any{"a/trained_2_steps_00001_.safetensors": {"steps", 2}, "b/trained_00001_.safetensors": nil} {
		n, err := c.Bind(pyjson.NewObject(append(steps, "lora", lora, "prefix", filepath.Dir(file)+"/trained")...), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Run(nodes.TestContext(t.Context(), nodes.Services{Folders: f, Metadata: true})); err != nil {
			t.Fatal(err)
		}
		saved, err := weights.Open(filepath.Join(output, file))
		if err != nil {
			t.Fatal(err)
		}
		if len(saved.Names()) != len(given) || len(saved.Metadata()) != 0 {
			t.Errorf("%s: tensors %v, metadata %v", file, saved.Names(), saved.Metadata())
		}
		for _, want := range given {
			e, ok := saved.Lookup(want.Name)
			if !ok || e.DType != want.DType || !slices.Equal(e.Shape, want.Shape) || !bytes.Equal(e.Data, want.Data) {
				t.Errorf("%s: %s is %v %v", file, want.Name, e.DType, e.Shape)
			}
		}
	}
}
