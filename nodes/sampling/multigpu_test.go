package sampling_test

import (
	"fmt"
	"testing"

	"comfygo/engine"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/nodes/sampling"
	"comfygo/tests/golden"
)

// TestDeviceChoices lists the devices of a machine: GPUs where there are several, and no CPU for VAEs.
func TestDeviceChoices(t *testing.T) {
	t.Parallel()
	for gpus, want := range map[int]string{0: "[default cpu]", 1: "[default cpu]", 2: "[default cpu gpu:0 gpu:1]"} {
		env := nodes.Env{GPUs: gpus}
		if got := fmt.Sprint((&sampling.SelectModelDevice{}).Choices(env, "device")); got != want {
			t.Errorf("%d GPUs: %s, want %s", gpus, got, want)
		}
	}
	if got := fmt.Sprint((&sampling.SelectVAEDevice{}).Choices(nodes.Env{GPUs: 2}, "device")); got != "[default gpu:0 gpu:1]" {
		t.Errorf("devices of VAEs: %s", got)
	}
}

// TestDevicesThatDoNotExist passes networks through the device nodes on a machine without a GPU: any device is accepted, and one that does not exist
// changes nothing.
func TestDevicesThatDoNotExist(t *testing.T) {
	t.Parallel()
	model, clip, vae, err := runtime.LoadCheckpoint(golden.Checkpoint(t, "sd15-small"))
	if err != nil {
		t.Fatal(err)
	}
	run := func(class string, pairs ...any) any {
		c, ok := nodes.Default().Get(class)
		if !ok {
			t.Fatalf("there is no class %s", class)
		}
		return runClass(t, c, pyjson.NewObject(pairs...))[0]
	}
	for _, device := range []string{"default", "cpu", "gpu:0", "gpu:7", "mps"} {
		gone := device == "gpu:7" || device == "mps"
		if m := run("SelectModelDevice", "model", model, "device", device).(*engine.Model); (m == model) != gone {
			t.Errorf("a model at %s is the same one: %v", device, m == model)
		}
		if c := run("SelectCLIPDevice", "clip", clip, "device", device).(*engine.CLIP); (c == clip) != gone {
			t.Errorf("text encoders at %s are the same: %v", device, c == clip)
		}
		if v := run("SelectVAEDevice", "vae", vae, "device", device).(*engine.VAE); (v == vae) != (gone || device == "cpu") {
			t.Errorf("a VAE at %s is the same one: %v", device, v == vae)
		}
	}
	if m := run("MultiGPU_WorkUnits", "model", model, "max_gpus", 4).(*engine.Model); len(m.Devices()) != 1 {
		t.Errorf("a model is spread over %d devices without a GPU", len(m.Devices()))
	}
}
