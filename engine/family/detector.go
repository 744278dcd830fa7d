package family

import (
	"context"

	"comfygo/engine/tensor"
)

// Detector is implemented by models that find objects of a fixed list of classes in images. They do not denoise: their Inputs and Predict are errors.
type Detector interface {
	Denoiser
	// Side is the side in pixels of the square images that the network reads, Classes the number of classes that it tells apart.
	Side() int
	Classes() int
	// Detect looks for objects in images [B,3,Side,Side] in 0…1. It returns logits [B,N,Classes] of N candidates of each image and their boxes
	// [B,N,4]: center, width and height in parts of the image's sides.
	Detect(ctx context.Context, run Runner, images *tensor.Tensor) (logits, boxes *tensor.Tensor, err error)
	// Activations estimates the bytes of activations for n images.
	Activations(n int) int64
}
