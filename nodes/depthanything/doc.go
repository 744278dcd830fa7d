// Package depthanything has the classes of comfy_extras.nodes_depth_anything_3: the depth of the pixels of images and the cameras of views of a scene, found
// by Depth Anything 3.
package depthanything

import (
	"comfygo/engine/tensor"
	"comfygo/internal/geometry/depthmap"
	"comfygo/nodes"
)

const (
	module       = "comfy_extras.nodes_depth_anything_3"
	category     = "image/geometry estimation"
	typeModel    = "DA3_MODEL"
	typeGeometry = "DA3_GEOMETRY"
)

// checkMap refuses values of links that are no geometry, and geometry whose parts do not have the shapes that they state or do not fit together.
func checkMap(m *depthmap.Map) error {
	if m == nil || m.Depth == nil {
		return nodes.Errorf("ValueError", "reading the input da3_geometry: there is no geometry: connect DA3Inference")
	}
	if len(m.Depth.Shape) != 3 || m.Depth.Len() == 0 || m.Depth.Len() != len(m.Depth.Data) {
		return nodes.Errorf("ValueError", "reading the input da3_geometry: its depth has shape %v and %d values", m.Depth.Shape, len(m.Depth.Data))
	}
	b, h, w := m.Depth.Dim(0), m.Depth.Dim(1), m.Depth.Dim(2)
	for _, part := range []struct {
		name string
		t    *tensor.Tensor
		fits func(n int) bool
	}{
		{"image", m.Image, func(n int) bool { return n == b*h*w*3 }},
		{"sky", m.Sky, func(n int) bool { return n == b*h*w }},
		{"confidence", m.Confidence, func(n int) bool { return n == b*h*w }},
		{"intrinsics", m.Intrinsics, func(n int) bool { return n == b*9 }},
		{"extrinsics", m.Extrinsics, func(n int) bool { return n == b*12 || n == b*16 }},
	} {
		if t := part.t; t != nil && (len(t.Shape) < 3 || t.Dim(0) != b || t.Len() != len(t.Data) || !part.fits(len(t.Data))) {
			return nodes.Errorf("ValueError", "reading the input da3_geometry: its %s has shape %v and %d values, its depth shape %v", part.name, t.Shape, len(t.Data), m.Depth.Shape)
		}
	}
	return nil
}
