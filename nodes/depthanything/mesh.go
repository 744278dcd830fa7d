package depthanything

import (
	"comfygo/engine/tensor"
	"comfygo/internal/geometry"
	"comfygo/internal/geometry/depthmap"
	"comfygo/internal/geometry/pointmap"
	"comfygo/nodes"
)

func init() { nodes.Register(&DA3GeometryToMesh{}) }

// DA3GeometryToMesh makes a mesh of depth.
type DA3GeometryToMesh struct {
	DA3Geometry            *depthmap.Map `in:"da3_geometry" type:"DA3_GEOMETRY"`
	BatchIndex             int           `in:"batch_index" default:"0" min:"0" max:"4096" tooltip:"Which image of the geometry the mesh is made of."`
	Decimation             int           `in:"decimation" default:"1" min:"1" max:"8" tooltip:"Distance of the vertices in pixels; 1 takes all."`
	DiscontinuityThreshold float64       `in:"discontinuity_threshold" default:"0.04" min:"0.0" max:"1.0" step:"0.01" tooltip:"Leaves out pixels around which the depth changes by more than this part. 0 keeps all."`
	ConfidenceThreshold    float64       `in:"confidence_threshold" default:"0.1" min:"0.0" max:"1.0" step:"0.01" tooltip:"Leaves out pixels whose confidence, from 0 to 1 in its image, is lower (Small and Base models)."`
	UseSkyMask             bool          `in:"use_sky_mask" default:"true" tooltip:"Leaves out the sky (Mono and Metric models)."`
	Texture                bool          `in:"texture" default:"true" tooltip:"Makes the image the texture of the mesh."`
}

// Spec implements nodes.Node.
func (*DA3GeometryToMesh) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "DA3GeometryToMesh", DisplayName: "Convert DA3 Geometry to Mesh", Category: category, Module: module, V3: true,
		Description:   "Makes a mesh of a depth map.",
		SearchAliases: []string{"da3", "depth anything", "mesh", "geometry", "3d", "triangulate"},
		Outputs:       nodes.Outputs("MESH"),
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *DA3GeometryToMesh) Run(ctx *nodes.Context) (nodes.Result, error) {
	m := n.DA3Geometry
	if err := checkMap(m); err != nil {
		return nodes.Result{}, err
	}
	if n.BatchIndex < 0 || n.BatchIndex >= m.Depth.Dim(0) {
		return nodes.Result{}, nodes.Errorf("ValueError", "making a mesh: batch_index is %d, and the geometry has %d images", n.BatchIndex, m.Depth.Dim(0))
	}
	const perPixel = 96 // a vertex, two faces, and what is known of the pixel
	if err := ctx.Reserve("a mesh of depth", int64(m.Depth.Dim(1))*int64(m.Depth.Dim(2))*perPixel); err != nil {
		return nodes.Result{}, err
	}
	if _, known := m.Lens(n.BatchIndex); !known {
		ctx.Warn("DA3GeometryToMesh: the geometry has no camera, so that an angle of about 71 degrees along the width is assumed: run DA3Inference with several views for their cameras")
	}
	if !m.Placed(n.BatchIndex) {
		ctx.Warn("DA3GeometryToMesh: the place of the camera is not finite: the mesh is in the space of its camera")
	}
	depth := m.Depth.Index(n.BatchIndex)
	points, err := m.Points(n.BatchIndex, m.Kept(n.BatchIndex, n.ConfidenceThreshold, n.UseSkyMask))
	if err != nil {
		return nodes.Result{}, nodes.Errorf("ValueError", "%w", err)
	}
	it := pointmap.Triangulate(pointmap.Grid{Points: points, Depth: depth, Step: n.Decimation, Edge: n.DiscontinuityThreshold})
	if len(it.Faces) == 0 {
		return nodes.Result{}, nodes.Errorf("ValueError", "making a mesh: no four neighbouring points are left: raise discontinuity_threshold, lower confidence_threshold, or turn use_sky_mask off")
	}
	for i := 0; i < len(it.Vertices); i += 3 { // y is up and z toward the viewer in glTF
		it.Vertices[i+1], it.Vertices[i+2] = -it.Vertices[i+1], -it.Vertices[i+2]
	}
	for i := 0; i < len(it.Faces); i += 3 {
		it.Faces[i+1], it.Faces[i+2] = it.Faces[i+2], it.Faces[i+1]
	}
	out := &geometry.Mesh{Items: []geometry.Item{it}}
	if n.Texture && m.Image != nil {
		out.Texture = texture(m.Image, n.BatchIndex)
	}
	return nodes.Out(out), nil
}

// texture is image i of a batch, as a batch.
func texture(images *tensor.Tensor, i int) *tensor.Tensor { return images.Slice(i, i+1) }
