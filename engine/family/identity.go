package family

import (
	"context"

	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// Identity is a family of identity encoders: networks that put the person of an image in the place of a token of the text.
type Identity interface {
	Family
	// ReadIdentity reads an identity encoder's config; src is the whole file. It returns nil if the file holds none of this family.
	ReadIdentity(src weights.Source) (IdentityNetwork, error)
}

// IdentityNetwork is an identity encoder that was read from a file.
type IdentityNetwork interface {
	// Width is the width of the text encoding.
	Width() int
	// Reads names the models whose text encoding the network reads, such as "Stable Diffusion XL", for errors.
	Reads() string
	// Fuse returns a token [1,Width] of a text encoding with the person of an image [1,H,W,C] in 0…1.
	Fuse(ctx context.Context, run Runner, image, token *tensor.Tensor) (*tensor.Tensor, error)
	// Weights is the source of the network's tensors.
	Weights() weights.Source
}
