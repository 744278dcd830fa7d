package tests_test

import (
	"maps"
	"slices"
	"testing"

	"comfygo/tests/golden"
)

// TestControlNetGolden runs workflows with ControlNets on models made from their recipes and compares with ComfyUI's.
func TestControlNetGolden(t *testing.T) {
	t.Parallel()
	var index struct {
		Cases map[string]pipelineCase `json:"cases"`
	}
	golden.JSON(t, "pipeline/control", &index)
	if len(index.Cases) < 3 {
		t.Fatalf("%d cases in the index", len(index.Cases))
	}
	models := golden.Models(t, "sd15-small", "controlnet-sd15")
	server := start(t, "--models-directory", models)
	uploadInputs(t, server)
	for _, name := range slices.Sorted(maps.Keys(index.Cases)) {
		t.Run(name, func(t *testing.T) { runPipelineOf(t, server, name, index.Cases[name], "pipeline/control") })
	}
}
