package family

import (
	"context"

	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// OpticalFlow is a family of networks that find the motion between two frames of a video.
type OpticalFlow interface {
	Family
	// ReadOpticalFlow reads a network's config; src is the whole file. It returns nil if the file holds none of this family.
	ReadOpticalFlow(src weights.Source) (FlowNetwork, error)
}

// FlowNetwork is an optical flow model that was read from a file.
type FlowNetwork interface {
	// Sides returns the least number of pixels of a frame's sides, and the number that divides them.
	Sides() (least, multiple int)
	// Prepare computes what Flow reads of a frame [1,3,H,W] in 0…1.
	Prepare(ctx context.Context, run Runner, frame *tensor.Tensor) ([]*tensor.Tensor, error)
	// Flow returns how far each pixel of the first frame moves to where it is in the second, [1,2,H,W]: to the right and down, in pixels.
	Flow(ctx context.Context, run Runner, first, second []*tensor.Tensor) (*tensor.Tensor, error)
	// Memory estimates the bytes of activations for frames of h x w pixels.
	Memory(h, w int) int64
	// Weights is the source of the network's tensors.
	Weights() weights.Source
}
