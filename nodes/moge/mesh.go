package moge

import (
	"comfygo/internal/geometry"
	"comfygo/internal/geometry/pointmap"
	"comfygo/nodes"
)

func init() { nodes.Register(&MoGePointMapToMesh{}) }

// MoGePointMapToMesh makes a mesh of points.
type MoGePointMapToMesh struct {
	MogeGeometry           *pointmap.Map `in:"moge_geometry" type:"MOGE_GEOMETRY"`
	BatchIndex             int           `in:"batch_index" default:"0" min:"0" max:"4096" tooltip:"Which image of the geometry the mesh is made of."`
	Decimation             int           `in:"decimation" default:"1" min:"1" max:"8" tooltip:"Distance of the vertices in pixels; 1 takes all."`
	DiscontinuityThreshold float64       `in:"discontinuity_threshold" default:"0.04" min:"0.0" max:"1.0" step:"0.01" tooltip:"Leaves out pixels around which the depth changes by more than this part. 0 keeps all."`
	Texture                bool          `in:"texture" default:"true" tooltip:"Makes the image the texture of the mesh."`
}

// Spec implements nodes.Node.
func (*MoGePointMapToMesh) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "MoGePointMapToMesh", DisplayName: "Convert MoGe Point Map to Mesh", Category: category, Module: module, V3: true,
		Description:   "Makes a mesh of a point map.",
		SearchAliases: []string{"moge", "mesh", "geometry", "point map"},
		Outputs:       nodes.Outputs("MESH"),
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *MoGePointMapToMesh) Run(ctx *nodes.Context) (nodes.Result, error) {
	m := n.MogeGeometry
	if err := checkMap(m); err != nil {
		return nodes.Result{}, err
	}
	switch {
	case m.Points == nil:
		return nodes.Result{}, nodes.Errorf("ValueError", "making a mesh: the geometry has no points")
	case n.BatchIndex < 0 || n.BatchIndex >= m.Points.Dim(0):
		return nodes.Result{}, nodes.Errorf("ValueError", "making a mesh: batch_index is %d, and the geometry has %d images", n.BatchIndex, m.Points.Dim(0))
	}
	const perPixel = 80 // a vertex, two faces, and what is known of the pixel
	if err := ctx.Reserve("a mesh of points", int64(m.Points.Dim(1))*int64(m.Points.Dim(2))*perPixel); err != nil {
		return nodes.Result{}, err
	}
	grid := pointmap.Grid{Points: m.Points.Index(n.BatchIndex), Step: n.Decimation, Edge: n.DiscontinuityThreshold}
	if m.Depth != nil && n.BatchIndex < m.Depth.Dim(0) {
		grid.Depth = m.Depth.Index(n.BatchIndex)
	}
	it := pointmap.Triangulate(grid)
	if len(it.Faces) == 0 {
		return nodes.Result{}, nodes.Errorf("ValueError", "making a mesh: no four neighbouring points are left: try a discontinuity_threshold of 0, or MoGeInference without apply_mask")
	}
	toGLTF(&it, m.Intrinsics == nil)
	out := &geometry.Mesh{Items: []geometry.Item{it}}
	if n.Texture && m.Image != nil && n.BatchIndex < m.Image.Dim(0) {
		out.Texture = m.Image.Slice(n.BatchIndex, n.BatchIndex+1)
	}
	return nodes.Out(out), nil
}

// toGLTF turns a mesh into the space of glTF: y is up and z toward the viewer. That of a panorama, whose z is up, is seen from inside.
func toGLTF(it *geometry.Item, panorama bool) {
	for i := 0; i < len(it.Vertices); i += 3 {
		v := it.Vertices[i : i+3]
		if panorama {
			v[0], v[1], v[2] = v[1], v[2], v[0]
		} else {
			v[1], v[2] = -v[1], -v[2]
		}
	}
	if panorama {
		return
	}
	for i := 0; i < len(it.Faces); i += 3 {
		it.Faces[i+1], it.Faces[i+2] = it.Faces[i+2], it.Faces[i+1]
	}
}
