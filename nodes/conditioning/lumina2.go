package conditioning

import (
	"comfygo/engine"
	"comfygo/nodes"
)

func init() { nodes.Register(&CLIPTextEncodeLumina2{}) }

// systemPrompts are the instructions that Lumina 2 was trained with, by the name of the choice.
var systemPrompts = map[string]string{
	"superior":  "You are an assistant designed to generate superior images with the superior degree of image-text alignment based on textual prompts or user prompts.",
	"alignment": "You are an assistant designed to generate high-quality images with the highest degree of image-text alignment based on textual prompts.",
}

// CLIPTextEncodeLumina2 encodes a prompt behind one of Lumina 2's system prompts.
type CLIPTextEncodeLumina2 struct {
	System string       `in:"system_prompt" options:"superior|alignment" tooltip:"System prompt in front of the user's: superior asks for image quality, alignment for images that follow the prompt closely."`
	Text   string       `in:"user_prompt" multiline:"true" dynamicPrompts:"true" tooltip:"The prompt."`
	CLIP   *engine.CLIP `in:"clip" type:"CLIP" tooltip:"The text encoder that reads the prompt."`
}

// Spec implements nodes.Node.
func (*CLIPTextEncodeLumina2) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CLIPTextEncodeLumina2", DisplayName: "CLIP Text Encode (Lumina 2)", Category: "model/conditioning/lumina",
		Description: "Encodes a system prompt and a user prompt for Lumina 2.",
		Module:      "comfy_extras.nodes_lumina2", V3: true, Uses: nodes.UsesDevice, SearchAliases: []string{"lumina prompt"},
		Outputs: []nodes.Output{{Type: "CONDITIONING", Tooltip: "The encoded prompt, for a sampler."}},
	}
}

// Run implements nodes.Node.
func (n *CLIPTextEncodeLumina2) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.CLIP == nil {
		return nodes.Result{}, errNoCLIP()
	}
	c, err := n.CLIP.Encode(ctx, systemPrompts[n.System]+" <Prompt Start> "+n.Text)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(c), nil
}
