package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"comfygo/internal/apiclient"
)

// mixedCase is a workflow with classes that comfygo runs itself and classes that it takes from the checkout.
type mixedCase struct {
	name  string
	nodes map[string]node
}

func at(id string, slot int) [2]any { return [2]any{id, slot} }

// basic is text to image in 64x64 with a checkpoint; the cases change it.
func basic(checkpoint string) map[string]node {
	return map[string]node{
		"load":     {"CheckpointLoaderSimple", map[string]any{"ckpt_name": checkpoint}},
		"positive": {"CLIPTextEncode", map[string]any{"text": "a red house by the sea", "clip": at("load", 1)}},
		"negative": {"CLIPTextEncode", map[string]any{"text": "blurred", "clip": at("load", 1)}},
		"latent":   {"EmptyLatentImage", map[string]any{"width": 64, "height": 64, "batch_size": 1}},
		"sample": {"KSampler", map[string]any{
			"model": at("load", 0), "positive": at("positive", 0), "negative": at("negative", 0),
			"latent_image": at("latent", 0), "seed": 5, "steps": 3, "cfg": 5.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0,
		}},
		"decode": {"VAEDecode", map[string]any{"samples": at("sample", 0), "vae": at("load", 2)}},
		"save":   {"PreviewImage", map[string]any{"images": at("decode", 0)}},
	}
}

// adder takes a case: the basic workflow, changed.
type adder func(name string, change func(n map[string]node))

// mixedCases returns the cases for a checkpoint of Stable Diffusion 1.5 and a LoRA for it, each "" if it is missing.
func mixedCases(checkpoint, lora string) []mixedCase {
	var cases []mixedCase
	add := func(name string, change func(n map[string]node)) {
		n := basic(checkpoint)
		change(n)
		cases = append(cases, mixedCase{name, numbered(n)})
	}
	modelCases(add)
	imageCases(add)
	latentCases(add)
	if lora != "" {
		loraCases(add, lora)
	}
	return cases
}

// model puts a class that takes and gives a model before the sampler.
func model(n map[string]node, class string, inputs map[string]any) {
	inputs["model"] = n["sample"].Inputs["model"]
	n["patch "+class] = node{class, inputs}
	n["sample"].Inputs["model"] = at("patch "+class, 0)
}

// windows are the inputs of ContextWindowsManual.
func windows() map[string]any {
	return map[string]any{
		"context_length": 2, "context_overlap": 1, "context_schedule": "standard_static", "context_stride": 1,
		"closed_loop": false, "fuse_method": "pyramid", "dim": 0, "freenoise": false, "cond_retain_index_list": "",
		"split_conds_to_windows": false, "latent_retain_index_list": "", "causal_window_fix": false,
	}
}

// device puts a class that chooses a device between an output of the loader and its users.
func device(n map[string]node, class, input string, slot int, users map[string]string) {
	n[class] = node{class, map[string]any{input: at("load", slot), "device": "default"}}
	for id, name := range users {
		n[id].Inputs[name] = at(class, 0)
	}
}

// custom samples with a sampler and sigmas of their own.
func custom(n map[string]node, sampler node) {
	n["sampler"] = sampler
	n["sigmas"] = node{"BasicScheduler", map[string]any{"model": at("load", 0), "scheduler": "simple", "steps": 3, "denoise": 1.0}}
	n["sample"] = node{"SamplerCustom", map[string]any{
		"model": at("load", 0), "add_noise": true, "noise_seed": 3, "cfg": 4.0,
		"positive": at("positive", 0), "negative": at("negative", 0), "sampler": at("sampler", 0), "sigmas": at("sigmas", 0), "latent_image": at("latent", 0),
	}}
}

