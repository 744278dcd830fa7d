package family

import (
	"context"

	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// Vision is a family of image encoders.
type Vision interface {
	Family
	// Read reads an image encoder; src is the whole file. It returns nil if the file holds none of this family.
	Read(src weights.Source) (ImageEncoder, error)
}

// ImageEncoder is an image encoder that was read from a file.
type ImageEncoder interface {
	// Encode encodes images [B,H,W,C] in 0…1, cut at the centre to a square when crop is set and else squeezed.
	Encode(ctx context.Context, run Runner, images *tensor.Tensor, crop bool) (ImageEncoding, error)
	// Weights is the source of the network's tensors.
	Weights() weights.Source
}

// ImageEncoding is the output of an image encoder for B images. Upstream: the output of CLIP vision models.
type ImageEncoding struct {
	// Last is [B,tokens,width], the last hidden states; Penultimate those of the layer before.
	Last, Penultimate *tensor.Tensor
	// Plain is Last with a last norm that has no learned values, or nil.
	Plain *tensor.Tensor
	// Embeds is the projected pooled output [B,width'].
	Embeds *tensor.Tensor
	// Projected are the last hidden states through a multimodal projector, or nil.
	Projected *tensor.Tensor
	// All holds the hidden states of every layer, [B,layers,tokens,width], nil unless the encoder gives them.
	All *tensor.Tensor
	// Size is the side of the square that the encoder reads, in pixels.
	Size int
	// Rows and Columns are those of the tokens of an image, for encoders without a class token that were run on one of any shape.
	Rows, Columns int
}

// AnySize is implemented by encoders that read images of any size.
type AnySize interface {
	ImageEncoder
	// EncodeWhole encodes images [B,H,W,3] in 0…1 at their own size, but for what is left over of patches.
	EncodeWhole(ctx context.Context, run Runner, images *tensor.Tensor) (ImageEncoding, error)
}

// Refiner is implemented by encoders whose files can carry a network that makes features of single pixels of those of patches.
type Refiner interface {
	AnySize
	// CanRefine reports that the file carries it.
	CanRefine() bool
	// Refine returns the features [N,C] at points [N,2], x and y in pixels of a square of fine features, of an image [1,S,S,3] in 0…1 and of its coarse
	// features [1,C,h,h]. side is the side of the fine features, which S is a multiple of, and which is one of h.
	Refine(ctx context.Context, run Runner, image, features *tensor.Tensor, side int, points []float32) (*tensor.Tensor, error)
}
