package conditioning

import (
	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/nodes"
)

func init() { nodes.Register(&CLIPTextEncodePixArtAlpha{}) }

// CLIPTextEncodePixArtAlpha encodes a prompt with the size that PixArt Alpha reads beside it.
type CLIPTextEncodePixArtAlpha struct {
	Width  int          `in:"width" default:"1024" min:"0" max:"16384"`
	Height int          `in:"height" default:"1024" min:"0" max:"16384"`
	Text   string       `in:"text" multiline:"true" dynamicPrompts:"true"`
	CLIP   *engine.CLIP `in:"clip" type:"CLIP"`
}

// Spec implements nodes.Node.
func (*CLIPTextEncodePixArtAlpha) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CLIPTextEncodePixArtAlpha", DisplayName: "CLIP Text Encode (PixArt Alpha)", Category: "model/conditioning/pixart",
		Description: "Encodes a prompt with an image size. Only PixArt Alpha reads the size; PixArt Sigma does not.",
		Module:      "comfy_extras.nodes_pixart", V3: true, Outputs: nodes.Outputs("CONDITIONING"), Uses: nodes.UsesDevice,
		SearchAliases: []string{"pixart prompt"},
	}
}

// Run implements nodes.Node.
func (n *CLIPTextEncodePixArtAlpha) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.CLIP == nil {
		return nodes.Result{}, errNoCLIP()
	}
	c, err := n.CLIP.Encode(ctx, n.Text)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(c.With(map[string]any{sampling.KeyWidth: n.Width, sampling.KeyHeight: n.Height})), nil
}
