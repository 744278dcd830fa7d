package patches

import (
	"comfygo/engine"
	"comfygo/engine/patch"
	"comfygo/nodes"
)

func init() { nodes.Register(&HyperTile{}) }

// HyperTile has a U-Net's positions attend within tiles.
type HyperTile struct {
	Model *engine.Model `in:"model" type:"MODEL"`
	Tile  int           `in:"tile_size" advanced:"true" default:"256" min:"1" max:"2048" tooltip:"Least side of a tile in pixels."`
	Swap  int           `in:"swap_size" advanced:"true" default:"2" min:"1" max:"128" tooltip:"Number of sizes of tiles to draw from; each combination that is drawn is compiled once."`
	Depth int           `in:"max_depth" advanced:"true" default:"0" min:"0" max:"10" tooltip:"Number of halvings of the latent down to which layers are tiled."`
	Scale bool          `in:"scale_depth" advanced:"true" default:"false" tooltip:"Has tiles cover more of the image where the latent is halved."`
}

// Spec implements nodes.Node.
func (*HyperTile) Spec() nodes.Spec {
	return unetSpec("HyperTile", "comfy_extras.nodes_hypertile", "Has the positions of a latent attend within tiles, which makes large images faster.")
}

// Run implements nodes.Node.
func (n *HyperTile) Run(ctx *nodes.Context) (nodes.Result, error) {
	const least, cell = 32, 8 // pixels
	return patched(ctx, n.Model, "HyperTile", patch.HyperTile{Tile: max(least, n.Tile) / cell, Swap: n.Swap, Depth: n.Depth, Scale: n.Scale})
}
