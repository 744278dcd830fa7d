package conditioning

import (
	"comfygo/engine"
	"comfygo/nodes"
)

func init() { nodes.Register(&CLIPTextEncodeSD3{}) }

// CLIPTextEncodeSD3 encodes a prompt for each of Stable Diffusion 3's text encoders.
type CLIPTextEncodeSD3 struct {
	CLIP    *engine.CLIP `in:"clip" type:"CLIP"`
	TextL   string       `in:"clip_l" multiline:"true" dynamicPrompts:"true"`
	TextG   string       `in:"clip_g" multiline:"true" dynamicPrompts:"true"`
	TextT5  string       `in:"t5xxl" multiline:"true" dynamicPrompts:"true"`
	Padding string       `in:"empty_padding" options:"none|empty_prompt" advanced:"true"`
}

// Spec implements nodes.Node.
func (*CLIPTextEncodeSD3) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CLIPTextEncodeSD3", DisplayName: "CLIP Text Encode (SD3)", Category: "model/conditioning/stable diffusion",
		Module: "comfy_extras.nodes_sd3", V3: true, Outputs: nodes.Outputs("CONDITIONING"), Uses: nodes.UsesDevice,
		SearchAliases: []string{"sd3 prompt"},
	}
}

// Run implements nodes.Node. Without padding, an empty prompt of both CLIP encoders leaves them out, and one of T5 is its end
// token alone.
func (n *CLIPTextEncodeSD3) Run(ctx *nodes.Context) (nodes.Result, error) {
	tokens, err := tokenizeEach(ctx, n.CLIP, map[string]string{"clip_l": n.TextL, "clip_g": n.TextG, "t5xxl": n.TextT5}, "clip_l", "clip_g")
	if err != nil {
		return nodes.Result{}, err
	}
	if n.Padding == "none" {
		if n.TextL == "" && n.TextG == "" {
			delete(tokens, "clip_l")
			delete(tokens, "clip_g")
		}
		if _, loaded := n.CLIP.Takes("t5xxl"); loaded && n.TextT5 == "" {
			tokens["t5xxl"] = engine.NoTokens
		}
	}
	c, err := n.CLIP.EncodeTokens(ctx, tokens)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(c), nil
}
