package tests_test

import (
	"cmp"
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"sort"
	"testing"

	"comfygo/internal/apiclient"
	"comfygo/tests/golden"
)

// pipelineCase is a workflow that ComfyUI has run, with the files that it saved.
type pipelineCase struct {
	Workflow workflow `json:"workflow"`
	PNG      []struct {
		File string `json:"file"`
	} `json:"png"`
	Latents map[string]json.RawMessage `json:"latents"`
	// tolerance, when set, is that of the latents.
	tolerance golden.Tolerance
}

// fullSizeCase is the one that needs the full-size checkpoint.
const fullSizeCase = "full_256"

func loadPipelines(t *testing.T) map[string]pipelineCase {
	t.Helper()
	var index struct {
		Cases map[string]pipelineCase `json:"cases"`
	}
	golden.JSON(t, "pipeline/index", &index)
	if len(index.Cases) < 15 {
		t.Fatalf("%d cases in the index", len(index.Cases))
	}
	return index.Cases
}

// TestPipelineGolden runs the recorded workflows on checkpoints made from their recipes and compares
// latents and images with ComfyUI's. The server has no race detector: the numbers are the subject, and TestDemoGolden and TestProfiles run
// the same code with it.
func TestPipelineGolden(t *testing.T) {
	t.Parallel()
	cases := loadPipelines(t)
	delete(cases, fullSizeCase)
	for _, name := range repeats {
		if _, ok := cases[name]; !ok {
			t.Errorf("the case %s is not there", name)
		}
		delete(cases, name)
	}
	plain, err := plainProgram()
	if err != nil {
		t.Fatal(err)
	}
	models := golden.Models(t, "sd15-small", "sd15-small-inpaint", "vae-sd", "emb-test", "taesd")
	server := startProgram(t, plain, "--models-directory", models)
	uploadInputs(t, server)
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		t.Run(name, func(t *testing.T) { runPipeline(t, server, name, cases[name]) })
	}
}

// uploadInputs sends the images that the workflows load.
func uploadInputs(t *testing.T, server *instance) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(filepath.Dir(golden.Path(t, "inputs/pub_rgb.png")), "*.png"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d input images (%v)", len(files), err)
	}
	for _, f := range files {
		if err := server.Upload(t.Context(), filepath.Base(f), readFile(t, f)); err != nil {
			t.Fatal(err)
		}
	}
}

func runPipeline(t *testing.T, server *instance, name string, c pipelineCase) {
	t.Helper()
	runPipelineOf(t, server, name, c, "pipeline/latents")
}

// runPipelineOf is runPipeline with the name of the golden that holds the latents.
func runPipelineOf(t *testing.T, server *instance, name string, c pipelineCase, stored string) {
	t.Helper()
	result := server.run(t, c.Workflow)
	if f := result.Failure(); f != nil {
		t.Fatalf("node %s: %s", f.NodeType, f.Message)
	}
	images := saved(result, c.Workflow, "SaveImage", "images")
	if len(images) != len(c.PNG) {
		t.Fatalf("%d images, want %d", len(images), len(c.PNG))
	}
	for i, want := range c.PNG {
		comparePNG(t, want.File, server.view(t, images[i]), golden.Path(t, "pipeline/"+want.File))
	}
	latents := saved(result, c.Workflow, "SaveLatent", "latents")
	sort.SliceStable(latents, func(i, j int) bool { return latents[i].Subfolder < latents[j].Subfolder })
	if len(latents) != len(c.Latents) {
		t.Fatalf("%d latents, want %d", len(latents), len(c.Latents))
	}
	tensors := golden.Load(t, stored, nil)
	for i, key := range slices.Sorted(maps.Keys(c.Latents)) {
		compareLatent(t, "latent "+key, server.view(t, latents[i]), tensors.Get(t, name+"/"+key).Data, cmp.Or(c.tolerance, latentTolerance))
	}
}

// saved lists the files that the nodes of a class have saved.
func saved(r apiclient.Result, w workflow, class, kind string) []apiclient.File {
	var files []apiclient.File
	for _, id := range w.of(class) {
		files = append(files, r.Files(id, kind)...)
	}
	return files
}
