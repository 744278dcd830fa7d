package family_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/weights"
)

// unbuilt is a family that is recognised and cannot be run: there may be no such family in the program.
type unbuilt struct{}

func init() { family.Register(unbuilt{}) }

func (unbuilt) Name() string   { return "Made-up" }
func (unbuilt) Rank() int      { return 1 << 20 }
func (unbuilt) Kind() string   { return family.RoleDiffusion.String() }
func (unbuilt) Advice() string { return "" }
func (unbuilt) Recognise(src weights.Source) bool {
	_, ok := src.Lookup("made.up.weight")
	return ok
}

// TestDescribe describes the models of the manifests, files of families that cannot be run, and files of other things.
func TestDescribe(t *testing.T) {
	t.Parallel()
	const absent = "made.up.weight 8 8\n"
	quantized := dryrun.Described([]weights.Entry{
		{Name: "lora_unet_a.lora_up.weight", DType: dtype.F16, Shape: []int{4, 4}},
		{Name: "lora_unet_a.lora_down.weight", DType: dtype.U8, Shape: []int{4, 4}, Scheme: &weights.Scheme{Format: "nvfp4"}},
	})
	var junk strings.Builder
	for i := range 1900 {
		fmt.Fprintf(&junk, "layer%d.some.thing 2\n", i)
	}
	for name, c := range map[string]struct {
		src    weights.Source // the manifest of the name when nil
		kinds  []string
		family string
		runs   bool
		says   string
	}{
		"sd15-full":                      {kinds: []string{"diffusion model", "VAE", "text encoder"}, family: "Stable Diffusion 1.x", runs: true},
		"sd15-small-inpaint":             {kinds: []string{"diffusion model", "VAE", "text encoder"}, family: "Stable Diffusion 1.x", runs: true},
		"sdxl-small":                     {kinds: []string{"diffusion model"}, family: "Stable Diffusion XL", runs: true},
		"sdxl-refiner-small":             {kinds: []string{"diffusion model"}, family: "Stable Diffusion XL refiner", runs: true},
		"controlnet-sdxl":                {kinds: []string{"ControlNet"}, family: "ControlNet for Stable Diffusion 1.x, 2.x and XL", runs: true},
		"vae-sd":                         {kinds: []string{"VAE"}, family: "AutoencoderKL", runs: true},
		"clip-g":                         {kinds: []string{"text encoder"}, family: "CLIP", runs: true},
		"realesrgan-4x":                  {kinds: []string{"upscale model"}, family: "ESRGAN", runs: true},
		"lora-kohya":                     {kinds: []string{"LoRA"}, runs: true},
		"lora-sdxl-diffusers":            {kinds: []string{"LoRA"}, runs: true},
		"lora-lokr":                      {kinds: []string{"LoRA"}, runs: true},
		"flux-tiny-dev":                  {kinds: []string{"diffusion model"}, family: "Flux.1", runs: true},
		"a model that is not built":      {src: dryrun.List(absent), kinds: []string{"diffusion model"}, family: "Made-up", says: "cannot be run yet; use a model of a family that runs: "},
		"a checkpoint that is not built": {src: dryrun.List(under("model.diffusion_model.", absent+"a 1\nb 1\nc 1\nd 1\ne 1\n") + under("vae.", plainVAE)), kinds: []string{"diffusion model", "VAE"}, family: "Made-up", says: "cannot be run yet"},
		"a part of T5":                   {src: dryrun.List("encoder.block.0.layer.0.SelfAttention.k.weight 8 8\n"), kinds: []string{"text encoder"}, family: "T5", says: "reading the text encoder (T5)"},
		"a quantized LoRA":               {src: quantized, kinds: []string{"LoRA"}, says: "nvfp4"},
		"junk":                           {src: dryrun.List(junk.String()), kinds: []string{}, says: "1900 tensors"},
		"nothing":                        {src: dryrun.List(""), kinds: []string{}, says: "no tensors"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.src == nil {
				c.src = familytest.Manifest(t, name, dtype.F16)
			}
			d := family.Open(family.Default, c.src).Describe()
			if !slices.Equal(d.Kinds, c.kinds) || d.Family != c.family || d.Runs != c.runs || d.Runs != (d.Why == "") || !strings.Contains(d.String(), c.says) {
				t.Errorf("it is %+v (%s), want %+v", d, d, c)
			}
		})
	}
}

// under puts a prefix before each line.
func under(prefix, names string) string {
	return prefix + strings.ReplaceAll(strings.TrimSuffix(names, "\n"), "\n", "\n"+prefix) + "\n"
}
