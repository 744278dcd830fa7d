//go:build fullsize

package tests_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/tests/golden"
)

// TestUNetFilesGolden runs KOALA 1B, U-Nets in the layout of diffusers as Lightning's and Hyper's files have it, with their samplers, the
// folders of DiffusersLoader, SUPIR, and T2I-Adapters and a ControlNet on U-Nets that all, some or one of their features fit. ComfyUI's table of U-Nets in that layout was
// given the small widths (unets/small_diffusers.py of the goldens).
func TestUNetFilesGolden(t *testing.T) {
	t.Parallel()
	models := golden.Models(t, "sd15-small", "controlnet-sd15", "koala-1b-small", "ssd-1b-small", "vega-wide", "sdxl-diffusers-small", "sdxl-small", "t2i-xl", "controlnet-sdxl", "lora-sdxl-kohya", "clip-l", "clip-g", "supir-small", "supir-encoder-small", "vae-sd")
	for name, parts := range map[string]map[string]string{
		"sd15": {"unet": "sd15-diffusers-small", "text_encoder": "clip-l", "vae": "vae-sd-diffusers"},
		"sdxl": {"unet": "sdxl-diffusers-small", "text_encoder": "clip-l", "text_encoder_2": "clip-g", "vae": "vae-sd-diffusers"},
	} {
		dir := filepath.Join(models, "diffusers", name)
		for part, file := range parts {
			to := "diffusion_pytorch_model.safetensors"
			if strings.HasPrefix(part, "text") {
				to = "model.safetensors"
			}
			at := filepath.Join(dir, part)
			if err := errors.Join(os.MkdirAll(at, 0o755), os.Symlink(golden.Checkpoint(t, file), filepath.Join(at, to))); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "model_index.json"), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	runUNetCases(t, start(t, "--models-directory", models), unetCases(t, false))
}
