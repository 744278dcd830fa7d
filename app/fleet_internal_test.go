package app

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"comfygo/engine/inspect"
	"comfygo/folders"
	"comfygo/internal/golden"
	"comfygo/internal/pyjson"
)

// TestFamiliesOf finds the family of the checkpoint that a prompt opens. Files that are not here, and inputs of classes that are not native, need none.
func TestFamiliesOf(t *testing.T) {
	t.Parallel()
	root, err := golden.Root()
	if err != nil {
		t.Fatal(err)
	}
	base := t.TempDir()
	dir := filepath.Join(base, "models", "checkpoints")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(root, "demo", "demo-shapes.safetensors"), filepath.Join(dir, "shapes.safetensors")); err != nil {
		t.Fatal(err)
	}
	dirs, err := folders.New(folders.Config{Base: base})
	if err != nil {
		t.Fatal(err)
	}
	find := familiesOf(&inspect.Inspector{}, dirs, runningFamilies())
	prompt := func(class, input, name string) *pyjson.Object {
		return pyjson.NewObject("1", pyjson.NewObject("class_type", class, "inputs", pyjson.NewObject(input, name, "linked", []any{"2", int64(0)})))
	}
	got := find(prompt("CheckpointLoaderSimple", "ckpt_name", "shapes.safetensors"))
	if len(got) != 1 || !slices.Contains(runningFamilies(), got[0]) {
		t.Errorf("the checkpoint needs %q", got)
	}
	for _, p := range []*pyjson.Object{
		prompt("CheckpointLoaderSimple", "ckpt_name", "elsewhere.safetensors"), prompt("OfAPack", "ckpt_name", "shapes.safetensors"),
		prompt("LoraLoader", "lora_name", "shapes.safetensors"), pyjson.NewObject("1", "no node"),
	} {
		if got := find(p); len(got) != 0 {
			t.Errorf("%v needs %q", p, got)
		}
	}
}
