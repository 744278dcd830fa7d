package conditioning

import (
	"comfygo/engine"
	"comfygo/nodes"
)

func init() { nodes.Register(&CLIPTextEncodeHunyuanDiT{}) }

// CLIPTextEncodeHunyuanDiT encodes a prompt for each of Hunyuan-DiT's text encoders.
type CLIPTextEncodeHunyuanDiT struct {
	CLIP     *engine.CLIP `in:"clip" type:"CLIP"`
	TextBERT string       `in:"bert" multiline:"true" dynamicPrompts:"true"`
	TextMT5  string       `in:"mt5xl" multiline:"true" dynamicPrompts:"true"`
}

// Spec implements nodes.Node.
func (*CLIPTextEncodeHunyuanDiT) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CLIPTextEncodeHunyuanDiT", DisplayName: "CLIP Text Encode (Hunyuan Image)", Category: "model/conditioning/hunyuan image",
		Module: "comfy_extras.nodes_hunyuan", V3: true, Outputs: nodes.Outputs("CONDITIONING"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *CLIPTextEncodeHunyuanDiT) Run(ctx *nodes.Context) (nodes.Result, error) {
	c, err := encodeEach(ctx, n.CLIP, map[string]string{"hydit_clip": n.TextBERT, "mt5xl": n.TextMT5})
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(c), nil
}
