package app

import (
	"testing"

	_ "comfygo/nodes/all"
)

// TestModelFolder: the folder of a missing model comes from the class's own declaration, for classes of other servers from
// what our classes say of inputs of that name.
func TestModelFolder(t *testing.T) {
	t.Parallel()
	for at, want := range map[[2]string]string{
		{"CheckpointLoaderSimple", "ckpt_name"}: "checkpoints",
		{"VAELoader", "vae_name"}:               "vae",
		{"UpscaleModelLoader", "model_name"}:    "upscale_models",
		{"LoadImage", "image"}:                  "", // of the input folder
		{"KSampler", "ckpt_name"}:               "", // it has no such input
		{"SomebodysLoader", "ckpt_name"}:        "checkpoints",
		{"SomebodysLoader", "vae_name"}:         "vae",
		{"SomebodysLoader", "thing"}:            "",
	} {
		if got := modelFolder(at[0], at[1]); got != want {
			t.Errorf("%s of %s: %q, want %q", at[1], at[0], got, want)
		}
	}
}
