package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const workflow = `{"nodes":[{"id":1,"type":"UNETLoader","properties":{"models":[{"name":"NAME","directory":"diffusion_models"}]}},{"id":2,"type":"Note"},{"id":3,"type":"sub"}],
"definitions":{"subgraphs":[{"id":"sub","nodes":[{"id":4,"type":"CLASS"}]}]}}`

// TestCount counts workflows that run, that lack a class, that lack a family, and that need a partner's class.
func TestCount(t *testing.T) {
	t.Parallel()
	c := counter{built: builtFamilies(), missing: map[string][]string{}}
	delete(c.built, "model TripoSplat") // as if it was not built
	for name, w := range map[string][2]string{
		"runs": {"z_image_turbo_bf16.safetensors", "KSampler"}, "partner": {"z_image.safetensors", "SomePartnersNode"},
		"family": {"triposplat.safetensors", "KSampler"}, "unknown": {"made-up.safetensors", "KSampler"},
	} {
		path := filepath.Join(t.TempDir(), "w.json")
		if err := os.WriteFile(path, []byte(strings.NewReplacer("NAME", w[0], "CLASS", w[1]).Replace(workflow)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := c.count(name, path); err != nil {
			t.Fatal(err)
		}
	}
	if c.all != 4 || c.free != 3 || c.classes != 3 || c.runs != 1 {
		t.Errorf("%d templates, %d without partners, %d with all classes, %d run", c.all, c.free, c.classes, c.runs)
	}
	if got := c.missing["unknown"]; !slices.Equal(got, []string{"file diffusion_models/made-up.safetensors"}) {
		t.Errorf("a file that no rule knows waits for %v", got)
	}
	var out strings.Builder
	c.report(&out, true)
	if !strings.Contains(out.String(), "4 templates; 3 need no partner's service, of 3 of these all classes are built, and 1 run\n") || !strings.Contains(out.String(), "  1 wait for it alone,   0 with others: model TripoSplat\n") {
		t.Errorf("the report says\n%s", out.String())
	}
}

// TestNeeds looks up what files need.
func TestNeeds(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"diffusion_models/flux1-fill-dev.safetensors": "model Flux.1 Fill", "checkpoints/sd_xl_refiner_1.0.safetensors": "model Stable Diffusion XL refiner",
		"diffusion_models/flux-2-klein-4b.safetensors": "model Flux.2", "diffusion_models/wan2.1_vace_14B_fp16.safetensors": "model Wan 2.1 VACE",
		"text_encoders/qwen_2.5_vl_7b_fp8_scaled.safetensors": "text encoder qwen25_7b", "vae/wan_2.1_vae.safetensors": "VAE Wan 2.1 VAE",
		"loras/any.safetensors": "", "vae/any.safetensors": "file vae/any.safetensors",
	} {
		if got := needOf(file); got != want {
			t.Errorf("%s needs %q, want %q", file, got, want)
		}
	}
}
