package engine

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
)

// CellLatent is what a latent of cells has beside its values, which are [B,C,most cells of an item,1].
type CellLatent struct {
	// At are the cells [N,4], item by item: the number of the item, x, y and z.
	At []int32
	// Counts are the cells of each item.
	Counts []int
	// Resolution is the number of cells along an axis, 0 where it is not known.
	Resolution int
	// YUp reports that the y axis points up, as in viewers; else the z axis does.
	YUp bool
}

// cellAxes is the number of values of a cell: its item and its place.
const cellAxes = 4

// Check reports the faults of cells for latents of a shape.
func (c *CellLatent) Check(shape []int) error {
	if c == nil {
		return fmt.Errorf("it has no cells: connect the latent of Trellis2ShapeStage, Trellis2UpsampleStage or Trellis2TextureStage, sampled")
	}
	if len(c.At) == 0 || len(c.At)%cellAxes != 0 || len(shape) != cellAxes || shape[0] != len(c.Counts) {
		return fmt.Errorf("it has shape %v, %d items and %d numbers of cells: wanted [batch, channels, cells, 1] with the cells of each item", shape, len(c.Counts), len(c.At))
	}
	row := 0
	for i, n := range c.Counts {
		if n < 1 || n > shape[2]*shape[3] || n > len(c.At)/cellAxes-row {
			return fmt.Errorf("item %d of it has %d of %d cells, with room for %d", i, n, len(c.At)/cellAxes, shape[2]*shape[3])
		}
		for range n {
			if got := c.At[row*cellAxes]; got != int32(i) {
				return fmt.Errorf("cell %d of it is of item %d, wanted item %d", row, got, i)
			}
			row++
		}
	}
	if row != len(c.At)/cellAxes {
		return fmt.Errorf("its items have %d cells together, and it lists %d", row, len(c.At)/cellAxes)
	}
	return nil
}

// Cells returns the cells of each item of a latent with their values.
func (l Latent) Cells() ([]family.Cells, error) {
	if l.Samples == nil || len(l.Samples.Shape) == 0 || l.Samples.Len() != len(l.Samples.Data) {
		return nil, fmt.Errorf("reading a latent of cells: it is empty: connect a sampler")
	}
	if err := l.Sparse.Check(l.Samples.Shape); err != nil {
		return nil, fmt.Errorf("reading a latent of cells: %w", err)
	}
	out := make([]family.Cells, len(l.Sparse.Counts))
	c, room, row := l.Samples.Dim(1), l.Samples.Dim(2)*l.Samples.Dim(3), 0
	for i, n := range l.Sparse.Counts {
		it := family.Cells{At: make([]int32, 0, 3*n), Values: tensor.New(n, c)}
		from := l.Samples.Index(i).Data
		for k := range n {
			it.At = append(it.At, l.Sparse.At[(row+k)*cellAxes+1:(row+k+1)*cellAxes]...)
			for j := range c {
				it.Values.Data[k*c+j] = from[j*room+k]
			}
		}
		out[i], row = it, row+n
	}
	return out, nil
}

// Divided are, for each item of a batch, the cells of each level of a shape and which of their parts were taken. It is the value of SHAPE_SUBDIVIDES links.
type Divided [][]family.Cells

// MemoryBytes is the size in host memory.
func (d Divided) MemoryBytes() int64 {
	n := int64(0)
	for _, item := range d {
		for _, c := range item {
			n += int64(len(c.At)) + int64(len(c.Values.Data))
		}
	}
	return 4 * n
}

var errNoShaper = fmt.Errorf("the VAE decodes no shapes: load the shape VAE of Trellis 2")

