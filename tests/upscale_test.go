package tests_test

import (
	"maps"
	"slices"
	"testing"

	"comfygo/tests/golden"
)

// TestUpscaleGolden enlarges images with networks made from their recipes and compares with ComfyUI's.
func TestUpscaleGolden(t *testing.T) {
	t.Parallel()
	var index struct {
		Cases map[string]pipelineCase `json:"cases"`
	}
	golden.JSON(t, "pipeline/upscale", &index)
	if len(index.Cases) < 4 {
		t.Fatalf("%d cases in the index", len(index.Cases))
	}
	models := golden.Models(t, "esrgan-4x-old", "realesrgan-2x", "realesrgan-4x", "compact-2x")
	server := start(t, "--models-directory", models)
	uploadInputs(t, server)
	for _, name := range slices.Sorted(maps.Keys(index.Cases)) {
		t.Run(name, func(t *testing.T) { runPipeline(t, server, name, index.Cases[name]) })
	}
}
