package geometry

import (
	"fmt"
	"math"

	"comfygo/engine/tensor"
)

// Voxels is the value of VOXEL links: exactly one of Grid and Cells is set.
type Voxels struct {
	// Grid is [B,D,H,W]: a value at every cell of a dense volume.
	Grid *tensor.Tensor

	// Cells are the occupied cells of a sparse volume, [M,3], or [M,4] when Batched: batch item, then x, y, z in
	// 0…Resolution-1. A cell's center is (c+0.5)/Resolution - 0.5.
	Cells   []int32
	Batched bool
	// Colors are the attributes of the cells, [M,C]: 3 for RGB; 5 or 6 for RGB, metallic, roughness and alpha, in 0…1. Nil
	// without attributes.
	Colors *tensor.Tensor
	// Resolution is the number of cells along each axis of a sparse volume.
	Resolution int
}

// Sparse reports whether the voxels are a list of cells.
func (v *Voxels) Sparse() bool { return v != nil && v.Grid == nil }

// Columns is the number of values of a cell.
func (v *Voxels) Columns() int {
	if v.Batched {
		return 4
	}
	return 3
}

// Count is the number of occupied cells of a sparse volume.
func (v *Voxels) Count() int { return len(v.Cells) / v.Columns() }

// MemoryBytes is the size in host memory.
func (v *Voxels) MemoryBytes() int64 {
	if v == nil {
		return 0
	}
	n := int64(len(v.Cells))
	for _, t := range []*tensor.Tensor{v.Grid, v.Colors} {
		if t != nil {
			n += int64(len(t.Data))
		}
	}
	return 4 * n
}

// CheckGrid reports the faults of voxels that have to be a dense volume.
func (v *Voxels) CheckGrid() error {
	switch {
	case v == nil:
		return fmt.Errorf("there are no voxels; connect a node that makes them")
	case v.Grid == nil:
		return fmt.Errorf("the voxels are a list of cells, want a dense volume [B,D,H,W]")
	case len(v.Grid.Shape) != 4 || tensor.Count(v.Grid.Shape) != len(v.Grid.Data):
		return fmt.Errorf("the voxels have shape %v, want a dense volume [B,D,H,W]", v.Grid.Shape)
	case len(v.Grid.Data) == 0:
		return fmt.Errorf("the voxels have shape %v and no cells", v.Grid.Shape)
	}
	return nil
}

// MaxResolution bounds the cells of an axis, so that a cell's number fits into 63 bits.
const MaxResolution = 1 << 20

// CheckCells reports the faults of voxels that have to be cells with attributes.
func (v *Voxels) CheckCells() error {
	switch {
	case v == nil:
		return fmt.Errorf("there are no voxels; connect a node that makes them")
	case v.Grid != nil:
		return fmt.Errorf("the voxels are a dense volume, want a list of cells with colors")
	case v.Resolution < 1 || v.Resolution > MaxResolution:
		return fmt.Errorf("the voxels have a resolution of %d, want 1 to %d", v.Resolution, MaxResolution)
	case len(v.Cells)%v.Columns() != 0:
		return fmt.Errorf("%d numbers are no whole cells of %d", len(v.Cells), v.Columns())
	case v.Colors == nil:
		return fmt.Errorf("the voxels have no colors")
	}
	if s := v.Colors.Shape; len(s) != 2 || s[0] != v.Count() || s[1] < 3 || tensor.Count(s) != len(v.Colors.Data) {
		return fmt.Errorf("the colors have shape %v, want [%d,C] with C of at least 3", s, v.Count())
	}
	for i, c := range v.Colors.Data {
		if math.IsNaN(float64(c)) {
			return fmt.Errorf("cell %d has a color that is not a number", i/v.Colors.Shape[1])
		}
	}
	return nil
}