// modelCases have classes that take and give models, text encoders and VAEs.
func modelCases(add adder) {
	add("SelectModelDevice", func(n map[string]node) { model(n, "SelectModelDevice", map[string]any{"device": "default"}) })
	add("SelectCLIPDevice", func(n map[string]node) {
		device(n, "SelectCLIPDevice", "clip", 1, map[string]string{"positive": "clip", "negative": "clip"})
	})
	add("SelectVAEDevice", func(n map[string]node) { device(n, "SelectVAEDevice", "vae", 2, map[string]string{"decode": "vae"}) })
	add("all three devices", func(n map[string]node) {
		model(n, "SelectModelDevice", map[string]any{"device": "default"})
		device(n, "SelectCLIPDevice", "clip", 1, map[string]string{"positive": "clip", "negative": "clip"})
		device(n, "SelectVAEDevice", "vae", 2, map[string]string{"decode": "vae"})
	})
	add("ContextWindowsManual, batch of 3", func(n map[string]node) {
		n["latent"].Inputs["batch_size"] = 3
		model(n, "ContextWindowsManual", windows())
	})
	add("a patch of ours, then ContextWindowsManual", func(n map[string]node) {
		model(n, "RescaleCFG", map[string]any{"multiplier": 0.6})
		n["latent"].Inputs["batch_size"] = 3
		model(n, "ContextWindowsManual", windows())
	})
	add("ContextWindowsManual, then a patch of ours", func(n map[string]node) {
		n["latent"].Inputs["batch_size"] = 3
		model(n, "ContextWindowsManual", windows())
		model(n, "RescaleCFG", map[string]any{"multiplier": 0.6})
	})
	add("MultiGPU_WorkUnits", func(n map[string]node) { model(n, "MultiGPU_WorkUnits", map[string]any{"max_gpus": 1}) })
}

// imageCases have images, masks, conditioning and samplers on both sides.
func imageCases(add adder) {
	add("image to image with a mask", func(n map[string]node) {
		n["image"] = node{"LoadImage", map[string]any{"image": firstImage}}
		n["mask"] = node{"SolidMask", map[string]any{"value": 0.7, "width": 96, "height": 64}}
		n["encode"] = node{"VAEEncode", map[string]any{"pixels": at("image", 0), "vae": at("load", 2)}}
		n["latent"] = node{"SetLatentNoiseMask", map[string]any{"samples": at("encode", 0), "mask": at("mask", 0)}}
		n["sample"].Inputs["denoise"] = 0.6
		model(n, "SelectModelDevice", map[string]any{"device": "default"})
	})
	add("encoded in Python, sampled and decoded here", func(n map[string]node) {
		n["image"] = node{"LoadImage", map[string]any{"image": secondImage}}
		n["vae"] = node{"SelectVAEDevice", map[string]any{"vae": at("load", 2), "device": "default"}}
		n["latent"] = node{"VAEEncode", map[string]any{"pixels": at("image", 0), "vae": at("vae", 0)}}
		n["sample"].Inputs["denoise"] = 0.5
	})
	add("a second pass here on latents from Python", func(n map[string]node) {
		model(n, "SelectModelDevice", map[string]any{"device": "default"})
		n["larger"] = node{"LatentUpscaleBy", map[string]any{"samples": at("sample", 0), "upscale_method": "bilinear", "scale_by": 1.5}}
		second := maps.Clone(n["sample"].Inputs)
		second["model"], second["latent_image"], second["denoise"] = at("load", 0), at("larger", 0), 0.5
		n["second"] = node{"KSampler", second}
		n["decode"].Inputs["samples"] = at("second", 0)
	})
	add("areas of conditioning", func(n map[string]node) {
		n["area"] = node{"ConditioningSetAreaPercentage", map[string]any{"conditioning": at("negative", 0), "width": 0.5, "height": 0.5, "x": 0.25, "y": 0.0, "strength": 0.8}}
		n["both"] = node{"ConditioningCombine", map[string]any{"conditioning_1": at("positive", 0), "conditioning_2": at("area", 0)}}
		n["sample"].Inputs["positive"] = at("both", 0)
		model(n, "SelectModelDevice", map[string]any{"device": "default"})
	})
	add("VOIDSampler", func(n map[string]node) { custom(n, node{"VOIDSampler", map[string]any{}}) })
	add("SamplerCustom with a model from Python", func(n map[string]node) {
		custom(n, node{"KSamplerSelect", map[string]any{"sampler_name": "dpmpp_2m"}})
		model(n, "SelectModelDevice", map[string]any{"device": "default"})
		n["sigmas"].Inputs["model"] = n["sample"].Inputs["model"]
	})
	add("VOIDWarpedNoiseSource", func(n map[string]node) {
		n["noise latent"] = node{"VAEEncode", map[string]any{"pixels": at("image", 0), "vae": at("load", 2)}}
		n["image"] = node{"EmptyImage", map[string]any{"width": 64, "height": 64, "batch_size": 1, "color": 8421504}}
		n["noise"] = node{"VOIDWarpedNoiseSource", map[string]any{"warped_noise": at("noise latent", 0)}}
		n["guider"] = node{"CFGGuider", map[string]any{"model": at("load", 0), "positive": at("positive", 0), "negative": at("negative", 0), "cfg": 4.0}}
		n["sampler"] = node{"KSamplerSelect", map[string]any{"sampler_name": "euler"}}
		n["sigmas"] = node{"KarrasScheduler", map[string]any{"steps": 3, "sigma_max": 14.6, "sigma_min": 0.03, "rho": 7.0}}
		n["sample"] = node{"SamplerCustomAdvanced", map[string]any{"noise": at("noise", 0), "guider": at("guider", 0), "sampler": at("sampler", 0), "sigmas": at("sigmas", 0), "latent_image": at("latent", 0)}}
	})
}

