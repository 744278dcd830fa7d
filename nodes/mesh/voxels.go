package mesh

import (
	"context"

	"comfygo/engine/tensor"
	"comfygo/internal/geometry"
	"comfygo/internal/geometry/surface"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&VoxelToMeshBasic{})
	nodes.Register(&VoxelToMesh{})
}

// mesher makes a mesh of a volume [D,H,W].
type mesher func(ctx context.Context, grid *tensor.Tensor, threshold float64, reserve surface.Reserve) (geometry.Item, error)

// meshed makes a mesh of each volume of a batch.
func meshed(ctx *nodes.Context, v *geometry.Voxels, threshold float64, f mesher) (nodes.Result, error) {
	if err := v.CheckGrid(); err != nil {
		return nodes.Result{}, nodes.Errorf("ValueError", "reading the input voxel: %w", err)
	}
	m := &geometry.Mesh{}
	for i := range v.Grid.Shape[0] {
		it, err := f(ctx, v.Grid.Index(i), threshold, ctx.Reserve)
		if err != nil {
			return nodes.Result{}, err
		}
		m.Items = append(m.Items, it)
		ctx.Progress(float64(i+1), float64(v.Grid.Shape[0]))
	}
	return nodes.Out(m), nil
}

// VoxelToMeshBasic makes a mesh of squares.
type VoxelToMeshBasic struct {
	Voxel     *geometry.Voxels `in:"voxel" type:"VOXEL"`
	Threshold float64          `in:"threshold" default:"0.6" min:"-1.0" max:"1.0" step:"0.01" tooltip:"Cells above this value are solid."`
}

// Spec implements nodes.Node.
func (*VoxelToMeshBasic) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "VoxelToMeshBasic", DisplayName: "Voxel to Mesh (Basic) (DEPRECATED)", Category: "3d",
		Module: "comfy_extras.nodes_hunyuan3d", V3: true,
		Outputs: nodes.Outputs("MESH"), Deprecated: true,
		Description: "Makes a mesh of the outer faces of solid voxels.",
		Uses:        nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *VoxelToMeshBasic) Run(ctx *nodes.Context) (nodes.Result, error) {
	return meshed(ctx, n.Voxel, n.Threshold, surface.Blocks)
}

// VoxelToMesh makes a mesh of voxels.
type VoxelToMesh struct {
	Voxel     *geometry.Voxels `in:"voxel" type:"VOXEL"`
	Algorithm string           `in:"algorithm" options:"surface net|basic" tooltip:"surface net: smooth surface. basic: the outer faces of solid voxels."`
	Threshold float64          `in:"threshold" default:"0.6" min:"-1.0" max:"1.0" step:"0.01" tooltip:"Cells above this value are solid."`
}

// Spec implements nodes.Node.
func (*VoxelToMesh) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "VoxelToMesh", DisplayName: "Voxel to Mesh", Category: "3d",
		Module: "comfy_extras.nodes_hunyuan3d", V3: true,
		Outputs:     nodes.Outputs("MESH"),
		Description: "Makes a mesh of a voxel grid.",
		Uses:        nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *VoxelToMesh) Run(ctx *nodes.Context) (nodes.Result, error) {
	switch n.Algorithm {
	case "surface net":
		return meshed(ctx, n.Voxel, n.Threshold, surface.Nets)
	case "basic":
		return meshed(ctx, n.Voxel, n.Threshold, surface.Blocks)
	}
	return nodes.Result{}, nodes.Errorf("ValueError", "making a mesh: the algorithm %q is unknown, want surface net or basic", n.Algorithm)
}
