package tests_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"comfygo/demo"
	"comfygo/tests/golden"
)

// TestDemoGolden makes the twelve golden images of the built-in model over the API: queued by
// POST /prompt, followed on the WebSocket, read from /history and /view.
func TestDemoGolden(t *testing.T) {
	t.Parallel()
	var index struct {
		Width, Height, Steps int
		CFG                  float64
		Negative             string
		Cases                []struct {
			Prompt, Latent, PNG string
			Seed                uint64
		}
	}
	want := golden.Load(t, "demo/golden", &index)
	if len(index.Cases) != 12 {
		t.Fatalf("%d cases, want 12", len(index.Cases))
	}
	server := start(t, "--demo-model")
	for _, c := range index.Cases {
		t.Run(fmt.Sprintf("%s %d", c.Prompt, c.Seed), func(t *testing.T) {
			w := demoWorkflow(t, map[string]any{
				"6.text": c.Prompt, "7.text": index.Negative, "3.seed": c.Seed, "3.steps": index.Steps, "3.cfg": index.CFG,
				"5.width": index.Width, "5.height": index.Height,
			})
			w["10"] = &node{Class: "SaveLatent", Inputs: map[string]any{"samples": link("3", 0), "filename_prefix": "demo/latent"}}
			result := server.run(t, w)
			if f := result.Failure(); f != nil {
				t.Fatalf("node %s: %s", f.NodeType, f.Message)
			}
			images, latents := result.Files("9", "images"), result.Files("10", "latents")
			if len(images) != 1 || len(latents) != 1 {
				t.Fatalf("%d images and %d latents, want one each", len(images), len(latents))
			}
			compareLatent(t, "latent", server.view(t, latents[0]), want.Get(t, c.Latent).Data, latentTolerance)
			comparePNG(t, "image", server.view(t, images[0]), golden.Path(t, "demo/"+c.PNG))
		})
	}
}

// TestDemoModelIsListedOnlyWhenAskedFor sees that the lists stay upstream's without the flag.
func TestDemoModelIsListedOnlyWhenAskedFor(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		flags []string
		want  int
	}{{nil, 0}, {[]string{"--demo-model"}, 1}} {
		server := start(t, tt.flags...)
		var names []string
		if err := server.Get(t.Context(), "/models/checkpoints", &names); err != nil {
			t.Fatal(err)
		}
		if len(names) != tt.want || tt.want == 1 && names[0] != demo.Checkpoint {
			t.Errorf("with %v the checkpoints are %v", tt.flags, names)
		}
		var info map[string]struct {
			Input struct {
				Required map[string][]any `json:"required"`
			} `json:"input"`
		}
		if err := server.Get(t.Context(), "/object_info/CheckpointLoaderSimple", &info); err != nil {
			t.Fatal(err)
		}
		list, _ := info["CheckpointLoaderSimple"].Input.Required["ckpt_name"][0].([]any)
		if len(list) != tt.want {
			t.Errorf("with %v the loader offers %v", tt.flags, list)
		}
	}
}

// TestRunCommand runs the example workflow without a server.
func TestRunCommand(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "workflow.json")
	writeFile(t, file, demo.Workflow)
	out := t.TempDir()
	code, stdout, stderr := command(t, "run", file, "--demo-model", "--base-directory", t.TempDir(), "--output", out, "--input", "3.seed=42", "--input", "9.filename_prefix=made")
	if code != 0 {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
	img := filepath.Join(out, "made_00001_.png")
	if stdout != img+"\n" {
		t.Errorf("it printed %q, want %s", stdout, img)
	}
	comparePNG(t, "image", readFile(t, img), golden.Path(t, "demo/golden_4_42.png"))
}
