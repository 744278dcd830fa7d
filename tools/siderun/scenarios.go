package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"comfygo/internal/apiclient"
	"comfygo/internal/measure"
)

// figures are the results of a scenario, by name with unit.
type figures map[string]float64

// add adds the CPU and wall-clock seconds of a part.
func (f figures) add(name string, c measure.Cost) {
	f[name+", CPU s"] = c.CPU.Seconds()
	f[name+", s"] = c.Wall.Seconds()
}

// scenario is a sequence of prompts on a fresh server.
type scenario struct {
	name, title string
	files       []string // below the models folder
	rows        []string // of the table, in order; each gets CPU seconds and seconds
	figures     []string // further rows, each one figure of this name
	run         func(ctx context.Context, server *apiclient.Process) (figures, error)
}

// transformer is a diffusion transformer and its text encoder, in files of their own.
type transformer struct{ model, encoder, encoderType string }

// files lists them below the models folder.
func (t *transformer) files() []string {
	return []string{"diffusion_models/" + t.model, "text_encoders/" + t.encoder}
}

// settings make a text-to-image workflow.
type settings struct {
	checkpoint, lora string
	transformer      *transformer // in place of a checkpoint
	strength         float64
	cfg              float64 // 7 when it is 0
	size, steps      int
	seed             int
	decode           bool
}

// workflow is text to image with classifier-free guidance, so that each step runs a batch of two unless cfg is 1.
func (s settings) workflow() measure.Workflow {
	link := func(id string, output int) []any { return []any{id, output} }
	clip := link("1", 1)
	if s.transformer != nil {
		clip = link("0", 0)
	}
	w := measure.Workflow{
		"1": {Class: "CheckpointLoaderSimple", Inputs: map[string]any{"ckpt_name": s.checkpoint}},
		"2": {Class: "CLIPTextEncode", Inputs: map[string]any{"text": "a photo of a cat in a garden", "clip": clip}},
		"3": {Class: "CLIPTextEncode", Inputs: map[string]any{"text": "blurry, low quality", "clip": clip}},
		"4": {Class: "EmptyLatentImage", Inputs: map[string]any{"width": s.size, "height": s.size, "batch_size": 1}},
	}
	if t := s.transformer; t != nil {
		w["0"] = measure.Node{Class: "CLIPLoader", Inputs: map[string]any{"clip_name": t.encoder, "type": t.encoderType}}
		w["1"] = measure.Node{Class: "UNETLoader", Inputs: map[string]any{"unet_name": t.model, "weight_dtype": "default"}}
		w["4"] = measure.Node{Class: "EmptySD3LatentImage", Inputs: w["4"].Inputs}
	}
	model := link("1", 0)
	if s.lora != "" {
		w["5"] = measure.Node{Class: "LoraLoaderModelOnly", Inputs: map[string]any{
			"model": model, "lora_name": s.lora, "strength_model": s.strength,
		}}
		model = link("5", 0)
	}
	cfg := s.cfg
	if cfg == 0 {
		cfg = 7
	}
	w["6"] = measure.Node{Class: "KSampler", Inputs: map[string]any{
		"model": model, "positive": link("2", 0), "negative": link("3", 0), "latent_image": link("4", 0),
		"seed": s.seed, "steps": s.steps, "cfg": cfg, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0,
	}}
	if s.decode {
		w["7"] = measure.Node{Class: "VAEDecode", Inputs: map[string]any{"samples": link("6", 0), "vae": link("1", 2)}}
		w["8"] = measure.Node{Class: "PreviewImage", Inputs: map[string]any{"images": link("7", 0)}}
	} else {
		w["7"] = measure.Node{Class: "SaveLatent", Inputs: map[string]any{"samples": link("6", 0), "filename_prefix": "siderun"}}
	}
	return w
}

// all lists the scenarios.
func (o options) all() []scenario {
	sdxl := settings{checkpoint: o.sdxl, steps: o.steps}
	return []scenario{
		o.steady("sdxl-512", "SDXL, CFG batch of 2", sdxl, 512),
		o.steady("sdxl-1024", "SDXL, CFG batch of 2", sdxl, 1024),
		o.steady("sd15", "Stable Diffusion 1.5, CFG batch of 2", settings{checkpoint: o.sd15, steps: o.steps, decode: true}, 512),
		o.adapters(),
		o.loraForms(),
		o.patching(),
		o.stack("flux-stack", "flux-dev-bf16.safetensors"),
		o.stack("z-image-stack", "z-image-bf16.safetensors"),
		o.stack("qwen-image-stack", "qwen-image-bf16.safetensors"),
		o.videoDecoding("wan-vae", "vae-wan21-full.safetensors", "EmptyHunyuanLatentVideo"),
		o.videoDecoding("ltx-vae", "vae-ltxv-full.safetensors", "EmptyLTXVLatentVideo"),
		o.imageVideoDecoding(),
	}
}

