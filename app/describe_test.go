package app_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/app"
	"comfygo/cli"
	"comfygo/demo"
	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/safetensors"
	"comfygo/engine/weights"
)

// unbuilt is a family that is recognised and cannot be run: there may be no such family in the program.
type unbuilt struct{}

func init() { family.Register(unbuilt{}) }

func (unbuilt) Name() string   { return "Made-up" }
func (unbuilt) Rank() int      { return 1 << 20 }
func (unbuilt) Kind() string   { return family.RoleDiffusion.String() }
func (unbuilt) Advice() string { return "" }
func (unbuilt) Recognise(src weights.Source) bool {
	_, ok := src.Lookup("made.up.weight")
	return ok
}

// modelFolders makes a base folder with the built-in model, a file of a family that is not built and a LoRA among the checkpoints, and a broken VAE.
func modelFolders(t *testing.T) string {
	t.Helper()
	base := t.TempDir()
	checkpoints, vae := filepath.Join(base, "models", "checkpoints"), filepath.Join(base, "models", "vae")
	for _, dir := range []string{checkpoints, vae} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	unpacked, err := demo.Unpack(t.TempDir())
	if err == nil {
		err = os.Rename(unpacked, filepath.Join(checkpoints, "good.safetensors"))
	}
	for name, keys := range map[string][]string{
		"shapes.safetensors": {"made.up.weight"},
		"lora.safetensors":   {"lora_unet_a.lora_up.weight", "lora_unet_a.lora_down.weight"},
	} {
		var list []safetensors.Tensor
		for _, k := range keys {
			list = append(list, safetensors.Tensor{Name: k, DType: dtype.F32, Shape: []int{1, 1}, Data: make([]byte, 4)})
		}
		err = errors.Join(err, safetensors.Save(filepath.Join(checkpoints, name), nil, list))
	}
	if err = errors.Join(err, os.WriteFile(filepath.Join(vae, "broken.safetensors"), []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	return base
}

// TestDoctorLooksIntoModels counts usable models, and reports for each other file why it is not usable; that is not a failure.
func TestDoctorLooksIntoModels(t *testing.T) {
	t.Parallel()
	list := app.CheckModels(t, modelFolders(t))
	var out bytes.Buffer
	if err := app.Report(&out, list); err != nil {
		t.Error(err)
	}
	for _, want := range []string{
		"ok    models     3 checkpoints (1 usable), 1 VAE (0 usable) in ", "shapes.safetensors (Made-up) cannot be used: models of the family Made-up cannot be run yet -> use a model of a family that runs: `comfygo models --families` lists them",
		"checkpoints/lora.safetensors cannot be used: it holds no diffusion model, but LoRA (LoraLoader", "vae/broken.safetensors cannot be used: reading safetensors file broken.safetensors",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

// TestCheckModels checks model files, and a workflow that uses one that cannot be run.
func TestCheckModels(t *testing.T) {
	t.Parallel()
	base := modelFolders(t)
	workflow := filepath.Join(base, "workflow.json")
	text := `{"1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "shapes.safetensors"}},
		"2": {"class_type": "VAELoader", "inputs": {"vae_name": "broken.safetensors"}}}`
	if err := os.WriteFile(workflow, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		word string
		ok   bool
		want []string
	}{
		{"checkpoints/good.safetensors", true, []string{"Stable Diffusion 1.x: diffusion model, VAE, text encoder"}},
		{filepath.Join(base, "models", "checkpoints", "lora.safetensors"), true, []string{": LoRA"}},
		{"checkpoints/lora.safetensors", false, []string{"it holds no diffusion model"}},
		{"checkpoints/shapes.safetensors", false, []string{"Made-up: diffusion model; cannot be used", "a family that runs: `comfygo models --families`"}},
		{"vae/broken.safetensors", false, []string{"reading safetensors file broken.safetensors"}},
		{workflow, false, []string{"the model shapes.safetensors cannot be used: models of the family Made-up", "the model broken.safetensors cannot be used"}},
	} {
		for _, asJSON := range []bool{false, true} {
			var out bytes.Buffer
			err := app.Command{Stdout: &out}.Check(t.Context(), cli.Config{BaseDirectory: base}, cli.RemoteOptions{Command: "check", Args: []string{c.word}, JSON: asJSON})
			var exit *cli.ExitError
			if c.ok != (err == nil) || err != nil && (!errors.As(err, &exit) || exit.Code != cli.CodeFailed) {
				t.Errorf("%s: error %v", c.word, err)
			}
			if asJSON {
				var report struct{ OK bool }
				if err := json.Unmarshal(out.Bytes(), &report); err != nil || report.OK != c.ok {
					t.Errorf("%s: %v, %s", c.word, err, &out)
				}
				continue
			}
			for _, want := range c.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%s: no %q in\n%s", c.word, want, &out)
				}
			}
		}
	}
	err := app.Command{}.Check(t.Context(), cli.Config{BaseDirectory: base}, cli.RemoteOptions{Args: []string{"checkpoints/none.safetensors"}})
	if err == nil || !strings.Contains(err.Error(), "there is no file") {
		t.Errorf("a file that is not there: %v", err)
	}
}
