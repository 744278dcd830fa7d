package latent

import (
	"fmt"
	"math"

	"comfygo/engine"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() { nodes.Register(&HunyuanVideo15LatentUpscaleWithModel{}) }

// HunyuanVideo15LatentUpscaleWithModel resizes a video latent and improves it by an upscale model.
type HunyuanVideo15LatentUpscaleWithModel struct {
	Model   *engine.LatentUpscaler `in:"model" type:"LATENT_UPSCALE_MODEL"`
	Samples engine.Latent          `in:"samples" type:"LATENT"`
	Method  string                 `in:"upscale_method" options:"nearest-exact|bilinear|area|bicubic|bislerp" default:"bilinear"`
	Width   int                    `in:"width" default:"1280" min:"0" max:"16384" step:"8"`
	Height  int                    `in:"height" default:"720" min:"0" max:"16384" step:"8"`
	Crop    string                 `in:"crop" options:"disabled|center"`
}

// Spec implements nodes.Node.
func (*HunyuanVideo15LatentUpscaleWithModel) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "HunyuanVideo15LatentUpscaleWithModel", DisplayName: "Hunyuan Video 15 Latent Upscale With Model", Category: "model/latent/hunyhuan video",
		Module: "comfy_extras.nodes_hunyuan", V3: true, Outputs: nodes.Outputs("LATENT"), Uses: nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*HunyuanVideo15LatentUpscaleWithModel) Sizes(*nodes.Sizing) nodes.Images {
	return nodes.UnknownImages()
}

// Run implements nodes.Node. As in upstream a side that follows from the other is computed from latent sizes.
func (n *HunyuanVideo15LatentUpscaleWithModel) Run(ctx *nodes.Context) (nodes.Result, error) {
	const cell = 16 // pixels
	s, err := samplesOf("samples", n.Samples)
	if err != nil {
		return nodes.Result{}, err
	}
	if n.Width == 0 && n.Height == 0 {
		return nodes.Out(n.Samples), nil
	}
	if n.Model == nil {
		return nodes.Result{}, nodes.Errorf("AttributeError", "enlarging the latent: there is no upscale model: connect LatentUpscaleModelLoader")
	}
	width, height := scaledSides(n.Width, n.Height, s.Dim(-1), s.Dim(-2))
	larger, err := imaging.Upscale(s, width/cell, height/cell, n.Method, n.Crop)
	if err != nil {
		return nodes.Result{}, fmt.Errorf("scaling a latent: %w", err)
	}
	y, err := n.Model.Upscale(ctx, larger)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(engine.Latent{Samples: y}), nil
}

// scaledSides are the sides of an image in pixels; one of 0 follows from the other by the proportions of a latent.
func scaledSides(width, height, w, h int) (int, int) {
	const least = 64
	switch {
	case width == 0:
		height = max(least, height)
		width = max(least, int(math.RoundToEven(float64(w)*float64(height)/float64(h))))
	case height == 0:
		width = max(least, width)
		height = max(least, int(math.RoundToEven(float64(h)*float64(width)/float64(w))))
	default:
		width, height = max(least, width), max(least, height)
	}
	return width, height
}
