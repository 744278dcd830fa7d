package family

import (
	"context"

	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// Background is a family of networks that tell the foreground of images from their background.
type Background interface {
	Family
	// ReadBackground reads a network's config; src is the whole file. It returns nil if the file holds none of this family.
	ReadBackground(src weights.Source) (BackgroundNetwork, error)
}

// BackgroundNetwork is a background removal model that was read from a file.
type BackgroundNetwork interface {
	// Side is the side in pixels of the square images that the network was trained with.
	Side() int
	// Foreground returns logits [1,1,S,S] of an image [1,3,S,S] in 0…1, above zero in the foreground.
	Foreground(ctx context.Context, run Runner, image *tensor.Tensor) (*tensor.Tensor, error)
	// Memory estimates the bytes of activations for an image of side x side pixels.
	Memory(side int) int64
	// Weights is the source of the network's tensors.
	Weights() weights.Source
}
