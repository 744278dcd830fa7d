package family

import (
	"context"

	"comfygo/engine/tensor"
)

// Cells are cells of a volume: At [N,3] are their places, x, y, z, and Values [N,C] what they hold.
type Cells struct {
	At     []int32
	Values *tensor.Tensor
}

// Count is the number of cells.
func (c Cells) Count() int {
	const axes = 3
	return len(c.At) / axes
}

// CellMesh is a mesh in -0.5…0.5: vertices [V,3], and the vertices of each triangle [F,3].
type CellMesh struct {
	Vertices []float32
	Faces    []int32
}

// Shaper is implemented by VAEs that decode volumes of cells to shapes. The values of cells are those that the diffusion model gives.
type Shaper interface {
	Autoencoder
	// Divisions is the number of times that DecodeShape divides cells.
	Divisions() int
	// StructureChannels is the number of channels of latents of the structure.
	StructureChannels() int
	// DecodeStructure decodes a latent [1,C,R,R,R] to a volume [R',R',R'] whose cells are taken where it is positive.
	DecodeStructure(ctx context.Context, run Runner, z *tensor.Tensor) (*tensor.Tensor, error)
	// DecodeShape decodes cells to a mesh of so many cells along each axis, and to what of the cells of each level was divided: [N,8] values, of which the
	// positive ones are the parts that were taken. Guides, when given, say so in place of the network.
	DecodeShape(ctx context.Context, run Runner, c Cells, guides []Cells, resolution int) (CellMesh, []Cells, error)
	// Divide returns the places of the cells that come of dividing cells so many times.
	Divide(ctx context.Context, run Runner, c Cells, times int) ([]int32, error)
}

// Painter is implemented by VAEs that decode volumes of cells to the attributes of surfaces.
type Painter interface {
	Autoencoder
	// Divisions is the number of guides.
	Divisions() int
	// DecodeTexture decodes cells to values in 0…1 of the cells into which guides divide them, as DecodeShape gives them.
	DecodeTexture(ctx context.Context, run Runner, c Cells, guides []Cells) (Cells, error)
}
