package trellis2

import (
	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

// stage is a stage that reads image features of cells.
type stage int

const (
	stageStructure stage = iota
	stageCoarse
	stageFine
	stageTexture
)

// projection is what image features of cells are made of.
type projection struct{}

// projectionOf is that of a conditioning, nil if it has none.
func projectionOf(c engine.Conditioning) *projection {
	if len(c) == 0 {
		return nil
	}
	p, _ := c[0].Values[sampling.KeyProjection].(*projection)
	return p
}

// ofCells are the image features of cells, nil without a projection.
func (p *projection) ofCells(ctx *nodes.Context, s stage, cells *engine.CellLatent) (*tensor.Tensor, error) {
	return nil, nil
}
