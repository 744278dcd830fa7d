package ltxv

import (
	"fmt"

	"comfygo/nodes"
)

func init() { nodes.Register(&LTXAVTextEncoderLoader{}) }

// audioModule is upstream's module of the classes of audio.
const audioModule = "comfy_extras.nodes_lt_audio"

// LTXAVTextEncoderLoader loads the text encoder of LTX-Video 2: a language model and the layers in the checkpoint that process its
// states.
type LTXAVTextEncoderLoader struct {
	Encoder    string `in:"text_encoder" files:"text_encoders"`
	Checkpoint string `in:"ckpt_name" files:"checkpoints"`
	Device     string `in:"device" options:"default|cpu" advanced:"true"`
}

// Spec implements nodes.Node.
func (*LTXAVTextEncoderLoader) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LTXAVTextEncoderLoader", DisplayName: "Load LTXV Audio Text Encoder", Category: "model/loaders", Module: audioModule, V3: true,
		Description: "Loads the text encoder of LTX-Video 2: Gemma 3 12B, and the text projection in the checkpoint of the diffusion model.",
		Outputs:     nodes.Outputs("CLIP"), Uses: nodes.UsesDevice,
	}
}

// find returns the path of a file in a folder of models.
func find(ctx *nodes.Context, folder, name string) (string, error) {
	path, ok := ctx.Folders.Find(folder, name)
	if !ok {
		return "", nodes.Errorf("FileNotFoundError", "loading a model: there is no file %q in the folder %s", name, folder)
	}
	return path, nil
}

// Run implements nodes.Node.
func (n *LTXAVTextEncoderLoader) Run(ctx *nodes.Context) (nodes.Result, error) {
	encoder, err := find(ctx, "text_encoders", n.Encoder)
	if err != nil {
		return nodes.Result{}, err
	}
	checkpoint, err := find(ctx, "checkpoints", n.Checkpoint)
	if err != nil {
		return nodes.Result{}, err
	}
	c, err := ctx.Engine.LoadCLIP("ltxv", encoder, checkpoint)
	if err != nil {
		return nodes.Result{}, fmt.Errorf("%w: text_encoder is a file of Gemma 3 12B, ckpt_name a checkpoint of LTX-Video 2 with its text_embedding_projection", err)
	}
	if n.Device == "cpu" {
		c = c.OnCPU()
	}
	return nodes.Out(c), nil
}
