// Package triposplat has the classes of comfy_extras.nodes_triposplat: Gaussian splats made from an image by TripoSplat.
package triposplat

import (
	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/internal/geometry"
	"comfygo/nodes"
)

const (
	module   = "comfy_extras.nodes_triposplat"
	category = "model/conditioning/triposplat"
	// latentCategory is that of the classes that decode.
	latentCategory = "model/latent/triposplat"
)

// The sizes of a latent: vectors, their width, and the width of the camera.
const (
	vectors  = 8192
	channels = 16
	camera   = 5
)

const rgb = 3

// isImage reports that x is a batch of images with at least one pixel and three channels.
func isImage(x *tensor.Tensor) bool {
	return x != nil && len(x.Shape) == 4 && x.Len() > 0 && x.Len() == len(x.Data) && x.Dim(3) >= rgb
}

// missing is the error for an input without a value; class is what gives one.
func missing(input, class string) error {
	return nodes.Errorf("AttributeError", "reading the input %s: it is empty: connect %s", input, class)
}

// items are splats as the value of a link.
func items(list []family.Splats) *geometry.Splats {
	out := &geometry.Splats{}
	for _, s := range list {
		out.Items = append(out.Items, geometry.SplatItem{Positions: s.Positions, Scales: s.Scales, Rotations: s.Rotations, Opacities: s.Opacities, SH: s.Colors, K: 1})
	}
	return out
}