// latentCases have classes that make conditioning and latents of their own.
func latentCases(add adder) {
	add("TripoSplatPreprocessImage, scaled here", func(n map[string]node) {
		clear(n)
		n["image"] = node{"LoadImage", map[string]any{"image": firstImage}}
		n["mask"] = node{"ImageToMask", map[string]any{"image": at("image", 0), "channel": "red"}}
		n["cut"] = node{"TripoSplatPreprocessImage", map[string]any{"image": at("image", 0), "mask": at("mask", 0), "erode_radius": 1, "size": 256}}
		n["small"] = node{"ImageScale", map[string]any{"image": at("cut", 0), "upscale_method": "area", "width": 64, "height": 64, "crop": "disabled"}}
		n["save"] = node{"PreviewImage", map[string]any{"images": at("small", 0)}}
	})
	add("TripoSplatPreprocessImage, encoded here", func(n map[string]node) {
		n["image"] = node{"LoadImage", map[string]any{"image": firstImage}}
		n["mask"] = node{"ImageToMask", map[string]any{"image": at("image", 0), "channel": "green"}}
		n["cut"] = node{"TripoSplatPreprocessImage", map[string]any{"image": at("image", 0), "mask": at("mask", 0), "erode_radius": 0, "size": 256}}
		n["latent"] = node{"VAEEncode", map[string]any{"pixels": at("cut", 0), "vae": at("load", 2)}}
		n["decode"].Inputs["samples"] = at("latent", 0)
		delete(n, "sample")
		delete(n, "positive")
		delete(n, "negative")
	})
	add("HunyuanVideo15SuperResolution", func(n map[string]node) {
		n["super"] = node{"HunyuanVideo15SuperResolution", map[string]any{"positive": at("positive", 0), "negative": at("negative", 0), "latent": at("sample", 0), "noise_augmentation": 0.7}}
		n["told"] = node{"PackcheckDescribe", map[string]any{"value": at("super", 0)}}
		n["told latent"] = node{"PackcheckDescribe", map[string]any{"value": at("super", 2)}}
	})
	add("WanAnimateToVideo", func(n map[string]node) {
		n["animate"] = node{"WanAnimateToVideo", map[string]any{
			"positive": at("positive", 0), "negative": at("negative", 0), "vae": at("load", 2), "width": 64, "height": 64,
			"length": 5, "batch_size": 1, "continue_motion_max_frames": 5, "video_frame_offset": 0,
		}}
		n["told"] = node{"PackcheckDescribe", map[string]any{"value": at("animate", 0)}}
		n["twice"] = node{"LatentMultiply", map[string]any{"samples": at("animate", 2), "multiplier": 2.0}}
		n["told latent"] = node{"PackcheckDescribe", map[string]any{"value": at("twice", 0)}}
	})
	add("HunyuanVideo15ImageToVideo", func(n map[string]node) {
		n["video"] = node{"HunyuanVideo15ImageToVideo", map[string]any{"positive": at("positive", 0), "negative": at("negative", 0), "vae": at("load", 2), "width": 64, "height": 64, "length": 5, "batch_size": 1}}
		n["sum"] = node{"LatentAdd", map[string]any{"samples1": at("video", 2), "samples2": at("video", 2)}}
		n["told"] = node{"PackcheckDescribe", map[string]any{"value": at("sum", 0)}}
		n["told positive"] = node{"PackcheckDescribe", map[string]any{"value": at("video", 0)}}
	})
	add("EmptyTrellis2LatentStructure", func(n map[string]node) {
		n["structure"] = node{"EmptyTrellis2LatentStructure", map[string]any{"batch_size": 1}}
		n["twice"] = node{"LatentMultiply", map[string]any{"samples": at("structure", 0), "multiplier": 2.0}}
		n["told"] = node{"PackcheckDescribe", map[string]any{"value": at("twice", 0)}}
	})
	add("LTXVModalityGuidance", func(n map[string]node) {
		model(n, "LTXVModalityGuidance", map[string]any{"modality_scale": 1.0, "start_percent": 0.0, "end_percent": 1.0})
	})
}