// DecodeStructure decodes latents [B,C,R,R,R], of which the first channels count, to volumes [B,R',R',R'] of 1 where there is something and 0 elsewhere.
func (v *VAE) DecodeStructure(ctx context.Context, z *tensor.Tensor) (*tensor.Tensor, error) {
	net, ok := v.net.(family.Shaper)
	if !ok {
		return nil, fmt.Errorf("decoding the structure: %w", errNoShaper)
	}
	const sides = 5
	c := net.StructureChannels()
	if z == nil || len(z.Shape) != sides || z.Len() == 0 || z.Len() != len(z.Data) || z.Dim(1) < c {
		return nil, fmt.Errorf("decoding the structure of a latent of shape %v: wanted [batch, %d or more, 16, 16, 16]: connect EmptyTrellis2LatentStructure, sampled", shapeOf(z), c)
	}
	var out *tensor.Tensor
	run := v.runner()
	for i := range z.Dim(0) {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		part := &tensor.Tensor{Shape: append([]int{1, c}, z.Shape[2:]...), Data: z.Index(i).Data[:c*tensor.Count(z.Shape[2:])]}
		y, err := net.DecodeStructure(ctx, run, part)
		if err != nil {
			return nil, fmt.Errorf("decoding the structure: %w", err)
		}
		if out == nil {
			if err := v.rt.checkHost("decoding the structure", family.Product(z.Dim(0), y.Len(), 4)); err != nil {
				return nil, err
			}
			out = tensor.New(append([]int{z.Dim(0)}, y.Shape...)...)
		}
		to := out.Index(i).Data
		for k, x := range y.Data {
			if x > 0 {
				to[k] = 1
			}
		}
		family.Advance(ctx, i+1, z.Dim(0))
	}
	return out, nil
}

func shapeOf(t *tensor.Tensor) []int {
	if t == nil {
		return nil
	}
	return t.Shape
}

// DecodeShape decodes a latent of cells to a mesh for each item, in a volume of so many cells along each axis.
func (v *VAE) DecodeShape(ctx context.Context, l Latent, resolution int) ([]family.CellMesh, Divided, error) {
	net, ok := v.net.(family.Shaper)
	if !ok {
		return nil, nil, fmt.Errorf("decoding a shape: %w", errNoShaper)
	}
	items, err := l.Cells()
	if err != nil {
		return nil, nil, err
	}
	run := v.runner()
	defer v.rt.sessions.Reserve(run.device, net.DecodeMemory(l.Samples.Shape))()
	meshes, divided := make([]family.CellMesh, len(items)), make(Divided, len(items))
	for i, it := range items {
		if meshes[i], divided[i], err = net.DecodeShape(family.PartOf(ctx, i, len(items)), run, it, nil, resolution); err != nil {
			return nil, nil, fmt.Errorf("decoding the shape of item %d: %w", i, err)
		}
	}
	return meshes, divided, nil
}

// DivideCells divides the cells of each item of a latent so many times, as its shape is divided, and returns their places [N,3].
func (v *VAE) DivideCells(ctx context.Context, l Latent, times int) ([][]int32, error) {
	net, ok := v.net.(family.Shaper)
	if !ok {
		return nil, fmt.Errorf("dividing the cells of a shape: %w", errNoShaper)
	}
	items, err := l.Cells()
	if err != nil {
		return nil, err
	}
	run := v.runner()
	defer v.rt.sessions.Reserve(run.device, net.DecodeMemory(l.Samples.Shape))()
	out := make([][]int32, len(items))
	for i, it := range items {
		if out[i], err = net.Divide(family.PartOf(ctx, i, len(items)), run, it, times); err != nil {
			return nil, fmt.Errorf("dividing the cells of item %d: %w", i, err)
		}
	}
	return out, nil
}

// DecodeTexture decodes a latent of cells to the values of the smallest cells of each item's shape.
func (v *VAE) DecodeTexture(ctx context.Context, l Latent, by Divided) ([]family.Cells, error) {
	net, ok := v.net.(family.Painter)
	if !ok {
		return nil, fmt.Errorf("decoding a texture: the VAE decodes no textures: load the texture VAE of Trellis 2")
	}
	items, err := l.Cells()
	if err != nil {
		return nil, err
	}
	if len(by) != len(items) {
		return nil, fmt.Errorf("decoding a texture: the latent has %d items and the shape %d: connect the shape_subdivides of VaeDecodeShapeTrellis for the same batch", len(items), len(by))
	}
	run := v.runner()
	defer v.rt.sessions.Reserve(run.device, net.DecodeMemory(l.Samples.Shape))()
	out := make([]family.Cells, len(items))
	for i, it := range items {
		if out[i], err = net.DecodeTexture(family.PartOf(ctx, i, len(items)), run, it, by[i]); err != nil {
			return nil, fmt.Errorf("decoding the texture of item %d: %w", i, err)
		}
		for _, x := range out[i].Values.Data {
			if math.IsNaN(float64(x)) {
				return nil, fmt.Errorf("decoding the texture of item %d: the VAE gave values that are not numbers: decode it again, in float32 (--fp32-vae)", i)
			}
		}
	}
	return out, nil
}
