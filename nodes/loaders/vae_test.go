package loaders_test

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"comfygo/folders"
	"comfygo/nodes"
	"comfygo/nodes/loaders"
)

func TestVAEChoices(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		vae  []string
		tiny []string
		want []any
	}{
		{"nothing", nil, nil, []any{"pixel_space"}},
		{"files", []string{"b.safetensors", "a.pt"}, nil, []any{"a.pt", "b.safetensors", "pixel_space"}},
		{"both halves", []string{"a.pt"}, []string{"taesd_encoder.pth", "taesd_decoder.safetensors"}, []any{"a.pt", "taesd", "pixel_space"}},
		{"one half", nil, []string{"taesdxl_decoder.safetensors", "taef1_encoder.pth"}, []any{"pixel_space"}},
		{"video", nil, []string{"taehv.safetensors", "lighttaew2_1.pth", "other_thing.pth"}, []any{"lighttaew2_1.pth", "taehv.safetensors", "pixel_space"}},
		{"other names", nil, []string{"taesd.safetensors", "taesdx_encoder.pt", "taesdx_decoder.pt"}, []any{"pixel_space"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			base := t.TempDir()
			touch(t, filepath.Join(base, "models", "vae"), c.vae)
			touch(t, filepath.Join(base, "models", "vae_approx"), c.tiny)
			f, err := folders.New(folders.Config{Base: base})
			if err != nil {
				t.Fatal(err)
			}
			if got := (&loaders.VAELoader{}).Choices(nodes.Env{Folders: f}, "vae_name"); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func touch(t *testing.T, dir string, names []string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if err := os.WriteFile(filepath.Join(dir, n), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
