package merging

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"comfygo/engine"
	"comfygo/engine/weights"
	"comfygo/folders"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&CheckpointSave{})
	nodes.Register(&ImageOnlyCheckpointSave{})
	nodes.Register(&ModelSave{})
	nodes.Register(&CLIPSave{})
	nodes.Register(&VAESave{})
	nodes.Register(&SaveLoRA{})
}

// CheckpointSave writes a diffusion model, text encoders and a VAE into one file.
type CheckpointSave struct {
	Model        *engine.Model `in:"model" type:"MODEL"`
	CLIP         *engine.CLIP  `in:"clip" type:"CLIP"`
	VAE          *engine.VAE   `in:"vae" type:"VAE"`
	Prefix       string        `in:"filename_prefix" default:"checkpoints/ComfyUI" tooltip:"How the name of the file begins; it may hold subfolders of the output folder."`
	Prompt       any           `in:"prompt" hidden:"PROMPT"`
	ExtraPNGInfo any           `in:"extra_pnginfo" hidden:"EXTRA_PNGINFO"`
}

// Spec implements nodes.Node.
func (*CheckpointSave) Spec() nodes.Spec {
	return saverSpec("CheckpointSave", "Save Checkpoint", "Writes a diffusion model, its text encoders and a VAE as a checkpoint into the output folder.",
		"save model", "export checkpoint", "merge save")
}

// Run implements nodes.Node.
func (n *CheckpointSave) Run(ctx *nodes.Context) (nodes.Result, error) {
	return saveCheckpoint(ctx, engine.Bundle{Model: n.Model, CLIP: n.CLIP, VAE: n.VAE}, n.Prefix)
}

// ImageOnlyCheckpointSave writes a diffusion model that reads images, an image encoder and a VAE into one file.
type ImageOnlyCheckpointSave struct {
	Model        *engine.Model        `in:"model" type:"MODEL"`
	Vision       *engine.ImageEncoder `in:"clip_vision" type:"CLIP_VISION"`
	VAE          *engine.VAE          `in:"vae" type:"VAE"`
	Prefix       string               `in:"filename_prefix" default:"checkpoints/ComfyUI" tooltip:"How the name of the file begins; it may hold subfolders of the output folder."`
	Prompt       any                  `in:"prompt" hidden:"PROMPT"`
	ExtraPNGInfo any                  `in:"extra_pnginfo" hidden:"EXTRA_PNGINFO"`
}

// Spec implements nodes.Node.
func (*ImageOnlyCheckpointSave) Spec() nodes.Spec {
	s := saverSpec("ImageOnlyCheckpointSave", "", "Writes a diffusion model that reads images, an image encoder and a VAE as a checkpoint into the output folder.",
		"save model", "export checkpoint", "merge save")
	s.Module = "comfy_extras.nodes_video_model"
	return s
}

// Run implements nodes.Node.
func (n *ImageOnlyCheckpointSave) Run(ctx *nodes.Context) (nodes.Result, error) {
	return saveCheckpoint(ctx, engine.Bundle{Model: n.Model, VAE: n.VAE, Vision: n.Vision}, n.Prefix)
}

// ModelSave writes a diffusion model.
type ModelSave struct {
	Model        *engine.Model `in:"model" type:"MODEL"`
	Prefix       string        `in:"filename_prefix" default:"diffusion_models/ComfyUI" tooltip:"How the name of the file begins; it may hold subfolders of the output folder."`
	Prompt       any           `in:"prompt" hidden:"PROMPT"`
	ExtraPNGInfo any           `in:"extra_pnginfo" hidden:"EXTRA_PNGINFO"`
}

// Spec implements nodes.Node.
func (*ModelSave) Spec() nodes.Spec {
	return saverSpec("ModelSave", "", "Writes a diffusion model into the output folder.", "export model", "checkpoint save")
}

// Run implements nodes.Node.
func (n *ModelSave) Run(ctx *nodes.Context) (nodes.Result, error) {
	return saveCheckpoint(ctx, engine.Bundle{Model: n.Model}, n.Prefix)
}

// CLIPSave writes text encoders, each into a file of its own.
type CLIPSave struct {
	CLIP         *engine.CLIP `in:"clip" type:"CLIP"`
	Prefix       string       `in:"filename_prefix" default:"clip/ComfyUI" tooltip:"How the names of the files begin; it may hold subfolders of the output folder."`
	Prompt       any          `in:"prompt" hidden:"PROMPT"`
	ExtraPNGInfo any          `in:"extra_pnginfo" hidden:"EXTRA_PNGINFO"`
}

// Spec implements nodes.Node.
func (*CLIPSave) Spec() nodes.Spec {
	return saverSpec("CLIPSave", "", "Writes text encoders into the output folder, each into a file of its own.")
}

// Run implements nodes.Node.
func (n *CLIPSave) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.CLIP == nil {
		return nodes.Result{}, missing("clip")
	}
	files, err := ctx.Engine.SaveCLIP(n.CLIP)
	if err != nil {
		return nodes.Result{}, err
	}
	for _, key := range slices.Sorted(maps.Keys(files)) {
		s, err := savePath(ctx, n.Prefix+"_"+key)
		if err != nil {
			return nodes.Result{}, err
		}
		if err := save(ctx, s, files[key], true); err != nil {
			return nodes.Result{}, err
		}
	}
	return nodes.Out(), nil
}

