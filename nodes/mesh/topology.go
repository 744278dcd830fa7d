package mesh

import (
	"fmt"

	"comfygo/internal/geometry"
	"comfygo/internal/geometry/shade"
	"comfygo/internal/geometry/weld"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&FillHoles{})
	nodes.Register(&WeldVertices{})
	nodes.Register(&MeshSmoothNormals{})
}

// eachItem applies f to the items of a mesh, in order, and reports progress. It is upstream's frame around operations that
// change the topology: vertex colors are carried on, other vertex attributes are dropped.
func eachItem(ctx *nodes.Context, m *geometry.Mesh, f func(it geometry.Item) (geometry.Item, error)) (*geometry.Mesh, error) {
	items := make([]geometry.Item, len(m.Items))
	for i, it := range m.Items {
		it.UVs, it.Normals, it.Tangents = nil, nil, nil
		out, err := f(it)
		if err != nil {
			return nil, err
		}
		items[i] = out
		ctx.Progress(float64(i+1), float64(len(m.Items)))
	}
	return m.WithItems(items), nil
}

// reserve sets aside what an operation on a mesh needs beside the mesh itself.
func reserve(ctx *nodes.Context, what string, m *geometry.Mesh, perVertex, perFace int64) error {
	var n int64
	for i := range m.Items {
		n = max(n, int64(m.Items[i].VertexCount())*perVertex+int64(m.Items[i].FaceCount())*perFace)
	}
	return ctx.Reserve(what, n+m.MemoryBytes())
}

// FillHoles closes holes.
type FillHoles struct {
	Mesh           *geometry.Mesh `in:"mesh" type:"MESH"`
	MaxPerimeter   float64        `in:"max_perimeter" default:"0.03" min:"0.0" step:"0.0001" tooltip:"Largest perimeter of a hole that is filled. 0 fills none."`
	WeldEpsilonRel float64        `in:"weld_epsilon_rel" default:"1e-05" min:"0.0" step:"1e-06" tooltip:"Distance within which vertices are merged first, as a fraction of the bounding box diagonal: holes are found in welded meshes only. 0 merges none."`
	MaxVertices    int            `in:"max_vertices" default:"16" min:"3" max:"1024" tooltip:"Largest number of vertices around a hole. Larger holes are rarely flat enough for this method."`
	FillChains     bool           `in:"fill_chains" default:"false" tooltip:"Fill open chains of boundary edges as well as closed loops."`
}

// Spec implements nodes.Node.
func (*FillHoles) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "FillHoles", DisplayName: "Fill Holes", Category: "3d/mesh",
		Module: "comfy_extras.nodes_mesh_postprocess", V3: true,
		Outputs:     []nodes.Output{{Type: "MESH", Name: "mesh"}},
		Description: "Fills small holes with triangles. Vertex colors are kept, texture coordinates and normals are dropped.",
		Uses:        nodes.UsesNothing,
	}
}

// Largest tolerance of the welding before holes are filled, and the number of vertices for each face above which a mesh counts as
// not welded.
const (
	maxWeld  = 1e-2
	unwelded = 1.0
)

// Run implements nodes.Node.
func (n *FillHoles) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := check("mesh", n.Mesh); err != nil {
		return nodes.Result{}, err
	}
	if err := reserve(ctx, "filling holes", n.Mesh, 80, 60); err != nil {
		return nodes.Result{}, err
	}
	out, err := eachItem(ctx, n.Mesh, func(it geometry.Item) (geometry.Item, error) {
		if !(n.MaxPerimeter > 0) || it.FaceCount() == 0 {
			return it, nil
		}
		if n.WeldEpsilonRel > 0 {
			var err error
			if it, err = n.weld(ctx, it); err != nil {
				return it, err
			}
		}
		return weld.Fill(ctx, &it, weld.HoleOptions{MaxPerimeter: n.MaxPerimeter, MaxVertices: n.MaxVertices, Chains: n.FillChains})
	})
	return nodes.Out(out), err
}