// stack measures a transformer of full width and fewer blocks, whose text width is that of CLIP-L, without guidance.
func (o options) stack(name, model string) scenario {
	t := &transformer{model: model, encoder: "clip-l.safetensors", encoderType: "stable_diffusion"}
	s := o.steady(name, "no guidance", settings{checkpoint: model, transformer: t, steps: o.steps, cfg: 1}, 512)
	s.files = t.files()
	return s
}

// steady measures one prompt on a server that has loaded nothing: up to the first step, a later step, decoding.
func (o options) steady(name, title string, st settings, size int) scenario {
	st.size, st.seed = size, 1
	if o.size > 0 {
		st.size = o.size
	}
	s := scenario{
		name: name, title: fmt.Sprintf("%s, %s, %dx%d", title, st.checkpoint, st.size, st.size),
		files: []string{"checkpoints/" + st.checkpoint}, rows: []string{"up to the first step", "a step"},
	}
	if st.decode {
		s.rows = append(s.rows, "decoding")
	}
	s.run = func(ctx context.Context, server *apiclient.Process) (figures, error) {
		r, err := measure.Prompt(ctx, server, st.workflow())
		if err != nil {
			return nil, err
		}
		if r.Step == (measure.Cost{}) {
			return nil, errors.New("the server reported fewer than two steps")
		}
		f := figures{}
		f.add("up to the first step", r.First)
		f.add("a step", r.Step)
		if st.decode {
			f.add("decoding", r.Node("VAEDecode"))
		}
		return f, nil
	}
	return s
}

// adapters measures what a changed strength of a LoRA and another LoRA cost: the difference to prompts in which only the
// seed changed. Images are small and steps few, so that the difference is not lost in the sampling.
func (o options) adapters() scenario {
	st := settings{checkpoint: o.sdxl, steps: 1, size: 64}
	if o.size > 0 {
		st.size = o.size
	}
	first, second, _ := strings.Cut(o.loras, ",")
	const plain, strength, another = "a new seed", "a new strength, beyond a new seed", "another LoRA, beyond a new seed"
	return scenario{
		name: "lora", title: fmt.Sprintf("LoRA on %s, %dx%d, one step", st.checkpoint, st.size, st.size),
		files: []string{"checkpoints/" + o.sdxl, "loras/" + first, "loras/" + second},
		rows:  []string{plain, strength, another},
		run: func(ctx context.Context, server *apiclient.Process) (figures, error) {
			costs := map[string][]measure.Cost{}
			for i, p := range []struct {
				what, lora string
				strength   float64
			}{
				{"", first, 0.8},
				{plain, first, 0.8},
				{plain, first, 0.8},
				{strength, first, 0.6},
				{plain, first, 0.6},
				{strength, first, 0.9},
				{strength, first, 0.7},
				{another, second, 0.8},
				{plain, second, 0.8},
			} {
				st.lora, st.strength, st.seed = p.lora, p.strength, i+1
				r, err := measure.Prompt(ctx, server, st.workflow())
				if err != nil {
					return nil, err
				}
				costs[p.what] = append(costs[p.what], r.All)
			}
			base := middle(costs[plain])
			f := figures{}
			f.add(plain, base)
			for _, what := range []string{strength, another} {
				c := middle(costs[what])
				f.add(what, measure.Cost{Wall: c.Wall - base.Wall, CPU: c.CPU - base.CPU})
			}
			return f, nil
		},
	}
}

// middle is the median of CPU and of wall-clock times.
func middle(costs []measure.Cost) measure.Cost {
	byCPU, byWall := slices.Clone(costs), slices.Clone(costs)
	slices.SortFunc(byCPU, func(a, b measure.Cost) int { return int(a.CPU - b.CPU) })
	slices.SortFunc(byWall, func(a, b measure.Cost) int { return int(a.Wall - b.Wall) })
	return measure.Cost{CPU: byCPU[len(costs)/2].CPU, Wall: byWall[len(costs)/2].Wall}
}
