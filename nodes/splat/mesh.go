package splat

import (
	"fmt"

	"comfygo/internal/geometry"
	"comfygo/internal/geometry/splat"
	"comfygo/nodes"
)

func init() { nodes.Register(&SplatToMesh{}) }

// SplatToMesh makes a mesh with vertex colors of splats.
type SplatToMesh struct {
	Splat        *geometry.Splats `in:"splat" type:"SPLAT"`
	Resolution   int              `in:"resolution" default:"384" min:"64" max:"768" step:"16" tooltip:"Cells of the grid along the longest side. Memory and time grow with its third power."`
	Kernel       int              `in:"kernel" default:"5" min:"1" max:"8" tooltip:"The most cells that a splat reaches to each side. More closes gaps between few splats."`
	Smooth       int              `in:"smooth" advanced:"true" default:"0" min:"0" max:"60" tooltip:"Steps of Taubin smoothing, which keeps the volume."`
	Level        float64          `in:"level" default:"0.4" min:"0.0" max:"2.0" step:"0.01" tooltip:"Density of the surface, as a multiple of the one that Otsu's method finds. Less is fatter, more is thinner."`
	MinComponent int              `in:"min_component" advanced:"true" default:"500" min:"0" max:"100000" step:"50" tooltip:"Drops parts of fewer vertices, and the inner side of the surface; 0 keeps all."`
	MinOpacity   float64          `in:"min_opacity" advanced:"true" default:"0.02" min:"0.0" max:"1.0" step:"0.01" tooltip:"Leaves out splats of less opacity."`
	ColorSharpen float64          `in:"color_sharpen" default:"2.0" min:"1.0" max:"8.0" step:"0.5" tooltip:"1 blends the colors of overlapping splats as they are; more gives the densest one more weight."`
}

// Spec implements nodes.Node.
func (*SplatToMesh) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SplatToMesh", DisplayName: "Extract Mesh from Splat", Category: "3d/splat",
		Module: module, V3: true,
		Outputs:       []nodes.Output{{Type: "MESH", Name: "mesh"}},
		Description:   "Makes a mesh with vertex colors of Gaussian splats.",
		SearchAliases: []string{"splat to mesh", "gaussian surface nets", "splat surface", "mesh splat"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *SplatToMesh) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := checkFinite("splat", n.Splat); err != nil {
		return nodes.Result{}, err
	}
	out := &geometry.Mesh{Unlit: true}
	count := float64(len(n.Splat.Items))
	for i := range n.Splat.Items {
		it, err := splat.Mesh(ctx, &n.Splat.Items[i], splat.Meshing{
			Resolution: n.Resolution, Kernel: n.Kernel, Smooth: n.Smooth, Level: n.Level,
			MinComponent: n.MinComponent, MinOpacity: n.MinOpacity, Sharpen: n.ColorSharpen,
		}, reserve(ctx, "a grid of splats"), func(f float64) { ctx.Progress(float64(i)+f, count) })
		if err != nil {
			return nodes.Result{}, failed(fmt.Sprintf("making a mesh of item %d", i), err)
		}
		if len(it.Faces) == 0 {
			ctx.Warn(fmt.Sprintf("the splats of item %d have no surface: its mesh is empty", i))
		}
		out.Items = append(out.Items, it)
	}
	return nodes.Out(out), nil
}
