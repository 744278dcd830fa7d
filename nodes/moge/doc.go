// Package moge has the classes of comfy_extras.nodes_moge: the points in space of the pixels of images, found by MoGe.
package moge

import (
	"comfygo/engine/tensor"
	"comfygo/internal/geometry/pointmap"
	"comfygo/nodes"
)

const (
	module       = "comfy_extras.nodes_moge"
	category     = "image/geometry estimation"
	typeGeometry = "MOGE_GEOMETRY"
)

// checkImages refuses values that are not batches of images with at least three channels.
func checkImages(images *tensor.Tensor) error {
	const axes, rgb = 4, 3
	if images == nil || len(images.Shape) != axes || images.Dim(3) < rgb || images.Len() == 0 || images.Len() != len(images.Data) {
		return nodes.Errorf("ValueError", "reading the input image: it is not an image batch [B,H,W,C] with at least one pixel and three channels")
	}
	return nil
}

// colors are the first three channels of images [B,H,W,C].
func colors(images *tensor.Tensor) *tensor.Tensor {
	const rgb = 3
	c := images.Dim(3)
	if c == rgb {
		return images
	}
	out := tensor.New(images.Dim(0), images.Dim(1), images.Dim(2), rgb)
	for i := range len(out.Data) / rgb {
		copy(out.Data[rgb*i:rgb*i+rgb], images.Data[c*i:])
	}
	return out
}

// planes moves the channels of images [B,H,W,C] in front: [B,C,H,W].
func planes(images *tensor.Tensor) *tensor.Tensor {
	n, area, c := images.Dim(0), images.Dim(1)*images.Dim(2), images.Dim(3)
	out := tensor.New(n, c, images.Dim(1), images.Dim(2))
	for b := range n {
		for i := range area {
			for k := range c {
				out.Data[(b*c+k)*area+i] = images.Data[(b*area+i)*c+k]
			}
		}
	}
	return out
}

// checkMap refuses values of links that are no geometry, and geometry whose parts do not have the shapes that they state.
func checkMap(m *pointmap.Map) error {
	if m == nil {
		return nodes.Errorf("ValueError", "reading the input moge_geometry: there is no geometry: connect MoGeInference or MoGePanoramaInference")
	}
	for _, t := range []*tensor.Tensor{m.Points, m.Depth, m.Intrinsics, m.Mask, m.Normals, m.Image} {
		if t != nil && (len(t.Shape) < 3 || t.Len() == 0 || t.Len() != len(t.Data)) {
			return nodes.Errorf("ValueError", "reading the input moge_geometry: a part has shape %v and %d values", t.Shape, len(t.Data))
		}
	}
	return nil
}
