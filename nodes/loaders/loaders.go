// Package loaders holds the nodes that load model files (upstream: nodes.py).
//
// A loader only opens a file and reads its header; weights are read when a model first runs.
package loaders

import (
	"comfygo/engine/dtype"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&CheckpointLoaderSimple{})
	nodes.Register(&UNETLoader{})
	nodes.Register(&CLIPLoader{})
}

// find returns the path of a model file by the name that the list shows.
func find(ctx *nodes.Context, kind, name string) (string, error) {
	path, ok := ctx.Folders.Find(kind, name)
	if !ok {
		return "", nodes.Errorf("FileNotFoundError", "loading a model: there is no file %q in the folder %s", name, kind)
	}
	return path, nil
}

// CheckpointLoaderSimple opens a file that holds a diffusion model, a text encoder and a VAE.
type CheckpointLoaderSimple struct {
	Name string `in:"ckpt_name" files:"checkpoints" tooltip:"The checkpoint file, from the folder models/checkpoints."`
}

// Spec implements nodes.Node.
func (*CheckpointLoaderSimple) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CheckpointLoaderSimple", DisplayName: "Load Checkpoint", Category: "model/loaders",
		Description:   "Loads a checkpoint: diffusion model, text encoder (CLIP) and VAE.",
		SearchAliases: []string{"load model", "checkpoint", "model loader", "load checkpoint", "ckpt", "model"},
		Outputs: []nodes.Output{
			{Type: "MODEL", Tooltip: "The diffusion model, for a sampler."},
			{Type: "CLIP", Tooltip: "The text encoder, for prompts."},
			{Type: "VAE", Tooltip: "The VAE, which turns latents into images and back."},
		},
		Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node. Missing parts of the file are returned as None, and the node that needs one
// reports it.
func (n *CheckpointLoaderSimple) Run(ctx *nodes.Context) (nodes.Result, error) {
	path, err := find(ctx, "checkpoints", n.Name)
	if err != nil {
		return nodes.Result{}, err
	}
	m, c, v, err := ctx.Engine.LoadCheckpoint(path)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(m, orNone(c), orNone(v)), nil
}

// orNone keeps a nil pointer from becoming a value that is not nil.
func orNone[T any](p *T) any {
	if p == nil {
		return nil
	}
	return p
}

// UNETLoader opens a file that holds only a diffusion model.
type UNETLoader struct {
	Name  string `in:"unet_name" files:"diffusion_models"`
	DType string `in:"weight_dtype" options:"default|fp8_e4m3fn|fp8_e4m3fn_fast|fp8_e5m2" advanced:"true"`
}

// Spec implements nodes.Node.
func (*UNETLoader) Spec() nodes.Spec {
	return nodes.Spec{Name: "UNETLoader", DisplayName: "Load Diffusion Model", Category: "model/loaders", Outputs: nodes.Outputs("MODEL"), Uses: nodes.UsesDevice}
}

// Run implements nodes.Node.
func (n *UNETLoader) Run(ctx *nodes.Context) (nodes.Result, error) {
	path, err := find(ctx, "diffusion_models", n.Name)
	if err != nil {
		return nodes.Result{}, err
	}
	round := dtype.Invalid
	switch n.DType {
	case "fp8_e4m3fn", "fp8_e4m3fn_fast":
		round = dtype.F8E4M3
	case "fp8_e5m2":
		round = dtype.F8E5M2
	}
	m, err := ctx.Engine.LoadModel(path, round)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(m), nil
}

// CLIPLoader opens a file that holds only a text encoder.
type CLIPLoader struct {
	Name   string `in:"clip_name" files:"text_encoders"`
	Type   string `in:"type" options:"stable_diffusion|stable_cascade|sd3|stable_audio|mochi|ltxv|pixart|cosmos|lumina2|wan|hidream|chroma|ace|omnigen2|qwen_image|hunyuan_image|flux2|ovis|longcat_image|cogvideox|lens|pixeldit|ideogram4|boogu|krea2|joyimage|mage|minimax"`
	Device string `in:"device" optional:"true" options:"default|cpu" advanced:"true"`
}

// Spec implements nodes.Node.
func (*CLIPLoader) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CLIPLoader", DisplayName: "Load CLIP", Category: "model/loaders",
		Description: "Loads a text encoder for a model family: CLIP-L for Stable Diffusion 1.x, CLIP-G for the Stable Diffusion XL refiner.",
		Outputs:     nodes.Outputs("CLIP"),
		Uses:        nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *CLIPLoader) Run(ctx *nodes.Context) (nodes.Result, error) {
	return loadCLIP(ctx, n.Type, n.Device, n.Name)
}
