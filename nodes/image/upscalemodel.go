package image

import (
	"regexp"
	"strconv"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

func init() { nodes.Register(&ImageUpscaleWithModel{}) }

// ImageUpscaleWithModel enlarges images with a network.
type ImageUpscaleWithModel struct {
	Model *engine.Upscaler `in:"upscale_model" type:"UPSCALE_MODEL"`
	Image *tensor.Tensor   `in:"image" type:"IMAGE"`
}

// Spec implements nodes.Node.
func (*ImageUpscaleWithModel) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ImageUpscaleWithModel", DisplayName: "Upscale Image (using Model)", Category: "image/upscaling", Module: "comfy_extras.nodes_upscale_model", V3: true,
		SearchAliases: []string{"upscale", "upscaler", "upsc", "enlarge image", "super resolution", "hires", "superres", "increase resolution"},
		Outputs:       nodes.Outputs("IMAGE"), Uses: nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*ImageUpscaleWithModel) Sizes(s *nodes.Sizing) nodes.Images {
	by := float64(usualFactor)
	v, _ := s.Inputs.Get("upscale_model")
	if link, ok := nodes.AsLink(v); ok {
		found := factorInName.FindStringSubmatch(s.Prompt.Object(link.ID).Object("inputs").String("model_name"))
		if found != nil {
			if n, err := strconv.Atoi(found[1] + found[2]); err == nil {
				by = max(by, float64(n))
			}
		}
	}
	return s.In.Times(by)
}

// usualFactor is the factor of an upscaling network without a factor in its file name.
const usualFactor = 4

// factorInName finds 4x or x4 in the name of a model file.
var factorInName = regexp.MustCompile(`(?i)(?:^|[^0-9a-z])(?:([0-9]{1,2})x|x([0-9]{1,2}))(?:[^0-9a-z]|$)`)

// Run implements nodes.Node. Progress is in tiles.
func (n *ImageUpscaleWithModel) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "enlarging images: there is no upscale model")
	}
	out, err := n.Model.Upscale(ctx, n.Image, func(done, all int) { ctx.Progress(float64(done), float64(all)) })
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(out), nil
}