// VAESave writes a VAE.
type VAESave struct {
	VAE          *engine.VAE `in:"vae" type:"VAE"`
	Prefix       string      `in:"filename_prefix" default:"vae/ComfyUI_vae" tooltip:"How the name of the file begins; it may hold subfolders of the output folder."`
	Prompt       any         `in:"prompt" hidden:"PROMPT"`
	ExtraPNGInfo any         `in:"extra_pnginfo" hidden:"EXTRA_PNGINFO"`
}

// Spec implements nodes.Node.
func (*VAESave) Spec() nodes.Spec {
	return saverSpec("VAESave", "", "Writes a VAE into the output folder.")
}

// Run implements nodes.Node.
func (n *VAESave) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.VAE == nil {
		return nodes.Result{}, missing("vae")
	}
	t, err := ctx.Engine.SaveVAE(n.VAE)
	if err != nil {
		return nodes.Result{}, err
	}
	s, err := savePath(ctx, n.Prefix)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(), save(ctx, s, t, false)
}

// SaveLoRA writes a LoRA that another node made.
type SaveLoRA struct {
	LoRA   weights.Source `in:"lora" type:"LORA_MODEL" tooltip:"The LoRA's tensors."`
	Prefix string         `in:"prefix" default:"loras/ComfyUI_trained_lora" tooltip:"How the name of the file begins; it may hold subfolders of the output folder."`
	Steps  *int           `in:"steps" optional:"true" tooltip:"Number of training steps, for the name of the file."`
}

// Spec implements nodes.Node.
func (*SaveLoRA) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SaveLoRA", DisplayName: "Save LoRA Weights", Category: "model/merging", Module: "comfy_extras.nodes_train", V3: true,
		Description: "Writes a LoRA into the output folder.", SearchAliases: []string{"export lora"},
		OutputNode: true, Experimental: true, Uses: nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *SaveLoRA) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.LoRA == nil {
		return nodes.Result{}, missing("lora")
	}
	s, err := savePath(ctx, n.Prefix)
	if err != nil {
		return nodes.Result{}, err
	}
	if n.Steps != nil {
		s.Filename = fmt.Sprintf("%s_%d_steps", s.Filename, *n.Steps)
	}
	_, err = s.Write(0, ".safetensors", func(w io.Writer) error {
		var all []weights.Saved
		for _, name := range n.LoRA.Names() {
			if e, ok := n.LoRA.Lookup(name); ok {
				all = append(all, weights.Saved{Name: name, Entry: e})
			}
		}
		return weights.Save(ctx, w, nil, all)
	})
	return nodes.Out(), err
}

func saverSpec(class, display, description string, aliases ...string) nodes.Spec {
	return nodes.Spec{
		Name: class, DisplayName: display, Category: "model/merging", Module: "comfy_extras.nodes_model_merging",
		Description: description, SearchAliases: aliases, OutputNode: true, Uses: nodes.UsesNothing,
	}
}

func missing(input string) error {
	return nodes.Errorf("AttributeError", "saving a model: %s is missing", input)
}

// savePath chooses the file for a prefix.
func savePath(ctx *nodes.Context, prefix string) (folders.SavePath, error) {
	return ctx.Folders.SavePath(prefix, ctx.Folders.Output(), 0, 0)
}

func saveCheckpoint(ctx *nodes.Context, b engine.Bundle, prefix string) (nodes.Result, error) {
	if b.Model == nil {
		return nodes.Result{}, missing("model")
	}
	s, err := savePath(ctx, prefix)
	if err != nil {
		return nodes.Result{}, err
	}
	t, err := ctx.Engine.Checkpoint(b, fmt.Sprintf("%s %d", s.Filename, s.Counter))
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(), save(ctx, s, t, false)
}

// save writes a file with the prompt in its metadata. torch says that the metadata name the framework, as upstream's do for
// text encoders.
func save(ctx *nodes.Context, s folders.SavePath, t *engine.Tensors, torch bool) error {
	further, err := promptText(ctx)
	if err != nil {
		return err
	}
	if torch && ctx.Metadata {
		further["format"] = "pt"
	}
	_, err = s.Write(0, ".safetensors", func(w io.Writer) error { return t.Write(ctx, w, further) })
	return err
}

// promptText returns the prompt and what the client wants stored, as JSON by key; nothing when metadata are disabled.
func promptText(ctx *nodes.Context) (map[string]string, error) {
	text := map[string]string{}
	if !ctx.Metadata {
		return text, nil
	}
	add := func(key string, value any) error {
		json, err := pyjson.Marshal(value)
		if err != nil {
			return fmt.Errorf("writing the metadata %q: %w", key, err)
		}
		text[key] = string(json)
		return nil
	}
	text["prompt"] = ""
	if prompt := ctx.Prompt(); prompt != nil {
		if err := add("prompt", prompt); err != nil {
			return nil, err
		}
	}
	if extra := ctx.ExtraPNGInfo(); extra != nil {
		for key, value := range extra.All() {
			if err := add(key, value); err != nil {
				return nil, err
			}
		}
	}
	return text, nil
}
