// Command familydocs writes the census of model families into docs/models.md, between its marks:
//
//	go run ./tools/familydocs
//
// With -golden it first gathers the samples of engine/family/census from a folder of goldens.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/census"
	"comfygo/engine/weights"
	"comfygo/internal/readme"
	"comfygo/internal/recipe"
)

func main() {
	golden := flag.String("golden", "", "gather the samples from this `folder` of goldens")
	flag.Parse()
	if err := run(*golden); err != nil {
		fmt.Fprintln(os.Stderr, "familydocs:", err)
		os.Exit(1)
	}
}

func run(golden string) error {
	if golden != "" {
		return gather(golden)
	}
	lines, err := census.Lines(family.Default)
	if err != nil {
		return err
	}
	path := filepath.Join("docs", "models.md")
	page, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading the page: %w", err)
	}
	text, err := census.Insert(string(page), lines)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil { //nolint:gosec // a page for everyone
		return fmt.Errorf("writing the page: %w", err)
	}
	return readme.Update("README.md")
}

// classes are upstream's classes of the models that no golden of a call names.
var classes = map[string]string{
	"anima-fp8": "Anima", "auraflow-fp8": "AuraFlow", "chroma-fp8": "Chroma", "cogvideox-i2v-tiny": "CogVideoX_I2V", "cogvideox-tiny": "CogVideoX_T2V",
	"flux-q-bf16": "Flux", "flux-q-f32": "Flux", "flux-q-fp8-comfy": "Flux", "flux-q-fp8-meta": "Flux", "flux-q-fp8-mixed": "Flux", "flux-q-fp8-plain": "Flux",
	"flux-q-fp8-scaled": "Flux", "flux-q-int8": "Flux", "flux-q-int8-rows": "Flux", "flux-q-mxfp8": "Flux", "flux-q-nvfp4": "Flux",
	"flux-tiny-dev": "Flux", "flux-tiny-diffusers": "Flux", "flux-tiny-fill": "FluxInpaint", "flux-tiny-schnell": "FluxSchnell", "flux2-tiny": "Flux2",
	"hunyuan-image-tiny": "HunyuanImage21", "hunyuan-video-tiny": "HunyuanVideo", "krea2-tiny": "Krea2", "ltxv-tiny": "LTXV", "lumina2-fp8": "Lumina2",
	"mod-ace-step": "ACEStep", "mod-cascade-b": "Stable_Cascade_B", "mod-cascade-c": "Stable_Cascade_C", "mod-chroma": "Chroma", "mod-cosmos1": "CosmosT2V",
	"mod-hidream": "HiDream", "mod-lumina2": "Lumina2", "mod-omnigen2": "Omnigen2", "mod-qwen-image": "QwenImage", "mod-z-image": "ZImage",
	"sd15-full": "SD15", "sd15-ip2p-small": "SD15_instructpix2pix", "sd15-small-b": "SD15", "sd2-eps-small": "SD20", "sd21-v-ckpt": "SD20", "sd35-ckpt": "SD3",
	"sdxl-ckpt": "SDXL", "ssd1b-tiny": "SSD1B", "ssd1b-tiny-vpred": "SSD1B", "stable-audio-ckpt": "StableAudio", "vega-tiny": "Segmind_Vega", "vega-tiny-inpaint": "Segmind_Vega",
	"wan-fun-control-tiny": "WAN21_FunControl2V", "wan22-i2v-tiny": "WAN21_T2V", "zimage-fp8": "ZImage",
}

// goldens counts what ran on each model.
type goldens struct {
	class                       map[string]string
	forward, modules, workflows map[string]int
}

// gather reads the manifests of diffusion models below a folder of goldens.
func gather(dir string) error {
	g, err := count(dir)
	if err != nil {
		return err
	}
	paths, err := filepath.Glob(filepath.Join(dir, "models", "*.json.gz"))
	if err != nil {
		return fmt.Errorf("looking for manifests: %w", err)
	}
	var samples []census.Sample
	for _, p := range paths {
		m, err := recipe.Load(p)
		if err != nil {
			return err
		}
		class, ok := g.class[m.Name]
		if !ok {
			if class, ok = classes[m.Name]; !ok {
				continue
			}
		}
		s := census.Sample{Name: m.Name, Class: class, Forward: g.forward[m.Name], Modules: g.modules[m.Name], Workflows: g.workflows[m.Name]}
		for _, t := range m.Tensors {
			s.Tensors = append(s.Tensors, weights.Entry{Name: t.Key, DType: t.DType, Shape: t.Shape})
			if stored := t.DType.String(); len(t.Shape) == 2 && t.DType != dtype.I64 && !slices.Contains(s.Stored, stored) && !strings.Contains(t.Key, "scale") {
				s.Stored = append(s.Stored, stored)
			}
		}
		samples = append(samples, s)
	}
	known, err := census.Samples()
	if err != nil {
		return err
	}
	for _, s := range known { // those of families without goldens in the folder stay
		if !slices.ContainsFunc(samples, func(o census.Sample) bool { return o.Name == s.Name }) {
			samples = append(samples, s)
		}
	}
	packed, err := census.Pack(samples)
	if err != nil {
		return err
	}
	fmt.Printf("%d samples, %d bytes\n", len(samples), len(packed))
	return os.WriteFile(filepath.Join("engine", "family", "census", "samples.txt.gz"), packed, 0o644) //nolint:gosec // a file of the project
}

func count(dir string) (goldens, error) {
	g := goldens{class: map[string]string{}, forward: map[string]int{}, modules: map[string]int{}, workflows: map[string]int{}}
	for _, kind := range []string{"forward", "module", "pipeline"} {
		paths, err := filepath.Glob(filepath.Join(dir, kind, "*.json"))
		if err != nil {
			return g, fmt.Errorf("looking for goldens: %w", err)
		}
		for _, p := range paths {
			if err := g.read(p, kind); err != nil {
				return g, fmt.Errorf("reading %s: %w", p, err)
			}
		}
	}
	return g, nil
}

func (g goldens) read(path, kind string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var d struct {
		File   string          `json:"model_file"`
		Class  string          `json:"config_class"`
		Module string          `json:"model"`
		Cases  json.RawMessage `json:"cases"`
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		if kind == "pipeline" {
			return nil // a trace
		}
		return err
	}
	name := strings.TrimSuffix(filepath.Base(d.File), ".safetensors")
	switch kind {
	case "forward":
		var cases []json.RawMessage
		if err := json.Unmarshal(d.Cases, &cases); err != nil {
			return err
		}
		g.class[name] = d.Class
		g.forward[name] += len(cases)
	case "module":
		var cases []json.RawMessage
		if err := json.Unmarshal(d.Cases, &cases); err != nil {
			return err
		}
		g.modules[d.Module] += len(cases)
	case "pipeline":
		var cases map[string]json.RawMessage
		if json.Unmarshal(d.Cases, &cases) != nil {
			return nil
		}
		for _, c := range cases {
			for _, model := range models(c) {
				g.workflows[model]++
			}
		}
	}
	return nil
}

// models lists the files that a workflow names, each once.
func models(raw []byte) []string {
	var out []string
	for _, text := range strings.Split(string(raw), `"`) {
		if name, ok := strings.CutSuffix(text, ".safetensors"); ok && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}
