//go:build fullsize

package tests_test

import (
	"testing"

	"comfygo/tests/golden"
)

// TestFullSizeGolden samples 256x256 with the full SD 1.5 checkpoint. It writes 2.1 GB into the test
// cache and takes minutes, so it has a build tag of its own; make golden sets it.
func TestFullSizeGolden(t *testing.T) {
	c, ok := loadPipelines(t)[fullSizeCase]
	if !ok {
		t.Fatalf("the index lacks %s", fullSizeCase)
	}
	server := start(t, "--models-directory", golden.Models(t, "sd15-full"))
	runPipeline(t, server, fullSizeCase, c)
}
