package engine_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/dtype"
	"comfygo/engine/ort"
	"comfygo/engine/patch"
	"comfygo/engine/safetensors"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/recipe"
	"comfygo/tests/golden"
)

// row is one tensor of a file that is made without content.
type row struct {
	name  string
	shape []int
}

// hollow writes a safetensors file of float16 zeros, which take no space on the disk.
func hollow(t *testing.T, name string, rows ...row) string {
	t.Helper()
	header, at := map[string]any{}, 0
	for _, r := range rows {
		n := 2
		for _, d := range r.shape {
			n *= d
		}
		header[r.name] = map[string]any{"dtype": "F16", "shape": r.shape, "data_offsets": []int{at, at + n}}
		at += n
	}
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name+".safetensors")
	head := append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...)
	if err := errors.Join(os.WriteFile(path, head, 0o600), os.Truncate(path, int64(len(head)+at))); err != nil {
		t.Fatal(err)
	}
	return path
}

// manifest writes the file that a manifest describes, hollow.
func manifest(t *testing.T, name string) string {
	t.Helper()
	m, err := recipe.Load(filepath.Join(filepath.Dir(golden.Path(t, "models/x")), name+".json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	rows := make([]row, len(m.Tensors))
	for i, x := range m.Tensors {
		rows[i] = row{x.Key, x.Shape}
	}
	return hollow(t, name, rows...)
}

// clipH is an OpenCLIP H in the layout of transformers, with the parts that loaders check.
func clipH(t *testing.T) string {
	t.Helper()
	rows := []row{{"text_model.embeddings.token_embedding.weight", []int{49408, 1024}}, {"text_model.embeddings.position_embedding.weight", []int{77, 1024}}}
	for i := range 24 {
		rows = append(rows, row{fmt.Sprintf("text_model.encoder.layers.%d.mlp.fc1.weight", i), []int{4096, 1024}})
	}
	return hollow(t, "clip-h", rows...)
}

// wrongFile is what a loader said about an unsuitable file, and what the error has to contain.
type wrongFile struct {
	err  error
	want []string
}

func (c wrongFile) check(t *testing.T, name string) {
	t.Helper()
	for _, want := range c.want {
		if c.err == nil || !strings.Contains(c.err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", name, c.err, want)
		}
	}
}

// TestWrongFiles passes unsuitable files to loaders: each error names the file, its content and the expected content.
// Nothing stays in memory.
func TestWrongFiles(t *testing.T) {
	t.Parallel()
	rt := shared.OnDevice(ort.Device{})
	sd15, sdxl, clipL := manifest(t, "sd15-small"), manifest(t, "sdxl-small"), manifest(t, "clip-l")
	lora, loraXL, vae := manifest(t, "lora-kohya"), manifest(t, "lora-sdxl-kohya"), manifest(t, "vae-sd")
	flux := hollow(t, "flux", row{"double_blocks.0.img_attn.norm.key_norm.scale", []int{128}})
	fluxLoRA := []row{
		{"lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight", []int{4, 3072}}, {"lora_unet_double_blocks_0_img_attn_qkv.lora_up.weight", []int{9216, 4}},
	}
	junk := make([]row, 10_000)
	for i := range junk {
		junk[i] = row{fmt.Sprintf("part%d.x%d", i%7, i), []int{1}}
	}
	heap := hollow(t, "junk", junk...)
	half := filepath.Join(t.TempDir(), "half.safetensors")
	raw, err := os.ReadFile(demoFile(t))
	if err == nil {
		err = os.WriteFile(half, raw[:len(raw)/2], 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	model := func(path string) error { _, err := rt.LoadModel(path, dtype.Invalid); return err }
	checkpoint := func(path string) error { _, _, _, err := rt.LoadCheckpoint(path); return err }
	clip := func(kind string, paths ...string) error { _, err := rt.LoadCLIP(kind, paths...); return err }
	apply := func(path, on string) error {
		m, err := rt.LoadModel(on, dtype.Invalid)
		if err != nil {
			return err
		}
		_, _, err = rt.ApplyLoRA(t.Context(), path, m, nil, 1, 1)
		return err
	}
	// Upstream's loaders take a single CLIP-L or CLIP-H for any type; the model fails on their encoding.
	if err := errors.Join(clip("sdxl", clipL), clip("sdxl", clipH(t))); err != nil {
		t.Error(err)
	}
	text := func(width int) error {
		m, err := rt.LoadModel(sdxl, dtype.Invalid)
		if err != nil {
			return err
		}
		_, err = step(t.Context(), m, width)
		return err
	}
	for name, c := range map[string]wrongFile{
		"truncated":                       {checkpoint(half), []string{"half.safetensors", "truncated"}},
		"an SDXL LoRA on SD 1.5":          {apply(loraXL, sd15), []string{"lora-sdxl-kohya.safetensors", "Stable Diffusion 1.x", "made for another model", "load the model that it was trained on"}},
		"an SD 1.5 LoRA on SDXL":          {apply(lora, sdxl), []string{"lora-kohya.safetensors", "Stable Diffusion XL", "made for another model"}},
		"a LoRA of Flux on SDXL":          {apply(hollow(t, "lora-flux", fluxLoRA...), sdxl), []string{"lora-flux.safetensors", "Stable Diffusion XL", "made for another model"}},
		"text encoders of SDXL for Flux":  {clip("flux", clipL, clipH(t)), []string{"flux", "t5xxl", "no type takes these encoders alone"}},
		"a model as a LoRA":               {apply(vae, sd15), []string{"vae-sd.safetensors", "LoRA", "a loader of its own"}},
		"CLIP-L and CLIP-G for Flux":      {clip("flux", clipL, manifest(t, "clip-g")), []string{"flux", "t5xxl", "types that take clip_g and clip_l: sdxl"}},
		"CLIP-H beside CLIP-L for SDXL":   {clip("sdxl", clipL, clipH(t)), []string{"clip_h", "sdxl"}},
		"the same CLIP twice":             {clip("sdxl", clipL, clipL), []string{"clip-l.safetensors", "both hold the encoder clip_l"}},
		"text of a single CLIP-L on SDXL": {text(768), []string{"768", "2048", "use the CLIP of the model's own checkpoint"}},
		"text of CLIP-H on SDXL":          {text(1024), []string{"1024", "2048"}},
		"junk as a model":                 {model(heap), []string{"junk.safetensors", "10000 tensors", "families that run", "downloaded whole"}},
		"junk as a LoRA":                  {apply(heap, sd15), []string{"junk.safetensors", "LoRA"}},
		"junk as a text encoder":          {clip("stable_diffusion", heap), []string{"junk.safetensors", "no text encoder"}},
		"Flux as a model":                 {model(flux), []string{"flux.safetensors", "double_blocks", "families that run", "docs/models.md"}},
		"a LoRA as a checkpoint":          {checkpoint(lora), []string{"lora-kohya.safetensors", "it is a LoRA", "LoraLoader"}},
		"a VAE as a model":                {model(vae), []string{"vae-sd.safetensors", "it holds a VAE", "VAELoader"}},
		"an upscaler as a VAE": {
			func() error { _, err := rt.LoadVAE(manifest(t, "realesrgan-2x")); return err }(),
			[]string{"realesrgan-2x.safetensors", "upscale model", "UpscaleModelLoader"},
		},
		"a ControlNet of SD 1.5 on SDXL": {
			steerXL(t, rt, manifest(t, "controlnet-sd15"), sdxl), []string{"controlnet-sd15.safetensors", "Stable Diffusion XL", "another family", "use a ControlNet for Stable Diffusion XL"},
		},
		"a LoRA without a factor": {
			apply(hollow(t, "lora-half", row{"lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q.lora_down.weight", []int{4, 320}}), sd15),
			[]string{"lora-half.safetensors", "download it again"},
		},
	} {
		c.check(t, name)
	}
	rt.FreeModels()
	if s := rt.Stats(); s.Networks != 0 || s.WeightBytes != 0 {
		t.Errorf("after freeing: %+v", s)
	}
}

// TestFilesOfAnotherKind passes files to the loaders of other kinds: each error says what the file is and which class loads it.
func TestFilesOfAnotherKind(t *testing.T) {
	t.Parallel()
	rt := shared.OnDevice(ort.Device{})
	t.Cleanup(rt.FreeModels)
	sd15, lora := manifest(t, "sd15-small"), manifest(t, "lora-kohya")
	for name, c := range map[string]wrongFile{
		"a LoRA as a GLIGEN model": {
			func() error { _, err := rt.LoadGrounding(lora); return err }(),
			[]string{"lora-kohya.safetensors", "it is a LoRA", "LoraLoader"},
		},
		"a ControlNet as a style model": {
			func() error { _, err := rt.LoadStyle(manifest(t, "controlnet-sd15")); return err }(),
			[]string{"controlnet-sd15.safetensors", "it holds a ControlNet", "ControlNetLoader"},
		},
		"a style model as a ControlNet": {
			func() error { _, err := rt.LoadControlNet(reduxFile(t)); return err }(),
			[]string{"it holds a style model", "StyleModelLoader"},
		},
		"a LoRA as a hypernetwork": {
			func() error { _, err := patch.OpenHypernetwork(lora, 1); return err }(),
			[]string{"lora-kohya.safetensors", "hypernetwork (.pt)"},
		},
		"a model as a ControlNet": {
			func() error { _, err := rt.LoadControlNet(sd15); return err }(),
			[]string{"sd15-small.safetensors", "no ControlNet", "diffusion model"},
		},
	} {
		c.check(t, name)
	}
}

// TestMemoryComesBackAfterFaults runs models whose weights are NaN or belong to another network, and checks what stays in
// memory.
func TestMemoryComesBackAfterFaults(t *testing.T) {
	t.Parallel()
	rt := shared.OnDevice(ort.Device{})
	t.Cleanup(rt.FreeModels)
	path := changed(t, func(x safetensors.Tensor) *safetensors.Tensor {
		if x.Name == "model.diffusion_model.input_blocks.1.0.in_layers.2.weight" {
			x.Data = append([]byte(nil), x.Data...)
			x.Data[1] = 0x7e
		}
		return &x
	}, true)
	m, err := rt.LoadModel(path, dtype.Invalid)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = step(t.Context(), m, 40); err == nil || !strings.Contains(err.Error(), "NaN") || !strings.Contains(err.Error(), path) {
		t.Errorf("weights that are not numbers: %v", err)
	}
	good, err := rt.LoadModel(demoFile(t), dtype.Invalid)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := step(t.Context(), good, 768); err == nil {
		t.Error("text of another width was taken")
	}
	rt.FreeModels()
	if s := rt.Stats(); s.Networks != 0 || s.WeightBytes != 0 {
		t.Errorf("after freeing: %+v", s)
	}
}

// steerXL runs a model of SDXL with a ControlNet.
func steerXL(t *testing.T, rt *engine.Runtime, control, model string) error {
	t.Helper()
	c, err := rt.LoadControlNet(control)
	if err != nil {
		return err
	}
	m, err := rt.LoadModel(model, dtype.Invalid)
	if err != nil {
		return err
	}
	in := sampling.Text(tensor.New(1, 77, 2048))
	in.List = append(in.List, sampling.Input{Name: "y", Value: tensor.New(1, 2816), Rule: sampling.ByRows})
	if in.Control, err = c.With(tensor.New(1, 64, 64, 3), engine.ControlOptions{Strength: 1, End: 1}); err != nil {
		return err
	}
	in.Sigma = 1
	_, err = m.Predict(t.Context(), tensor.New(1, 4, 8, 8), []float32{500}, in)
	return err
}
