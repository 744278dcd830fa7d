package conditioning

import (
	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&CLIPTextEncodeSDXL{})
	nodes.Register(&CLIPTextEncodeSDXLRefiner{})
}

// CLIPTextEncodeSDXL encodes a prompt for each of SDXL's text encoders, with the sizes that the model reads beside it.
type CLIPTextEncodeSDXL struct {
	CLIP         *engine.CLIP `in:"clip" type:"CLIP"`
	Width        int          `in:"width" default:"1024" min:"0" max:"16384"`
	Height       int          `in:"height" default:"1024" min:"0" max:"16384"`
	CropWidth    int          `in:"crop_w" default:"0" min:"0" max:"16384" advanced:"true"`
	CropHeight   int          `in:"crop_h" default:"0" min:"0" max:"16384" advanced:"true"`
	TargetWidth  int          `in:"target_width" default:"1024" min:"0" max:"16384"`
	TargetHeight int          `in:"target_height" default:"1024" min:"0" max:"16384"`
	TextG        string       `in:"text_g" multiline:"true" dynamicPrompts:"true"`
	TextL        string       `in:"text_l" multiline:"true" dynamicPrompts:"true"`
}

// Spec implements nodes.Node.
func (*CLIPTextEncodeSDXL) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CLIPTextEncodeSDXL", DisplayName: "CLIP Text Encode (SDXL)", Category: "model/conditioning/stable diffusion",
		Module: "comfy_extras.nodes_clip_sdxl", V3: true, Outputs: nodes.Outputs("CONDITIONING"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *CLIPTextEncodeSDXL) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.CLIP == nil {
		return nodes.Result{}, errNoCLIP()
	}
	tokens, err := n.CLIP.TokenizeEach(ctx, func(key string) string {
		if key == "clip_l" {
			return n.TextL
		}
		return n.TextG
	}, "clip_l", "clip_g")
	if err != nil {
		return nodes.Result{}, err
	}
	c, err := n.CLIP.EncodeTokens(ctx, tokens)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(c.With(map[string]any{
		sampling.KeyWidth: n.Width, sampling.KeyHeight: n.Height, sampling.KeyCropWidth: n.CropWidth, sampling.KeyCropHeight: n.CropHeight,
		sampling.KeyTargetWidth: n.TargetWidth, sampling.KeyTargetHeight: n.TargetHeight,
	})), nil
}

// CLIPTextEncodeSDXLRefiner encodes a prompt for SDXL's refiner, with the size and the aesthetic score that it reads beside it.
type CLIPTextEncodeSDXLRefiner struct {
	Score  float64      `in:"ascore" default:"6.0" min:"0.0" max:"1000.0" step:"0.01" tooltip:"Aesthetic score that is aimed at: 6 for the positive prompt, 2.5 for the negative."`
	Width  int          `in:"width" default:"1024" min:"0" max:"16384"`
	Height int          `in:"height" default:"1024" min:"0" max:"16384"`
	Text   string       `in:"text" multiline:"true" dynamicPrompts:"true"`
	CLIP   *engine.CLIP `in:"clip" type:"CLIP"`
}

// Spec implements nodes.Node.
func (*CLIPTextEncodeSDXLRefiner) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CLIPTextEncodeSDXLRefiner", DisplayName: "CLIP Text Encode (SDXL Refiner)", Category: "model/conditioning/stable diffusion",
		Module: "comfy_extras.nodes_clip_sdxl", V3: true, Description: "Encodes a prompt for the refiner of Stable Diffusion XL.",
		Outputs: nodes.Outputs("CONDITIONING"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *CLIPTextEncodeSDXLRefiner) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.CLIP == nil {
		return nodes.Result{}, errNoCLIP()
	}
	c, err := n.CLIP.Encode(ctx, n.Text)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(c.With(map[string]any{sampling.KeyAesthetic: n.Score, sampling.KeyWidth: n.Width, sampling.KeyHeight: n.Height})), nil
}
