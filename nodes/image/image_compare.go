package image

import (
	"fmt"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&ImageCompare{})
}

// ImageCompare shows two images to compare.
type ImageCompare struct {
	CompareView any            `in:"compare_view" type:"IMAGECOMPARE" socketless:"true"`
	ImageA      *tensor.Tensor `in:"image_a" type:"IMAGE" optional:"true"`
	ImageB      *tensor.Tensor `in:"image_b" type:"IMAGE" optional:"true"`
}

// Spec implements nodes.Node.
func (*ImageCompare) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ImageCompare", DisplayName: "Compare Images", Category: "image",
		Module: "comfy_extras.nodes_image_compare", V3: true,
		EssentialsCategory: "Image Tools",

		OutputNode:   true,
		Experimental: true,
		Description:  "Compares two images side by side with a slider.",
		Uses:         nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *ImageCompare) Run(ctx *nodes.Context) (nodes.Result, error) {
	text, err := pngText(ctx)
	if err != nil {
		return nodes.Result{}, err
	}
	result, letters := nodes.Result{}, randomLetters()
	for _, side := range []struct {
		name   string
		images *tensor.Tensor
	}{{"a", n.ImageA}, {"b", n.ImageB}} {
		files := []any{}
		if side.images != nil && len(side.images.Shape) > 0 && side.images.Shape[0] > 0 {
			if files, err = savePNGs(ctx, side.images, "comfy.compare."+side.name+"_temp_"+letters, "temp", imaging.PNGOptions{Level: 1, Text: text}); err != nil {
				return nodes.Result{}, fmt.Errorf("saving previews: %w", err)
			}
		}
		result = result.AddUI(side.name+"_images", files)
	}
	return result, nil
}
