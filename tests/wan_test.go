package tests_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
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

// TestWanExpertsTakeTurns: where the memory for models does not hold both networks of a workflow of Wan 2.2, those that are idle go before another is
// loaded, the weights that are held stay within it, and the result is ComfyUI's.
func TestWanExpertsTakeTurns(t *testing.T) {
	t.Parallel()
	const name = "wan22_i2v_two_models"
	var index struct {
		Cases map[string]pipelineCase `json:"cases"`
	}
	golden.JSON(t, "pipeline/wan", &index)
	models := golden.Models(t, "wan22-i2v-tiny", "vae-wan21", "lora-wan", "clip-l")
	held := func(t *testing.T, limit string) (weights, gone float64) {
		t.Helper()
		server := start(t, "--models-directory", models, "--model-memory", limit)
		uploadInputs(t, server)
		runPipelineOf(t, server, name, index.Cases[name], "pipeline/wan")
		return server.figure(t, `comfygo_model_device_bytes{device="cpu",kind="weights"}`), server.figure(t, "comfygo_model_evictions_total")
	}
	weights, gone := held(t, "1")
	if gone != 0 || weights < 4<<20 {
		t.Errorf("with room for all %g networks were let go, and %g bytes are held", gone, weights)
	}
	const little = 0.002 // GiB
	if weights, gone = held(t, fmt.Sprint(little)); gone == 0 || weights > little*(1<<30) {
		t.Errorf("with %g GiB %g networks were let go, and %g bytes are held", little, gone, weights)
	}
}

// figure is a value of the server's metrics.
func (i *instance) figure(t *testing.T, name string) float64 {
	t.Helper()
	for line := range strings.Lines(i.fetch(t, "/metrics").body) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(line, err)
			}
			return v
		}
	}
	t.Fatalf("/metrics lacks %s", name)
	return 0
}
