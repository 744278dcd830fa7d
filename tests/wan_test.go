package tests_test

import (
	"maps"
	"slices"
	"testing"

	"comfygo/tests/golden"
)

// TestWanGolden runs workflows of Wan on models made from their recipes and compares with ComfyUI's.
func TestWanGolden(t *testing.T) {
	t.Parallel()
	var index struct {
		Cases map[string]pipelineCase `json:"cases"`
	}
	golden.JSON(t, "pipeline/wan", &index)
	if len(index.Cases) < 5 {
		t.Fatalf("%d cases in the index", len(index.Cases))
	}
	models := golden.Models(t, "wan21-t2v-small", "wan21-i2v-small", "wan21-vace-small", "wan22-i2v-tiny", "wan-fun-control-tiny", "vae-wan21", "lora-wan", "clip-l")
	server := start(t, "--models-directory", models)
	uploadInputs(t, server)
	for _, name := range slices.Sorted(maps.Keys(index.Cases)) {
		t.Run(name, func(t *testing.T) { runPipelineOf(t, server, name, index.Cases[name], "pipeline/wan") })
	}
}
