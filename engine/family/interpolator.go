package family

import (
	"context"

	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// Interpolator is a family of networks that generate frames between those of a video.
type Interpolator interface {
	Family
	// ReadInterpolator reads a network's config; src is the whole file. It returns nil if the file holds none of this family.
	ReadInterpolator(src weights.Source) (InterpolationNetwork, error)
}

// InterpolationNetwork is a frame interpolation model that was read from a file.
type InterpolationNetwork interface {
	// Prepare computes what Between reads of a frame [1,3,H,W] in 0…1.
	Prepare(ctx context.Context, run Runner, frame *tensor.Tensor) ([]*tensor.Tensor, error)
	// Between makes the frames at times from 0, the first frame, to 1, the second, and calls emit with each one, [1,3,H,W], in order.
	Between(ctx context.Context, run Runner, first, second []*tensor.Tensor, times []float32, emit func(frame *tensor.Tensor) error) error
	// Memory estimates the bytes that two frames of h x w pixels take.
	Memory(h, w int) int64
	// Weights is the source of the network's tensors.
	Weights() weights.Source
}
