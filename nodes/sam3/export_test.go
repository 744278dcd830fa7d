package sam3

import "comfygo/engine/tensor"

// Chosen is chosen.
var Chosen = chosen

// Paint paints the first frame.
func (n *TrackPreview) Paint(frame *tensor.Tensor) error {
	t, err := tracksOf(n.TrackData)
	if err == nil {
		n.paint(frame, t, 0)
	}
	return err
}
