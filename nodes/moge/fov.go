package moge

import (
	"math"

	"comfygo/engine/tensor"
	"comfygo/internal/geometry/pointmap"
	"comfygo/nodes"
)

func init() { nodes.Register(&MoGeGeometryToFOV{}) }

// MoGeGeometryToFOV gives the field of view of the camera of geometry.
type MoGeGeometryToFOV struct {
	MogeGeometry *pointmap.Map `in:"moge_geometry" type:"MOGE_GEOMETRY"`
	Axis         string        `in:"axis" options:"vertical|horizontal|diagonal" default:"vertical" tooltip:"The field of view along the height, the width or the diagonal of the image."`
	Unit         string        `in:"unit" options:"degrees|radians" default:"degrees" tooltip:"Unit of the field of view."`
}

// Spec implements nodes.Node.
func (*MoGeGeometryToFOV) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "MoGeGeometryToFOV", DisplayName: "Get FoV from MoGe Geometry", Category: category, Module: module, V3: true,
		Description:   "Gives the field of view and the focal length of the camera that geometry was found for.",
		SearchAliases: []string{"moge", "fov", "geometry", "intrinsics", "field of view"},
		Outputs:       []nodes.Output{{Type: "FLOAT", Name: "fov"}, {Type: "FLOAT", Name: "focal_pixels"}},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *MoGeGeometryToFOV) Run(*nodes.Context) (nodes.Result, error) {
	m := n.MogeGeometry
	if err := checkMap(m); err != nil {
		return nodes.Result{}, err
	}
	if m.Intrinsics == nil || len(m.Intrinsics.Data) < 9 {
		return nodes.Result{}, nodes.Errorf("ValueError", "reading the field of view: the geometry has no camera; that of a panorama has none")
	}
	fx, fy := float64(m.Intrinsics.Data[0]), float64(m.Intrinsics.Data[4])
	half := map[string]float64{"horizontal": 0.5 / fx, "vertical": 0.5 / fy, "diagonal": math.Hypot(0.5/fx, 0.5/fy)}
	tangent, ok := half[n.Axis]
	if !ok {
		return nodes.Result{}, nodes.Errorf("ValueError", "reading the field of view: the axis %q is unknown", n.Axis)
	}
	fov := 2 * math.Atan(tangent)
	if n.Unit != "radians" {
		fov *= 180 / math.Pi
	}
	for _, t := range []*tensor.Tensor{m.Image, m.Points, m.Depth} {
		if t != nil {
			return nodes.Out(fov, fy*float64(t.Dim(1))), nil
		}
	}
	return nodes.Result{}, nodes.Errorf("ValueError", "reading the focal length: the geometry has no image, points or depth that tell the height in pixels")
}
