//go:build fullsize

package tests_test

import (
	"maps"
	"slices"
	"testing"

	"comfygo/tests/golden"
)

// TestLargeFilesGolden runs whole workflows of families whose detection or encoders require files of full size: Stable Cascade with CLIP-G
// through stages C, B and A, and SV3D u and p with CLIP vision H. Their files take 3.5 GB of the test cache, so they have the build tag of
// the full-size checkpoint; make golden sets it. ComfyUI's detection was given the small sizes of the stages (see README.md of the
// goldens).
func TestLargeFilesGolden(t *testing.T) {
	t.Parallel()
	var index struct {
		Cases map[string]pipelineCase `json:"cases"`
	}
	golden.JSON(t, "pipeline/large", &index)
	if len(index.Cases) != 3 {
		t.Fatalf("%d cases in the index", len(index.Cases))
	}
	models := golden.Models(t, "clip-g", "cascade-c-small", "cascade-b-small", "cascade-a", "clip-vision-h", "sv3d-u-small", "sv3d-p-small", "vae-sd")
	server := start(t, "--models-directory", models)
	uploadInputs(t, server)
	for _, name := range slices.Sorted(maps.Keys(index.Cases)) {
		t.Run(name, func(t *testing.T) { runPipelineOf(t, server, name, index.Cases[name], "pipeline/large") })
	}
}
