package mesh

import (
	"fmt"

	"comfygo/internal/geometry"
	"comfygo/internal/geometry/unwrap"
	"comfygo/nodes"
)

func init() { nodes.Register(&UnwrapMesh{}) }

// UnwrapMesh makes texture coordinates.
type UnwrapMesh struct {
	Mesh         *geometry.Mesh `in:"mesh" type:"MESH"`
	Segmenter    string         `in:"segmenter" options:"pec|adaptive" default:"pec" tooltip:"pec: joins pairs of neighboring charts, fast. adaptive: grows charts from seeds, slower."`
	Resolution   int            `in:"resolution" default:"1024" min:"0" max:"8192" step:"256" tooltip:"Side of the texture in pixels for which the charts are scaled. 0 stands for 1024."`
	Padding      int            `in:"padding" default:"1" min:"0" max:"16" tooltip:"Pixels between charts."`
	WeldDistance float64        `in:"weld_distance" default:"0.0" min:"0.0" max:"1.0" step:"0.0001" tooltip:"Distance within which vertices are merged, as a fraction of the bounding box diagonal; 0 chooses one. Raise it to about 0.001 where each face becomes a chart of its own."`
}

// Spec implements nodes.Node.
func (*UnwrapMesh) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "UnwrapMesh", DisplayName: "Unwrap Mesh UVs", Category: "3d/texturing",
		Module: "comfy_extras.nodes_mesh_postprocess", V3: true,
		Outputs:     []nodes.Output{{Type: "MESH", Name: "mesh"}},
		Hidden:      []string{"UNIQUE_ID"},
		Description: "Lays the surface of a mesh out in a texture: it is cut into charts, which are flattened and packed. Vertices on the cuts are repeated. Remesh or decimate before, bake textures behind.",
		Uses:        nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *UnwrapMesh) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := check("mesh", n.Mesh); err != nil {
		return nodes.Result{}, err
	}
	o := unwrap.Options{
		Adaptive: n.Segmenter == "adaptive", Resolution: n.Resolution, Padding: n.Padding, WeldDistance: n.WeldDistance,
		Reserve: ctx.Reserve, Next: ctx.ReserveNext, Progress: func(done, total int) { ctx.ShowProgress(float64(done), float64(total), nil) },
	}
	if n.Segmenter != "pec" && n.Segmenter != "adaptive" {
		return nodes.Result{}, nodes.Errorf("ValueError", "unwrapping a mesh: the segmenter %q is unknown, want pec or adaptive", n.Segmenter)
	}
	if err := o.Check(); err != nil {
		return nodes.Result{}, nodes.Errorf("ValueError", "unwrapping a mesh: %w", err)
	}
	out := &geometry.Mesh{Texture: n.Mesh.Texture}
	for i := range n.Mesh.Items {
		it, err := unwrap.Mesh(ctx, &n.Mesh.Items[i], o)
		if err != nil {
			return nodes.Result{}, err
		}
		out.Items = append(out.Items, it)
		ctx.Progress(float64(i+1), float64(len(n.Mesh.Items)))
	}
	ctx.SendText(fmt.Sprintf("UV: %s verts / %s faces · atlas ~%dpx", short(out.Items[0].VertexCount()), short(out.Items[0].FaceCount()), n.Resolution))
	return nodes.Out(out), nil
}
