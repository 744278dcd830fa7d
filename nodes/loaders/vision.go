package loaders

import (
	"comfygo/nodes"
)

func init() {
	nodes.Register(&CLIPVisionLoader{})
	nodes.Register(&UnCLIPCheckpointLoader{})
	nodes.Register(&ImageOnlyCheckpointLoader{})
}

// CLIPVisionLoader opens an image encoder.
type CLIPVisionLoader struct {
	Name string `in:"clip_name" files:"clip_vision"`
}

// Spec implements nodes.Node.
func (*CLIPVisionLoader) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CLIPVisionLoader", DisplayName: "Load CLIP Vision", Category: "model/loaders",
		Description: "Opens an image encoder, such as one of CLIP, SigLIP or DINOv2.",
		Outputs:     nodes.Outputs("CLIP_VISION"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *CLIPVisionLoader) Run(ctx *nodes.Context) (nodes.Result, error) {
	path, err := find(ctx, "clip_vision", n.Name)
	if err != nil {
		return nodes.Result{}, err
	}
	e, err := ctx.Engine.LoadVision(path)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(e), nil
}

// UnCLIPCheckpointLoader opens a checkpoint that holds an image encoder, too.
type UnCLIPCheckpointLoader struct {
	Name string `in:"ckpt_name" files:"checkpoints"`
}

// Spec implements nodes.Node.
func (*UnCLIPCheckpointLoader) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "unCLIPCheckpointLoader", DisplayName: "Load unCLIP Checkpoint", Category: "model/loaders",
		Description: "Opens a checkpoint of unCLIP: diffusion model, text encoder, VAE and the image encoder.",
		Outputs:     nodes.Outputs("MODEL", "CLIP", "VAE", "CLIP_VISION"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node. Missing parts of the file are returned as None, and the node that needs one
// reports it.
func (n *UnCLIPCheckpointLoader) Run(ctx *nodes.Context) (nodes.Result, error) {
	path, err := find(ctx, "checkpoints", n.Name)
	if err != nil {
		return nodes.Result{}, err
	}
	m, c, v, err := ctx.Engine.LoadCheckpoint(path)
	if err != nil {
		return nodes.Result{}, err
	}
	e, err := ctx.Engine.BundledVision(m)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(m, orNone(c), orNone(v), orNone(e)), nil
}

// ImageOnlyCheckpointLoader opens a checkpoint that holds an image encoder in place of text encoders.
type ImageOnlyCheckpointLoader struct {
	Name string `in:"ckpt_name" files:"checkpoints"`
}

// Spec implements nodes.Node.
func (*ImageOnlyCheckpointLoader) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ImageOnlyCheckpointLoader", DisplayName: "Load Checkpoint Image Only (img2vid model)", Category: "model/loaders",
		Module:      "comfy_extras.nodes_video_model",
		Description: "Opens a checkpoint that reads images: diffusion model, image encoder and VAE.",
		Outputs:     nodes.Outputs("MODEL", "CLIP_VISION", "VAE"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node. Missing parts of the file are returned as None, and the node that needs one
// reports it.
func (n *ImageOnlyCheckpointLoader) Run(ctx *nodes.Context) (nodes.Result, error) {
	path, err := find(ctx, "checkpoints", n.Name)
	if err != nil {
		return nodes.Result{}, err
	}
	m, _, v, err := ctx.Engine.LoadCheckpoint(path)
	if err != nil {
		return nodes.Result{}, err
	}
	e, err := ctx.Engine.BundledVision(m)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(m, orNone(e), orNone(v)), nil
}
