package loaders_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"comfygo/folders"
	"comfygo/nodes"
	_ "comfygo/nodes/loaders"
)

// TestGGUFLoadersList checks that each loader lists the files it loads, and that the types are those of the core's
// loaders.
func TestGGUFLoadersList(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	for _, name := range []string{"unet/a.gguf", "diffusion_models/b.safetensors", "clip/c.gguf", "text_encoders/d.safetensors"} {
		path := filepath.Join(base, "models", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := folders.New(folders.Config{Base: base})
	if err != nil {
		t.Fatal(err)
	}
	choices := func(class, input string) string {
		c, ok := nodes.Default().Get(class)
		if !ok {
			t.Fatalf("no class %s", class)
		}
		for _, in := range c.Inputs() {
			if in.Name == input {
				return fmt.Sprint(in.Choices(nodes.Env{Folders: f}))
			}
		}
		t.Fatalf("%s has no input %s", class, input)
		return ""
	}
	for _, c := range []struct{ class, input, want string }{
		{"UnetLoaderGGUF", "unet_name", "[a.gguf]"},
		{"UNETLoader", "unet_name", "[a.gguf b.safetensors]"},
		{"CLIPLoaderGGUF", "clip_name", "[c.gguf d.safetensors]"},
		{"TripleCLIPLoaderGGUF", "clip_name3", "[c.gguf d.safetensors]"},
		{"CLIPLoaderGGUF", "type", choices("CLIPLoader", "type")},
		{"DualCLIPLoaderGGUF", "type", choices("DualCLIPLoader", "type")},
	} {
		if got := choices(c.class, c.input); got != c.want {
			t.Errorf("%s lists %s for %s, want %s", c.class, got, c.input, c.want)
		}
	}
}
