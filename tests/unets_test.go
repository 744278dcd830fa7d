package tests_test

import (
	"maps"
	"slices"
	"testing"

	"comfygo/tests/golden"
)

// smallCases run on the small Stable Diffusion 1.5 in a few seconds.
var smallCases = []string{"control_shrink", "lazy_cache", "shrink_tome"}

// unetCases are recorded workflows on U-Nets (unets/record_unets.py of the goldens): the small ones or the others, which take CLIP-G and some
// gigabytes of the test cache.
func unetCases(t *testing.T, small bool) map[string]pipelineCase {
	t.Helper()
	var index struct {
		Cases map[string]pipelineCase `json:"cases"`
	}
	golden.JSON(t, "pipeline/unets", &index)
	const all = 23
	if len(index.Cases) != all {
		t.Fatalf("%d cases in the index, want %d", len(index.Cases), all)
	}
	maps.DeleteFunc(index.Cases, func(name string, _ pipelineCase) bool { return small != slices.Contains(smallCases, name) })
	return index.Cases
}

// runUNetCases runs them on a server.
func runUNetCases(t *testing.T, server *instance, cases map[string]pipelineCase) {
	t.Helper()
	uploadInputs(t, server)
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		t.Run(name, func(t *testing.T) { runPipelineOf(t, server, name, cases[name], "pipeline/unets") })
	}
}

// TestUNetWorkflowsGolden runs Deep Shrink beside ToMe and ControlNets, and LazyCache. As in TestPipelineGolden the server has no race detector.
func TestUNetWorkflowsGolden(t *testing.T) {
	t.Parallel()
	plain, err := plainProgram()
	if err != nil {
		t.Fatal(err)
	}
	server := startProgram(t, plain, "--models-directory", golden.Models(t, "sd15-small", "controlnet-sd15"))
	runUNetCases(t, server, unetCases(t, true))
}
