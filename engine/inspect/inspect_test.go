package inspect_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/demo"
	"comfygo/engine/family"
	"comfygo/engine/inspect"
)

// TestFiles describes usable and unreadable files: none fails, each states the reason, and none reveals the folder.
func TestFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good, err := demo.Unpack(dir)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	paths := []string{
		good, write("half.safetensors", raw[:len(raw)/2]), write("empty.ckpt", nil), write("text.safetensors", []byte("hello")),
		write("pointer.safetensors", []byte("version https://git-lfs.github.com/spec/v1\n")), filepath.Join(dir, "none.safetensors"), dir,
	}
	var i inspect.Inspector
	got := i.Files(t.Context(), paths)
	if !got[0].Runs || !got[0].Holds(family.RoleVAE.String()) || got[0].Family == "" {
		t.Errorf("the built-in model is %+v", got[0])
	}
	for k, want := range []string{"half.safetensors", "empty", "text.safetensors", "git lfs pull", "no such file", "no file"} {
		d := got[k+1]
		if d.Runs || !strings.Contains(d.Why, want) || strings.Contains(d.Why, dir) {
			t.Errorf("%s is %+v, want a reason with %q and without its folder", paths[k+1], d, want)
		}
	}
	write("half.safetensors", raw)
	if d := i.File(t.Context(), paths[1]); !d.Runs || !slices.Equal(d.Kinds, got[0].Kinds) {
		t.Errorf("a file that was replaced is still %+v", d)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("time is up"))
	if d := i.File(ctx, write("late.safetensors", raw)); !d.Runs && !strings.Contains(d.Why, "time is up") {
		t.Errorf("after the end of time a file is %+v", d)
	}
}

// TestProblem checks the reasons why described files cannot be used from a folder.
func TestProblem(t *testing.T) {
	t.Parallel()
	model := family.Description{Kinds: []string{"diffusion model", "VAE"}, Family: "Stable Diffusion 1.x", Runs: true}
	lora := family.Description{Kinds: []string{family.KindLoRA}, Runs: true}
	flux := family.Description{Kinds: []string{"diffusion model"}, Family: "Flux", Why: "it cannot be run yet", Advice: "use another"}
	for _, c := range []struct {
		is     family.Description
		folder string
		want   string
	}{
		{model, "checkpoints", ""},
		{model, "vae", ""},
		{model, "loras", "no LoRA, but diffusion model and VAE (CheckpointLoaderSimple or UNETLoader)"},
		{lora, "checkpoints", "LoraLoader"},
		{flux, "diffusion_models", "it cannot be run yet; use another"},
		{flux, "embeddings", ""},
	} {
		if got := inspect.Problem(c.is, c.folder); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%v in %s: %q, want %q", c.is, c.folder, got, c.want)
		}
	}
}