// loraCases apply a LoRA.
func loraCases(add adder, lora string) {
	load := func(n map[string]node, strength float64) {
		n["lora"] = node{"LoraLoader", map[string]any{"model": at("load", 0), "clip": at("load", 1), "lora_name": lora, "strength_model": strength, "strength_clip": strength}}
		n["sample"].Inputs["model"] = at("lora", 0)
		n["positive"].Inputs["clip"] = at("lora", 1)
	}
	add("a LoRA here, a patch in Python", func(n map[string]node) {
		load(n, 0.8)
		model(n, "SelectModelDevice", map[string]any{"device": "default"})
	})
	add("two models merged in Python", func(n map[string]node) {
		load(n, 1)
		inputs := map[string]any{"model1": at("load", 0), "model2": at("lora", 0)}
		for _, name := range []string{"patch_embedding.", "time_embedding.", "time_projection.", "text_embedding.", "img_emb.", "head."} {
			inputs[name] = 0.5
		}
		for i := range 40 {
			inputs[fmt.Sprintf("blocks.%d.", i)] = 0.5
		}
		n["merge"] = node{"ModelMergeWAN2_1", inputs}
		n["sample"].Inputs["model"] = at("merge", 0)
	})
}

// numbered gives a workflow's nodes numbers for ids, as frontends write them.
func numbered(nodes map[string]node) map[string]node {
	ids := map[string]string{}
	for n, id := range slices.Sorted(maps.Keys(nodes)) {
		ids[id] = fmt.Sprint(n + 1)
	}
	out := map[string]node{}
	for id, n := range nodes {
		inputs := map[string]any{}
		for name, v := range n.Inputs {
			if link, ok := v.([2]any); ok {
				v = [2]any{ids[link[0].(string)], link[1]}
			}
			inputs[name] = v
		}
		out[ids[id]] = node{n.Class, inputs}
	}
	return out
}

// near are the bounds within which a mixed workflow counts as equal: parts of it are computed by other code, in float32.
var near = bounds{value: 2e-4, pixels: 1}

// mixed runs the workflows on both servers and prints the differences.
func mixed(ctx context.Context, o options, out io.Writer) error {
	a, b := &side{Client: apiclient.Client{Base: o.real}}, &side{Client: apiclient.Client{Base: o.ours}}
	for _, c := range []*side{a, b} {
		if err := upload(ctx, c); err != nil {
			return err
		}
	}
	var packs struct{ Core []string }
	if err := b.Get(ctx, "/api/v1/packs", &packs); err != nil {
		return fmt.Errorf("asking which classes run in Python: %w", err)
	}
	good := 0
	cases := mixedCases(o.checkpoint, o.lora)
	for _, c := range cases {
		if !strings.Contains(c.name, o.only) {
			continue
		}
		ra, err := run(ctx, a, c.nodes, o.limit)
		if err != nil {
			return err
		}
		rb, err := run(ctx, b, c.nodes, o.limit)
		if err != nil {
			return err
		}
		verdict := "equal"
		switch here, there := c.split(packs.Core); {
		case len(here) == 0 || len(there) == 0:
			verdict = "not mixed: in Python run " + strings.Join(there, ", ") + ", here " + strings.Join(here, ", ") + "; see --python-class"
		case !ra.ok() && ra.said() == rb.said():
			verdict = "the same error: " + ra.said()
			good++
		case !ra.ok() || !rb.ok():
			verdict = fmt.Sprintf("real: %q, ours: %q", ra.said(), rb.said())
		default:
			found, err := near.differences(ctx, a, b, &ra.result, &rb.result)
			if err != nil {
				return err
			}
			if len(found) > 0 {
				verdict = strings.Join(found, "; ")
			}
		}
		if verdict == "equal" {
			good++
		}
		fmt.Fprintf(out, "| %s | %s |\n", c.name, line(verdict))
	}
	fmt.Fprintf(out, "%d of %d equal: pixels to %d of 255, other values to %g of the greatest\n", good, len(cases), near.pixels, near.value)
	return nil
}

// split sorts the classes of a case: those that comfygo runs itself, and those of the checkout. The probe's are left out.
func (c mixedCase) split(core []string) (here, there []string) {
	for _, n := range c.nodes {
		switch {
		case slices.Contains(core, n.Class):
			there = append(there, n.Class)
		case !strings.HasPrefix(n.Class, "Packcheck"):
			here = append(here, n.Class)
		}
	}
	return here, there
}

// greatest is the largest magnitude in a list of numbers; 1 at least.
func greatest(list []any) float64 {
	most := 1.0
	for _, v := range list {
		if n, ok := v.(float64); ok {
			most = max(most, math.Abs(n))
		}
	}
	return most
}
