package mesh

import (
	"comfygo/internal/geometry"
	"comfygo/internal/geometry/decimate"
	"comfygo/nodes"
)

func init() { nodes.Register(&DecimateMesh{}) }

// Placement are the inputs of DecimateMesh for optimal placement.
type Placement struct {
	LineWeight    float64 `in:"line_quadric_weight" default:"0.0" min:"0.0" max:"100.0" step:"0.1" tooltip:"Weight of keeping edges straight, which preserves ridges. 0 turns it off."`
	FeatureWeight float64 `in:"feature_edge_quadric_weight" default:"0.0" min:"0.0" max:"1000.0" step:"1.0" tooltip:"Additional weight of creases. 0 turns it off."`
	FeatureAngle  float64 `in:"feature_edge_min_dihedral_deg" default:"30.0" min:"0.0" max:"180.0" step:"1.0" tooltip:"Smallest dihedral angle of a crease in degrees."`
	Clamp         bool    `in:"clamp_v_to_edge" default:"true" tooltip:"Keep new vertices on the edges that they replace."`
}

// DecimateMesh reduces the faces of a mesh.
type DecimateMesh struct {
	Mesh            *geometry.Mesh `in:"mesh" type:"MESH"`
	TargetFaceCount int            `in:"target_face_count" default:"200000" min:"0" max:"50000000" tooltip:"Largest number of faces. 0 leaves the mesh as it is."`
	PlacementMode   nodes.Choice   `in:"placement_mode" display_name:"placement_mode" tooltip:"midpoint: vertices in the middle of edges, best for thin parts. qem: vertices where the error is least, with weights for features."`
}

// DynamicOptions implements nodes.Dynamic.
func (*DecimateMesh) DynamicOptions(string) []nodes.Option {
	return []nodes.Option{{Key: "midpoint"}, {Key: "qem", Inputs: &Placement{}}}
}

// Spec implements nodes.Node.
func (*DecimateMesh) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "DecimateMesh", DisplayName: "Decimate Mesh", Category: "3d/mesh",
		Module: "comfy_extras.nodes_mesh_postprocess", V3: true,
		Outputs:     []nodes.Output{{Type: "MESH", Name: "mesh"}},
		Hidden:      []string{"UNIQUE_ID"},
		Description: "Reduces the number of faces by collapsing the edges with the least quadric error. Vertex colors are kept, texture coordinates and normals are dropped.",
		Uses:        nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *DecimateMesh) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := check("mesh", n.Mesh); err != nil {
		return nodes.Result{}, err
	}
	o := decimate.Options{}
	if in, ok := n.PlacementMode.Inputs.(*Placement); ok && n.PlacementMode.Key == "qem" {
		o = decimate.Options{Optimal: true, LineWeight: in.LineWeight, FeatureWeight: in.FeatureWeight, FeatureAngle: in.FeatureAngle, Clamp: in.Clamp}
	}
	var before, after int
	out, err := eachItem(ctx, n.Mesh, func(it geometry.Item) (geometry.Item, error) {
		before += it.FaceCount()
		if n.TargetFaceCount > 0 && it.FaceCount() > n.TargetFaceCount {
			if err := ctx.Reserve("decimating a mesh", decimate.Bytes(it.VertexCount(), it.FaceCount())); err != nil {
				return it, err
			}
			o.Progress = func(part float64) { ctx.ShowProgress(part, 1, nil) }
			var err error
			if it, err = decimate.Simplify(ctx, &it, n.TargetFaceCount, o); err != nil {
				return it, err
			}
		}
		after += it.FaceCount()
		return it, nil
	})
	if err != nil {
		return nodes.Result{}, err
	}
	ctx.SendText(facesChanged(before, after))
	return nodes.Out(out), nil
}
