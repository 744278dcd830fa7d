package folders_test

import (
	"os"
	"path/filepath"
	"testing"

	"comfygo/folders"

	"github.com/google/go-cmp/cmp"
)

func TestExtraPaths(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("EXTRA_HOME", filepath.Join(dir, "env"))
	t.Setenv("HOME", filepath.Join(dir, "home"))
	file := filepath.Join(dir, "extra.yaml")
	text := `# a comment
comfyui:
  base_path: ${EXTRA_HOME}/x
  is_default: yes
  checkpoints: models/checkpoints/
  text_encoders: |
    models/text_encoders/

    models/clip/
empty:
home:
  base_path: ~/sd
  unet: /abs/unet
  loras: ../loras
relative:
  vae: own/vae
  new_kind: own/new
`
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	base := filepath.Join(dir, "base")
	f, err := folders.New(folders.Config{Base: base, ExtraModelPaths: []string{file}})
	if err != nil {
		t.Fatal(err)
	}
	m, out := filepath.Join(base, "models"), filepath.Join(base, "output")
	for kind, want := range map[string][]string{
		"checkpoints":      {dir + "/env/x/models/checkpoints", m + "/checkpoints", out + "/checkpoints"},
		"text_encoders":    {dir + "/env/x/models/clip", dir + "/env/x/models/text_encoders", m + "/text_encoders", m + "/clip", out + "/clip"},
		"diffusion_models": {m + "/unet", m + "/diffusion_models", "/abs/unet", out + "/diffusion_models"},
		"loras":            {m + "/loras", dir + "/home/loras", out + "/loras"},
		"vae":              {m + "/vae", dir + "/own/vae", out + "/vae"},
		"new_kind":         {dir + "/own/new"},
	} {
		if diff := cmp.Diff(want, f.Roots(kind)); diff != "" {
			t.Errorf("%s: %s", kind, diff)
		}
	}
	kinds := f.Kinds()
	if kinds[len(kinds)-1] != "new_kind" || len(f.Extensions("new_kind")) != 0 {
		t.Errorf("the new kind is missing or picky: %v", kinds)
	}
	write(t, dir+"/own/new/any.thing")
	if diff := cmp.Diff([]string{"any.thing"}, f.List("new_kind")); diff != "" {
		t.Error(diff)
	}
}

func TestExtraPathsErrors(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"list value": "a:\n  loras: [x, y]\n", "number": "a:\n  loras: 3\n", "no section": "a: text\n", "not a map": "- a\n- b\n", "broken": "a: [\n",
		"base number": "a:\n  base_path: 3\n", "two documents": "a:\n  vae: v\n---\nb:\n  vae: w\n",
		"not UTF-8": "a:\n  vae: \xff\n", "NUL": "a:\n  vae: a\x00b\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, "x.yaml")
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := folders.New(folders.Config{Base: dir, ExtraModelPaths: []string{file}}); err == nil {
				t.Error("accepted")
			}
		})
	}
	if _, err := folders.New(folders.Config{Base: t.TempDir(), ExtraModelPaths: []string{"missing.yaml"}}); err == nil {
		t.Error("a missing file was accepted")
	}
}

// TestExtraPathsRepeatedKeys reads keys that come twice, and settings that are empty, as Python reads them.
func TestExtraPathsRepeatedKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "extra.yaml")
	text := "a:\n  vae: never\nb:\n  is_default: []\n  loras: l1\n  loras: l2\na:\n  is_default: [0]\n  vae: v\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := folders.New(folders.Config{Base: dir, ExtraModelPaths: []string{file}})
	if err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[string][]string{
		"vae":   {dir + "/v", dir + "/models/vae", dir + "/output/vae"},
		"loras": {dir + "/models/loras", dir + "/l2", dir + "/output/loras"},
	} {
		if diff := cmp.Diff(want, f.Roots(kind)); diff != "" {
			t.Errorf("%s: %s", kind, diff)
		}
	}
}
