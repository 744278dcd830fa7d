// Package readme writes the part of README.md that lists what works: model families from their registry and census, node
// classes by group from the catalogue. A test checks that the page is up to date.
package readme

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all" // the families
	"comfygo/engine/family/census"
	"comfygo/nodes"
	_ "comfygo/nodes/all" // the classes
	"comfygo/nodes/catalog"
)

// The marks between which the page is generated.
const (
	begin = "<!-- what works: go run ./tools/nodedocs -->\n"
	end   = "<!-- end of what works -->\n"
)

// mostNamed is the number of missing classes of a group that are named.
const mostNamed = 6

// groups sort upstream's modules, by the part of their names behind nodes_; what is in none belongs to model families.
var groups = []struct {
	name    string
	modules []string
}{
	{"Core: loaders, conditioning, samplers, latents, images", []string{"nodes"}},
	{"Sampling and guidance", []string{
		"custom_sampler", "advanced_samplers", "sag", "perpneg", "pag", "slg", "mahiro", "cfg", "apg", "fresca", "tcfg", "nag", "eps",
		"align_your_steps", "gits", "optimalsteps", "differential_diffusion", "hypertile", "freelunch", "tomesd", "model_downscale", "model_advanced",
		"easycache", "rope", "attention_multiply", "ip2p", "multigpu", "torch_compile", "context_windows",
	}},
	{"LoRA, merging, hooks, training", []string{"hooks", "model_merging", "model_merging_model_specific", "lora_extract", "lora_debug", "train", "dataset", "hypernetwork", "model_patch"}},
	{"Images, masks, latents", []string{
		"upscale_model", "post_processing", "mask", "compositing", "compositor", "canny", "images", "morphology", "image_compare", "bounding_boxes", "color",
		"painter", "curve", "text_overlay", "glsl", "webcam", "resolution", "latent", "rebatch", "sdupscale",
	}},
	{"Audio", []string{"audio", "audio_encoder", "ace", "lt_audio", "minimax_music"}},
	{"Video files and frames", []string{"video", "frame_interpolation"}},
	{"3D: meshes, splats, cameras", []string{"load_3d", "hunyuan3d", "trellis2", "mesh_postprocess", "save_3d", "gaussian_splat", "triposplat", "stable3d", "camera_trajectory"}},
	{"Vision: segmentation, depth, pose, background", []string{"sam3", "rtdetr", "moge", "mediapipe", "depth_anything_3", "bg_removal", "sdpose"}},
	{"Text, logic, numbers", []string{"string", "primitive", "json_prompt", "logic", "math", "number_convert", "textgen", "text", "seed", "toolkit", "preview_any", "nop"}},
}

// familyGroup holds the classes of modules in no other group.
const familyGroup = "Single model families (Flux, Wan, LTX, Hunyuan and others)"

func groupOf(module string) string {
	short := strings.TrimPrefix(module, "comfy_extras.nodes_")
	for _, g := range groups {
		if slices.Contains(g.modules, short) {
			return g.name
		}
	}
	return familyGroup
}

// Section is the generated part of the page.
func Section() (string, error) {
	var b strings.Builder
	if err := families(&b); err != nil {
		return "", err
	}
	classes(&b)
	return b.String(), nil
}

func families(b *strings.Builder) error {
	lines, err := census.Lines(family.Default)
	if err != nil {
		return fmt.Errorf("taking the census of the families: %w", err)
	}
	var runs, waits []string
	count := 0
	for _, l := range lines {
		name := l.Family
		if name == "" {
			name = l.Class
		}
		if l.Runs {
			count++
			runs = append(runs, name)
		} else {
			waits = append(waits, name)
		}
	}
	fmt.Fprintf(b, "**Models: %d of ComfyUI's %d model classes run** ([docs/models.md](docs/models.md) lists each, with what was compared).\n\n", count, len(lines))
	fmt.Fprintf(b, "| | model families |\n|---|---|\n| work | %s |\n| do not yet | %s |\n\n", strings.Join(unique(runs), ", "), strings.Join(unique(waits), ", "))
	return nil
}

// unique keeps the first of equal names.
func unique(names []string) []string {
	var out []string
	for _, n := range names {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	if len(out) == 0 {
		return []string{"none"}
	}
	return out
}

func classes(b *strings.Builder) {
	registry := nodes.Default()
	type tally struct {
		native int
		lacks  []string
	}
	counts := map[string]*tally{}
	all := 0
	for _, c := range catalog.Classes() {
		g := groupOf(c.Module)
		if counts[g] == nil {
			counts[g] = &tally{}
		}
		if _, ok := registry.Get(c.Name); ok {
			counts[g].native++
			all++
		} else {
			counts[g].lacks = append(counts[g].lacks, "`"+c.Name+"`")
		}
	}
	fmt.Fprintf(b, "**Nodes: %d of ComfyUI's %d core classes** ([docs/nodes.md](docs/nodes.md) lists each).\n\n", all, len(catalog.Classes()))
	b.WriteString("| node group | work | do not yet |\n|---|---|---|\n")
	names := make([]string, 0, len(groups)+1)
	for _, g := range groups {
		names = append(names, g.name)
	}
	for _, name := range append(names, familyGroup) {
		t := counts[name]
		if t == nil {
			continue
		}
		lacks := strings.Join(t.lacks[:min(len(t.lacks), mostNamed)], ", ")
		if more := len(t.lacks) - mostNamed; more > 0 {
			lacks += fmt.Sprintf(" and %d more", more)
		}
		fmt.Fprintf(b, "| %s | %d of %d | %s |\n", name, t.native, t.native+len(t.lacks), lacks)
	}
}

// Insert puts the section between the marks of a page.
func Insert(page, section string) (string, error) {
	from, to := strings.Index(page, begin), strings.Index(page, end)
	if from < 0 || to < from {
		return "", errors.New("README.md lacks the marks of the generated part")
	}
	return page[:from+len(begin)] + section + page[to:], nil
}

// Update writes the section into a page.
func Update(path string) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading the page: %w", err)
	}
	section, err := Section()
	if err != nil {
		return err
	}
	text, err := Insert(string(page), section)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644) //nolint:gosec // a page for everyone
}
