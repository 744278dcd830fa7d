package sam3

import (
	"comfygo/engine/family"
	"comfygo/engine/tensor"
)

// Chosen is chosen.
var Chosen = chosen

// ReadPoints reads points on an image of 8x4 pixels for a network of images of 16x16.
func ReadPoints(text string) ([]family.Point, error) {
	return readPoints("positive_coords", text, 4, 8, 16, true)
}

// Paint paints the first frame.
func (n *TrackPreview) Paint(frame *tensor.Tensor) error {
	t, err := tracksOf(n.TrackData)
	if err == nil {
		n.paint(frame, t, 0)
	}
	return err
}
