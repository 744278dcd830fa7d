package family

import (
	"context"

	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// Upscaler is a family of upscale models.
type Upscaler interface {
	Family
	// Read reads an upscale model's config; src is the whole file. It returns nil if the file holds none of this family.
	Read(src weights.Source) (UpscaleNetwork, error)
}

// LatentUpscaler is a family of upscale models of latents.
type LatentUpscaler interface {
	Family
	// ReadLatentUpscaler reads an upscale model's config; src is the whole file. It returns nil if the file holds none of this family.
	ReadLatentUpscaler(src weights.Source) (LatentUpscaleNetwork, error)
}

// LatentUpscaleNetwork is an upscale model of latents that was read from a file.
type LatentUpscaleNetwork interface {
	// Channels are the channels of the latents.
	Channels() int
	// Upscale converts a video latent [1,C,T,h,w] to a larger one, or to a better one of the same size.
	Upscale(ctx context.Context, run Runner, z *tensor.Tensor) (*tensor.Tensor, error)
	// Weights is the source of the network's tensors.
	Weights() weights.Source
}

// UpscaleNetwork is an upscale model that was read from a file.
type UpscaleNetwork interface {
	// Channels are the channels of the images that go in and come out, Scale is the factor between their sides.
	Channels() (in, out int)
	Scale() int
	// Upscale upscales one tile [1,in,H,W] in 0…1 to [1,out,H·scale,W·scale] in 0…1.
	Upscale(ctx context.Context, run Runner, x *tensor.Tensor) (*tensor.Tensor, error)
	// Memory estimates the bytes of activations for a tile of h x w pixels.
	Memory(h, w int) int64
	// Weights is the source of the network's tensors.
	Weights() weights.Source
}
