package trellis2

import (
	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

// Features are the image features of cells for a stage by upstream's name.
func Features(ctx *nodes.Context, c engine.Conditioning, name string, cells *engine.CellLatent) (*tensor.Tensor, error) {
	return projectionOf(c).ofCells(ctx, map[string]stage{"shape_512": stageCoarse, "shape_1024": stageFine, "tex_1024": stageTexture}[name], cells)
}
