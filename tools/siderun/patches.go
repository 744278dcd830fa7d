package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"comfygo/internal/apiclient"
	"comfygo/internal/measure"
)

// modelNode is a node between the checkpoint and the sampler.
type modelNode struct {
	class  string
	inputs map[string]any
}

// patched is the workflow with nodes between the model and the sampler.
func (s settings) patched(nodes ...modelNode) measure.Workflow {
	w := s.workflow()
	model := w["6"].Inputs["model"]
	for i, n := range nodes {
		id := fmt.Sprintf("p%d", i)
		inputs := maps.Clone(n.inputs)
		inputs["model"] = model
		w[id] = measure.Node{Class: n.class, Inputs: inputs}
		model = []any{id, 0}
	}
	w["6"].Inputs["model"] = model
	return w
}

// patches are the nodes that change how a U-Net computes, with the settings at which they are measured.
var patches = []modelNode{
	{"FreeU", map[string]any{"b1": 1.1, "b2": 1.2, "s1": 0.9, "s2": 0.2}},
	{"FreeU_V2", map[string]any{"b1": 1.3, "b2": 1.4, "s1": 0.9, "s2": 0.2}},
	{"HyperTile", map[string]any{"tile_size": 128, "swap_size": 2, "max_depth": 0, "scale_depth": false}},
	{"TomePatchModel", map[string]any{"ratio": 0.3}},
	{"PatchModelAddDownscale", map[string]any{
		"block_number": 2, "downscale_factor": 2.0, "start_percent": 0.0, "end_percent": 1.0, "downscale_after_skip": true,
		"downscale_method": "bicubic", "upscale_method": "bicubic",
	}},
	{"PerturbedAttentionGuidance", map[string]any{"scale": 3.0}},
	{"SelfAttentionGuidance", map[string]any{"scale": 0.5, "blur_sigma": 2.0}},
	{"NAGuidance", map[string]any{"nag_scale": 5.0, "nag_alpha": 0.5, "nag_tau": 1.5}},
	{"UNetSelfAttentionMultiply", map[string]any{"q": 1.1, "k": 0.9, "v": 1.05, "out": 0.95}},
	{"UNetCrossAttentionMultiply", map[string]any{"q": 1.1, "k": 0.9, "v": 1.05, "out": 0.95}},
	{"RescaleCFG", map[string]any{"multiplier": 0.7}},
	{"EasyCache", map[string]any{"reuse_threshold": 0.0, "start_percent": 0.15, "end_percent": 0.95, "verbose": false}},
	{"LazyCache", map[string]any{"reuse_threshold": 0.0, "start_percent": 0.15, "end_percent": 0.95, "verbose": false}},
}

// transformerPatch is a node and the model that it is measured on.
type transformerPatch struct {
	on    transformer
	patch modelNode
}

// transformerPatches are the nodes that change how a transformer computes, with models of the goldens that they apply to.
var transformerPatches = []transformerPatch{
	{transformer{"sd35-small.safetensors", "clip-l.safetensors", "sd3"}, modelNode{"SkipLayerGuidanceSD3", map[string]any{
		"layers": "1, 2", "scale": 3.0, "start_percent": 0.0, "end_percent": 1.0,
	}}},
	{transformer{"flux-tiny-dev.safetensors", "clip-l.safetensors", "stable_diffusion"}, modelNode{"SkipLayerGuidanceDiT", map[string]any{
		"double_layers": "1", "single_layers": "1", "scale": 3.0, "start_percent": 0.0, "end_percent": 1.0, "rescaling_scale": 0.0,
	}}},
	{transformer{"flux-tiny-dev.safetensors", "clip-l.safetensors", "stable_diffusion"}, modelNode{"ScaleROPE", map[string]any{
		"scale_x": 1.5, "shift_x": 2.0, "scale_y": 0.5, "shift_y": 1.0, "scale_t": 1.0, "shift_t": 0.0,
	}}},
}

// named reports whether -patches names a class.
func (o options) named(class string) bool {
	return o.patches == "" || slices.Contains(strings.Split(o.patches, ","), class)
}

// chosen returns the nodes that -patches names.
func (o options) chosen(nodes []modelNode) []modelNode {
	return slices.DeleteFunc(slices.Clone(nodes), func(n modelNode) bool { return !o.named(n.class) })
}

// onTransformers returns the nodes for transformers that -patches names.
func (o options) onTransformers() []transformerPatch {
	return slices.DeleteFunc(slices.Clone(transformerPatches), func(t transformerPatch) bool { return !o.named(t.patch.class) })
}

