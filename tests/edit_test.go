//go:build fullsize

package tests_test

import (
	"maps"
	"slices"
	"testing"

	"comfygo/tests/golden"
)

// TestEditWorkflowsGolden runs whole workflows that edit images, whose text encoders read images or whose models read reference latents. The
// sizes of these models are fixed in ComfyUI; there small_sizes.py beside the recording script made it load small files (see README.md of the
// goldens). A vision tower or a VAE reads a megapixel in most of them, which takes minutes: they have the build tag of the full-size checkpoint.
func TestEditWorkflowsGolden(t *testing.T) {
	t.Parallel()
	var index struct {
		Cases map[string]pipelineCase `json:"cases"`
	}
	golden.JSON(t, "pipeline/edit", &index)
	if len(index.Cases) < 8 {
		t.Fatalf("%d cases in the index", len(index.Cases))
	}
	models := golden.Models(t, "qwen-image-edit-small", "qwen-image-2511-small", "qwen-image-layered-small", "omnigen2-small", "z-image-omni-small", "hunyuan-image-refiner-small",
		"qwen25-7b-small", "qwen25-3b-small", "qwen3-4b-small", "siglip2-small", "vae-wan21", "vae-layered-small", "vae-flux16", "vae-hunyuan-image-small", "vae-hunyuan-refiner-small")
	server := start(t, "--models-directory", models)
	uploadInputs(t, server)
	for _, name := range slices.Sorted(maps.Keys(index.Cases)) {
		t.Run(name, func(t *testing.T) { runPipelineOf(t, server, name, index.Cases[name], "pipeline/edit") })
	}
}