// weld merges vertices with a tolerance that is doubled until faces share vertices.
func (n *FillHoles) weld(ctx *nodes.Context, it geometry.Item) (geometry.Item, error) {
	for tolerance := n.WeldEpsilonRel; ; tolerance = min(2*tolerance, maxWeld) {
		var err error
		if it, _, err = weld.Vertices(ctx, &it, weld.Relative(&it, tolerance)); err != nil {
			return it, err
		}
		ratio := float64(it.VertexCount()) / float64(it.FaceCount())
		if ratio < unwelded {
			return it, nil
		}
		if tolerance >= maxWeld {
			ctx.Warn(fmt.Sprintf("the mesh has %.2f vertices for each face even after welding with a tolerance of %g, so that holes cannot be told from seams; weld it with a larger epsilon first", ratio, maxWeld))
			return it, nil
		}
	}
}

// WeldVertices merges vertices.
type WeldVertices struct {
	Mesh       *geometry.Mesh `in:"mesh" type:"MESH"`
	EpsilonRel float64        `in:"epsilon_rel" default:"1e-05" min:"0.0" step:"1e-06" tooltip:"Distance within which vertices are merged, as a fraction of the bounding box diagonal."`
	EpsilonAbs float64        `in:"epsilon_abs" default:"0.0" min:"0.0" step:"1e-06" tooltip:"Distance in the mesh's units; above 0 it is used in place of epsilon_rel."`
}

// Spec implements nodes.Node.
func (*WeldVertices) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "WeldVertices", DisplayName: "Weld Vertices", Category: "3d/mesh",
		Module: "comfy_extras.nodes_mesh_postprocess", V3: true,
		Outputs:     []nodes.Output{{Type: "MESH", Name: "mesh"}},
		Description: "Merges vertices at one place, so that faces share them. Positions and colors are averaged; texture coordinates and normals are dropped.",
		Uses:        nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *WeldVertices) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := check("mesh", n.Mesh); err != nil {
		return nodes.Result{}, err
	}
	if err := reserve(ctx, "welding vertices", n.Mesh, 80, 12); err != nil {
		return nodes.Result{}, err
	}
	out, err := eachItem(ctx, n.Mesh, func(it geometry.Item) (geometry.Item, error) {
		size := n.EpsilonAbs
		if !(size > 0) {
			size = weld.Relative(&it, n.EpsilonRel)
		}
		it, _, err := weld.Vertices(ctx, &it, size)
		return it, err
	})
	return nodes.Out(out), err
}

// MeshSmoothNormals computes vertex normals.
type MeshSmoothNormals struct {
	Mesh        *geometry.Mesh `in:"mesh" type:"MESH"`
	CreaseAngle float64        `in:"crease_angle" default:"180.0" min:"0.0" max:"180.0" step:"1.0" tooltip:"Edges with a larger dihedral angle, in degrees, stay sharp: their vertices are split. 180 makes everything smooth; 30 to 60 suits hard surfaces."`
}

// Spec implements nodes.Node.
func (*MeshSmoothNormals) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "MeshSmoothNormals", DisplayName: "Smooth Mesh Normals", Category: "3d/mesh",
		Module: "comfy_extras.nodes_mesh_postprocess", V3: true,
		Outputs:     []nodes.Output{{Type: "MESH", Name: "mesh"}},
		Description: "Computes vertex normals, without which viewers shade each face flat.",
		Uses:        nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *MeshSmoothNormals) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := check("mesh", n.Mesh); err != nil {
		return nodes.Result{}, err
	}
	if err := reserve(ctx, "vertex normals", n.Mesh, 80, 100); err != nil {
		return nodes.Result{}, err
	}
	items := []geometry.Item{}
	for _, it := range n.Mesh.Items {
		empty := it.VertexCount() == 0 || it.FaceCount() == 0
		var err error
		switch {
		case n.CreaseAngle < 180 && empty:
			continue
		case n.CreaseAngle < 180:
			it, err = shade.Creased(ctx, &it, n.CreaseAngle)
		case empty:
			it.Normals = make([]float32, len(it.Vertices))
		default:
			it.Normals, err = shade.Smooth(ctx, &it)
		}
		if err != nil {
			return nodes.Result{}, err
		}
		items = append(items, it)
	}
	if len(items) == 0 {
		return nodes.Out(n.Mesh), nil
	}
	return nodes.Out(n.Mesh.WithItems(items)), nil
}
