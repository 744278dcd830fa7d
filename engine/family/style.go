package family

import (
	"context"

	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// Style is a family of style models: networks that convert encoded images to text tokens.
type Style interface {
	Family
	// Read reads a style model's config; src is the whole file. It returns nil if the file holds none of this family.
	Read(src weights.Source) (StyleNetwork, error)
}

// StyleNetwork is a style model that was read from a file.
type StyleNetwork interface {
	// Widths are the widths of the image encoder's hidden states and of the text encoding.
	Widths() (image, text int)
	// Tokens returns tokens [B,tokens,text] for the last hidden states [B,positions,image] of an image encoder.
	Tokens(ctx context.Context, run Runner, hidden *tensor.Tensor) (*tensor.Tensor, error)
	// Weights is the source of the network's tensors.
	Weights() weights.Source
}
