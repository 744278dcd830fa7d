package family

import (
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/weights"
)

// Grounding is a family of networks that have a diffusion model place what texts describe in boxes.
type Grounding interface {
	Family
	// Read reads a network's config; src is the whole file. It returns nil if the file holds none of this family.
	Read(src weights.Source) (GroundingNetwork, error)
}

// GroundingNetwork is a grounding network that was read from a file.
type GroundingNetwork interface {
	// Place returns a placement with one more box than before has, which may be nil. id identifies the network's file.
	Place(id string, before Placement, box Box) (Placement, error)
	// Weights is the source of the network's tensors.
	Weights() weights.Source
}

// Box is a part of the image and its content: X, Y, Width and Height are in cells of the latent, Text is the pooled encoding
// of a text, without its projection.
type Box struct {
	Text                []float32
	X, Y, Width, Height int
}

// Placement is the value of conditioning entries under sampling.KeyGLIGEN: a grounding network with its boxes. It is
// immutable.
type Placement interface {
	// Fits fails if the network does not fit a diffusion model whose transformers have these widths, in the order in which they
	// run.
	Fits(widths []int) error
	// Input returns the input of the diffusion model for latents of a shape [N,C,height,width]. Its rule is a Patcher, too.
	Input(shape []int) sampling.Input
}

// Patcher is implemented by rules of inputs that come with a change of the network's graph.
type Patcher interface {
	Patch() patch.MiddlePatch
}
