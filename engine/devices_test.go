package engine_test

import (
	"log/slog"
	"testing"

	"comfygo/engine"
	"comfygo/engine/ort"
)

// TestPlaces reads the options of device inputs with and without GPUs, which are not used.
func TestPlaces(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		cfg  engine.Config
		gpus int
		ok   map[string]bool
	}{
		{"CPU", engine.Config{}, 0, map[string]bool{"default": true, "cpu": true, "gpu:0": true, "gpu:1": false, "gpu:": false, "gpu:-1": false, "gpu:x": false, "cuda:0": false, "": false}},
		{"two GPUs", engine.Config{Device: ort.Device{Kind: ort.CUDA}, GPUs: 2}, 2, map[string]bool{"default": true, "cpu": true, "gpu:0": true, "gpu:1": true, "gpu:2": false}},
		{"the second GPU", engine.Config{Device: ort.Device{Kind: ort.CUDA, Index: 1}}, 2, map[string]bool{"gpu:1": true, "gpu:2": false}},
	} {
		c.cfg.Log = slog.New(slog.DiscardHandler)
		rt := engine.New(c.cfg)
		if got := rt.GPUs(); got != c.gpus {
			t.Errorf("%s: %d GPUs, want %d", c.name, got, c.gpus)
		}
		for option, want := range c.ok {
			if _, ok := rt.Place(option); ok != want {
				t.Errorf("%s: %q is a device: %v, want %v", c.name, option, ok, want)
			}
		}
		if p, _ := rt.Place("gpu:0"); p.CPU() != (c.gpus == 0) {
			t.Errorf("%s: gpu:0 is the CPU: %v", c.name, p.CPU())
		}
		if p, _ := rt.Place("default"); p.CPU() {
			t.Errorf("%s: the runtime's own device counts as a choice of the CPU", c.name)
		}
		if err := rt.Close(); err != nil {
			t.Error(err)
		}
	}
}
