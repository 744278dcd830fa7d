package browser_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"comfygo/tests/browser"
	"comfygo/tests/golden"
)

// TestDefaultWorkflow runs the workflow that the official front end opens for a new user, Z-Image, from the button: with small models under
// the names that it requires, with a CLIP-L of the width that the model reads as text encoder, and at a quarter of the width and height.
func TestDefaultWorkflow(t *testing.T) {
	t.Parallel()
	models := t.TempDir()
	for name, model := range map[string]string{
		"diffusion_models/z_image_turbo_bf16": "z-image-tiny", "text_encoders/qwen_3_4b": "clip-l-tiny", "vae/ae": "vae-flux16-tiny",
	} {
		to := filepath.Join(models, name+".safetensors")
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(golden.Checkpoint(t, model), to); err != nil {
			t.Fatal(err)
		}
	}
	f := openFront(t, "--models-directory", models)
	f.closeDialogs()
	const nodes = "[app.rootGraph, ...app.rootGraph.subgraphs.values()].flatMap(g => g.nodes)"
	f.command("Comfy.LoadDefaultWorkflow")
	f.WaitFor("the default workflow is open", nodes+".length > 5")
	f.settle()
	for class, file := range map[string]string{"UNETLoader": "z_image_turbo_bf16.safetensors", "CLIPLoader": "qwen_3_4b.safetensors", "VAELoader": "ae.safetensors"} {
		if got := browser.Eval[string](f.Page, nodes+".find(n => n.type === '"+class+"')?.widgets[0].value ?? 'none among ' + "+nodes+".map(n => n.type)"); got != file {
			t.Fatalf("the default workflow is another one: %s has %s", class, got)
		}
	}
	browser.Eval[chromedp.Void](f.Page, "void "+nodes+".flatMap(n => n.widgets ?? []).filter(w => w.name === 'width' || w.name === 'height').forEach(w => { w.value = 256 })")
	f.Forget()
	f.run()
	f.Clean(baseline...)
	f.command("Comfy.Canvas.FitView")
	f.WaitFor("the image is there", nodes+".find(n => n.type === 'SaveImage').imgs?.[0]?.naturalWidth > 0")
	if got := browser.Eval[int](f.Page, nodes+".find(n => n.type === 'SaveImage').imgs[0].naturalWidth"); got != 256 {
		t.Errorf("the image is %d pixels wide", got)
	}
	f.Shot("default-workflow")
	for _, typ := range []string{"execution_error", "execution_interrupted"} {
		if f.count(typ, "") > 0 {
			t.Errorf("the server sent %s", typ)
		}
	}
}