// leastStep is the CPU time of a step with nodes at the model, the lesser of two runs: the first makes a session.
func leastStep(ctx context.Context, server *apiclient.Process, st *settings, nodes ...modelNode) (float64, error) {
	var least float64
	for range 2 {
		st.seed++
		r, err := measure.Prompt(ctx, server, st.patched(nodes...))
		if err != nil {
			return 0, err
		}
		if c := r.Step.CPU.Seconds(); c > 0 && (least == 0 || c < least) {
			least = c
		}
	}
	if least == 0 {
		return 0, errors.New("the server reported fewer than two steps")
	}
	return least, nil
}

// patching measures the cost of a step with each patch, relative to the step of the same server without.
func (o options) patching() scenario {
	size := 256
	if o.size > 0 {
		size = o.size
	}
	const plain = "a step without, CPU s"
	s := scenario{
		name: "patches", title: fmt.Sprintf("patches on %s and transformers, %dx%d, CPU time of a step by that of one without", o.sd15, size, size),
		files: []string{"checkpoints/" + o.sd15}, figures: []string{plain},
	}
	for _, p := range o.chosen(patches) {
		s.figures = append(s.figures, p.class)
	}
	for _, t := range o.onTransformers() {
		s.figures = append(s.figures, t.patch.class)
		for _, f := range t.on.files() {
			if !slices.Contains(s.files, f) {
				s.files = append(s.files, f)
			}
		}
	}
	s.run = func(ctx context.Context, server *apiclient.Process) (figures, error) {
		f := figures{}
		st := &settings{checkpoint: o.sd15, steps: o.steps, size: size, seed: 1}
		base, err := leastStep(ctx, server, st)
		if err != nil {
			return nil, err
		}
		f[plain] = base
		const group = 4 // patches between two runs without
		nodes := o.chosen(patches)
		for i, p := range nodes {
			c, err := leastStep(ctx, server, st, p)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.class, err)
			}
			f[p.class] = c / base
			if i%group == group-1 && i < len(nodes)-1 {
				if base, err = leastStep(ctx, server, st); err != nil {
					return nil, err
				}
			}
		}
		for _, t := range o.onTransformers() {
			st := &settings{transformer: &t.on, steps: o.steps, size: 2 * size, seed: 1}
			base, err := leastStep(ctx, server, st)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", t.on.model, err)
			}
			c, err := leastStep(ctx, server, st, t.patch)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", t.patch.class, err)
			}
			f[t.patch.class] = c / base
		}
		return f, nil
	}
	return s
}

// loraForms measures LoRA files of any form: what the first use costs, another strength, and ten of them on one model, each beyond the
// cheapest prompt so far in which the seed alone is another.
func (o options) loraForms() scenario {
	st := settings{checkpoint: o.sd15, steps: 1, size: 64}
	if o.size > 0 {
		st.size = o.size
	}
	names := strings.FieldsFunc(o.forms, func(r rune) bool { return r == ',' })
	const plain = "a new seed, CPU s"
	s := scenario{
		name: "forms", title: fmt.Sprintf("LoRA files on %s, %dx%d, one step, CPU seconds beyond a new seed", st.checkpoint, st.size, st.size),
		files: []string{"checkpoints/" + st.checkpoint}, figures: []string{plain},
	}
	const load, strength, stack, restack = "load", "another strength", "ten of them", "ten, another strength"
	row := func(name, what string) string { return strings.TrimSuffix(name, ".safetensors") + ": " + what }
	for _, n := range names {
		s.files = append(s.files, "loras/"+n)
		for _, what := range []string{load, strength, stack, restack} {
			s.figures = append(s.figures, row(n, what))
		}
	}
	s.run = func(ctx context.Context, server *apiclient.Process) (figures, error) {
		prompt := func(name string, times int, strength float64) (float64, error) {
			st.seed++
			var nodes []modelNode
			for range times {
				nodes = append(nodes, modelNode{"LoraLoaderModelOnly", map[string]any{"lora_name": name, "strength_model": strength}})
			}
			r, err := measure.Prompt(ctx, server, st.patched(nodes...))
			return r.All.CPU.Seconds(), err
		}
		f := figures{}
		var base float64
		for range 3 {
			c, err := prompt("", 0, 0)
			if err != nil {
				return nil, err
			}
			if base == 0 || c < base {
				base = c
			}
		}
		for _, n := range names {
			for _, m := range []struct {
				what     string
				times    int
				strength float64
			}{{load, 1, 0.8}, {"", 1, 0.8}, {strength, 1, 0.6}, {strength, 1, 0.9}, {stack, 10, 0.08}, {"", 10, 0.08}, {restack, 10, 0.06}} {
				c, err := prompt(n, m.times, m.strength)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", n, err)
				}
				if m.what == "" {
					base = min(base, c)
					continue
				}
				f[row(n, m.what)] = c - base
			}
		}
		f[plain] = base
		return f, nil
	}
	return s
}
