package logic

import (
	"fmt"
	"math"

	"comfygo/nodes"
)

func init() {
	nodes.Register(&ResolutionSelector{})
}

// ResolutionSelector computes a width and a height.
type ResolutionSelector struct {
	AspectRatio string  `in:"aspect_ratio" options:"1:1 (Square)|2:3 (Portrait Photo)|3:2 (Photo)|3:4 (Portrait Standard)|4:3 (Standard)|9:16 (Portrait Widescreen)|16:9 (Widescreen)|21:9 (Ultrawide)" default:"1:1 (Square)" tooltip:"Ratio of width to height."`
	Megapixels  float64 `in:"megapixels" default:"1.0" min:"0.1" max:"16.0" step:"0.1" tooltip:"Size of the image in megapixels of 1024x1024."`
	Multiple    int     `in:"multiple" advanced:"true" default:"8" min:"8" max:"128" step:"4" tooltip:"Width and height are rounded to multiples of this."`
}

// Spec implements nodes.Node.
func (*ResolutionSelector) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ResolutionSelector", DisplayName: "Resolution Selector", Category: "utilities",
		Module: "comfy_extras.nodes_resolution", V3: true,
		Outputs:     []nodes.Output{{Type: "INT", Name: "width", Tooltip: "Width in pixels."}, {Type: "INT", Name: "height", Tooltip: "Height in pixels."}},
		Description: "Computes a width and a height from an aspect ratio and a number of megapixels, for empty latents and images.",
		Uses:        nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *ResolutionSelector) Run(*nodes.Context) (nodes.Result, error) {
	var w, h float64
	if _, err := fmt.Sscanf(n.AspectRatio, "%g:%g", &w, &h); err != nil || w <= 0 || h <= 0 {
		return nodes.Result{}, nodes.Errorf("KeyError", "choosing a resolution: there is no aspect ratio %q", n.AspectRatio)
	}
	if n.Multiple <= 0 || !(n.Megapixels >= 0) || math.IsInf(n.Megapixels, 0) {
		return nodes.Result{}, nodes.Errorf("ValueError", "choosing a resolution: %g megapixels in multiples of %d", n.Megapixels, n.Multiple)
	}
	scale := math.Sqrt(n.Megapixels * 1024 * 1024 / (w * h))
	side := func(part float64) int {
		return int(math.RoundToEven(part*scale/float64(n.Multiple))) * n.Multiple
	}
	return nodes.Out(side(w), side(h)), nil
}
