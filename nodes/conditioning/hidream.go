package conditioning

import (
	"comfygo/engine"
	"comfygo/nodes"
)

func init() { nodes.Register(&CLIPTextEncodeHiDream{}) }

// CLIPTextEncodeHiDream encodes a prompt for each of HiDream's text encoders.
type CLIPTextEncodeHiDream struct {
	CLIP      *engine.CLIP `in:"clip" type:"CLIP"`
	TextL     string       `in:"clip_l" multiline:"true" dynamicPrompts:"true"`
	TextG     string       `in:"clip_g" multiline:"true" dynamicPrompts:"true"`
	TextT5    string       `in:"t5xxl" multiline:"true" dynamicPrompts:"true"`
	TextLlama string       `in:"llama" multiline:"true" dynamicPrompts:"true"`
}

// Spec implements nodes.Node.
func (*CLIPTextEncodeHiDream) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CLIPTextEncodeHiDream", DisplayName: "CLIP Text Encode (HiDream)", Category: "model/conditioning/hidream",
		Module: "comfy_extras.nodes_hidream", V3: true, Outputs: nodes.Outputs("CONDITIONING"), Uses: nodes.UsesDevice,
		SearchAliases: []string{"hidream prompt"},
	}
}

// Run implements nodes.Node.
func (n *CLIPTextEncodeHiDream) Run(ctx *nodes.Context) (nodes.Result, error) {
	c, err := encodeEach(ctx, n.CLIP, map[string]string{"clip_l": n.TextL, "clip_g": n.TextG, "t5xxl": n.TextT5, "llama": n.TextLlama})
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(c), nil
}
