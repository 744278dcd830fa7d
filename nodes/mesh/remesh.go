package mesh

import (
	"comfygo/internal/geometry"
	"comfygo/internal/geometry/decimate"
	"comfygo/internal/geometry/remesh"
	"comfygo/nodes"
)

func init() { nodes.Register(&RemeshMesh{}) }

// Unsigned are the inputs of RemeshMesh for unsigned distances.
type Unsigned struct {
	QEF          bool `in:"qef" advanced:"true" default:"false" tooltip:"Place vertices by quadratic error functions, which keeps edges sharper."`
	DropInverted bool `in:"drop_inverted_components" advanced:"true" default:"false" tooltip:"Drop closed pieces that are turned inside out, such as the inner one of the two shells."`
	DropEnclosed bool `in:"drop_enclosed_components" advanced:"true" default:"false" tooltip:"Drop pieces within the largest one."`
}

// Signed are the inputs of RemeshMesh for signed distances.
type Signed struct {
	QEF      bool `in:"qef" default:"true" tooltip:"Place vertices by quadratic error functions, which keeps edges sharp."`
	Manifold bool `in:"manifold" default:"false" tooltip:"Make up to four vertices in cells that several sheets cross. Slower, and without sharp edges."`
}

// RemeshMesh makes a mesh anew.
type RemeshMesh struct {
	Mesh                *geometry.Mesh `in:"mesh" type:"MESH"`
	Resolution          int            `in:"resolution" default:"512" min:"32" max:"2048" tooltip:"Cells along each axis. 256 gives about 100,000 faces, 512 about a million."`
	SignMode            nodes.Choice   `in:"sign_mode" display_name:"sign_mode" tooltip:"udf: works with any mesh. sdf: one clean surface, needs consistent winding."`
	Band                float64        `in:"band" advanced:"true" default:"1.0" min:"0.5" max:"4.0" step:"0.1" tooltip:"Width of the searched band in cells; with udf also the distance of the result from the surface."`
	ProjectBack         float64        `in:"project_back" advanced:"true" default:"0.0" min:"0.0" max:"1.0" step:"0.05" tooltip:"Moves vertices toward the original surface: 0 not, 1 onto it."`
	FixPoles            bool           `in:"fix_poles" advanced:"true" default:"false" tooltip:"Merge pairs of vertices with three neighbors."`
	SmoothIters         int            `in:"smooth_iters" default:"0" min:"0" max:"20" tooltip:"Smoothing steps. 2 or 3 remove stairs, more blur sharp edges."`
	DropSmallComponents float64        `in:"drop_small_components" advanced:"true" default:"0.01" min:"0.0" max:"0.5" step:"0.005" tooltip:"Drop pieces of less than this part of the largest one's faces."`
	PreclusterMaxVerts  int            `in:"precluster_max_verts" advanced:"true" default:"20000000" min:"0" max:"100000000" tooltip:"Meshes with more vertices are reduced to about as many first. 0 never does."`
}

// DynamicOptions implements nodes.Dynamic.
func (*RemeshMesh) DynamicOptions(string) []nodes.Option {
	return []nodes.Option{{Key: "udf", Inputs: &Unsigned{}}, {Key: "sdf", Inputs: &Signed{}}}
}

// Spec implements nodes.Node.
func (*RemeshMesh) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "RemeshMesh", DisplayName: "Remesh Mesh (Narrow-Band DC)", Category: "3d/mesh",
		Module: "comfy_extras.nodes_mesh_postprocess", V3: true,
		Outputs:     []nodes.Output{{Type: "MESH", Name: "mesh"}},
		Hidden:      []string{"UNIQUE_ID"},
		Description: "Makes a new mesh of even triangles from the distance to the surface. The mesh has to lie within -0.5 to 0.5. For a number of faces decimate the result.",
		Uses:        nodes.UsesNothing,
	}
}

// options turns the inputs into those of package remesh.
func (n *RemeshMesh) options(ctx *nodes.Context) (remesh.Options, error) {
	const mostResolution, mostSmoothing = 2048, 20
	if n.Resolution < 2 || n.Resolution > mostResolution {
		return remesh.Options{}, nodes.Errorf("ValueError", "remeshing: the resolution is %d, want 2 to %d", n.Resolution, mostResolution)
	}
	if !(n.Band > 0 && n.Band <= 16) {
		return remesh.Options{}, nodes.Errorf("ValueError", "remeshing: the band is %g cells, want more than 0 and at most 16", n.Band)
	}
	o := remesh.Options{
		Resolution: n.Resolution, Band: n.Band, ProjectBack: n.ProjectBack, FixPoles: n.FixPoles,
		SmoothIterations: min(max(n.SmoothIters, 0), mostSmoothing), DropSmall: n.DropSmallComponents,
		Reserve:  ctx.Reserve,
		Progress: func(done, total int) { ctx.Progress(float64(done), float64(total)) },
	}
	switch in := n.SignMode.Inputs.(type) {
	case *Unsigned:
		o.Sharp, o.DropInverted, o.DropEnclosed = in.QEF, in.DropInverted, in.DropEnclosed
	case *Signed:
		o.Signed, o.Sharp, o.Manifold = true, in.QEF, in.Manifold
	default:
		return o, nodes.Errorf("ValueError", "remeshing: the sign_mode %q is unknown, want udf or sdf", n.SignMode.Key)
	}
	return o, nil
}

// Run implements nodes.Node.
func (n *RemeshMesh) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := check("mesh", n.Mesh); err != nil {
		return nodes.Result{}, err
	}
	o, err := n.options(ctx)
	if err != nil {
		return nodes.Result{}, err
	}
	var before, after int
	out, err := eachItem(ctx, n.Mesh, func(it geometry.Item) (geometry.Item, error) {
		before += it.FaceCount()
		if n.PreclusterMaxVerts > 0 && it.VertexCount() > n.PreclusterMaxVerts {
			var err error
			if it, err = decimate.Cluster(ctx, &it, n.PreclusterMaxVerts); err != nil {
				return it, err
			}
		}
		it, err := remesh.Mesh(ctx, &it, o)
		if err != nil {
			return it, err
		}
		if it.FaceCount() == 0 {
			ctx.Warn("the remeshed mesh is empty: the mesh has to lie within -0.5 to 0.5 on all axes")
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
