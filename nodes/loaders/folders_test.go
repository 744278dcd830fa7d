package loaders

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/folders"
	"comfygo/nodes"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestDiffusersFolders lists the folders that hold a model and refuses the others.
func TestDiffusersFolders(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	root := filepath.Join(base, "models", "diffusers")
	for _, dir := range []string{"a", "b/c", "empty"} {
		write(t, filepath.Join(root, dir, indexFile), "{}")
	}
	write(t, filepath.Join(root, "none", "x.json"), "{}")
	write(t, filepath.Join(base, "secret", indexFile), "{}")
	if err := os.Symlink(root, filepath.Join(root, "none", "again")); err != nil { // a circle
		t.Fatal(err)
	}
	f, err := folders.New(folders.Config{Base: base})
	if err != nil {
		t.Fatal(err)
	}
	listed := (&DiffusersLoader{}).Choices(nodes.Env{Folders: f}, "model_path")
	if got := fmt.Sprint(listed[:3]); got != "[a b/c empty]" {
		t.Errorf("listed %v", listed)
	}
	ctx := nodes.TestContext(t.Context(), nodes.Services{Folders: f})
	for path, want := range map[string]string{
		"none": "there is no folder", "../../secret": "there is no folder", "": "there is no folder", "empty": "neither unet nor transformer",
	} {
		if _, err := (&DiffusersLoader{Path: path}).Run(ctx); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, wanted %q", path, err, want)
		}
	}
}

// TestFirstFile checks that names are searched in order, split files last, and that pattern characters in a folder's name
// match literally.
func TestFirstFile(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a[b]*c")
	split := filepath.Join(dir, "model-00001-of-00002.safetensors")
	write(t, split, "")
	write(t, filepath.Join(dir, "model-00002-of-00002.safetensors"), "")
	if got := firstFile(textNames, filepath.Join(dir, "missing"), dir); got != split {
		t.Errorf("found %q", got)
	}
	half := filepath.Join(dir, "model.fp16.safetensors")
	write(t, half, "")
	write(t, filepath.Join(dir, "model.safetensors"), "")
	if got := firstFile(textNames, dir); got != half {
		t.Errorf("found %q", got)
	}
	if got := firstFile(diffusionNames, dir); got != "" {
		t.Errorf("found %q", got)
	}
}

// TestCheckpointConfig reads what counts of config files.
func TestCheckpointConfig(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text, want string
		v          bool
		layer      int
	}{
		"plain":              {text: "model:\n  params:\n    cond_stage_config:\n      target: x\n"},
		"v":                  {text: "model:\n  params:\n    parameterization: \"v\"\n    cond_stage_config:\n      params: {freeze: True}\n", v: true},
		"a layer":            {text: "model:\n  params:\n    cond_stage_config:\n      params:\n        layer_idx: -2\n", layer: -2},
		"aliases":            {text: "x: &x\n  params: {layer_idx: -3}\nmodel:\n  params:\n    cond_stage_config: *x\n", layer: -3},
		"last key":           {text: "model: 1\nmodel:\n  params:\n    parameterization: eps\n    parameterization: v\n    cond_stage_config: {params: {layer_idx: null}}\n", v: true},
		"another":            {text: "a: 1\n", want: "cond_stage_config is missing"},
		"no YAML":            {text: "model: [", want: "config.yaml"},
		"a type":             {text: "model:\n  params:\n    cond_stage_config:\n      params:\n        layer_idx: first\n", want: "config.yaml"},
		"an alias of itself": {text: "model: &m\n  params: *m\n", want: "cond_stage_config is missing"},
		"deep":               {text: strings.Repeat("[", maxConfig), want: "exceeded max depth"},
		"many keys":          {text: strings.Repeat("a: 1\n", maxConfig/5), want: "cond_stage_config is missing"},
		"too large":          {text: strings.Repeat("# comment\n", maxConfig/10+1), want: "more than 64 KiB"},
	} {
		path := filepath.Join(t.TempDir(), "config.yaml")
		write(t, path, c.text)
		got, err := readConfig(path)
		if (err != nil) != (c.want != "") || err != nil && (!strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "config.yaml")) {
			t.Errorf("%s: %v, wanted %q with the file's name", name, err, c.want)
		}
		if err != nil {
			continue
		}
		layer := 0
		if got.layer != nil {
			layer = *got.layer
		}
		if got.parameterization == "v" != c.v || layer != c.layer {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
