// Package vision has the classes that find something in images by a network of their own: the foreground (comfy_extras.nodes_bg_removal), objects
// (comfy_extras.nodes_rtdetr, whose class that draws boxes is in package image), and faces (comfy_extras.nodes_mediapipe).
package vision

import (
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

// checkImages refuses values that are not batches of images with at least three channels.
func checkImages(images *tensor.Tensor) error {
	const axes, rgb = 4, 3
	if images == nil || len(images.Shape) != axes || images.Dim(3) < rgb || images.Len() == 0 || images.Len() != len(images.Data) {
		return nodes.Errorf("ValueError", "reading the input image: it is not an image batch [B,H,W,C] with at least one pixel and three channels")
	}
	return nil
}
