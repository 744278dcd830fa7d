package moge

import (
	"math"

	"comfygo/engine"
	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/internal/geometry/pointmap"
	"comfygo/nodes"
)

func init() { nodes.Register(&MoGeInference{}) }

// MoGeInference finds the points of images.
type MoGeInference struct {
	MogeModel       *engine.PointMapper `in:"moge_model" type:"MOGE_MODEL" tooltip:"Model of LoadMoGeModel."`
	Image           *tensor.Tensor      `in:"image" type:"IMAGE"`
	ResolutionLevel int                 `in:"resolution_level" default:"9" min:"0" max:"9" tooltip:"Level of detail: 0 is the fastest, 9 the most detailed."`
	FovXDegrees     float64             `in:"fov_x_degrees" default:"0.0" min:"0.0" max:"170.0" step:"0.1" advanced:"true" tooltip:"Horizontal field of view of the camera in degrees, from which the focal length follows. 0 finds it from the points."`
	BatchSize       int                 `in:"batch_size" default:"4" min:"1" max:"64" tooltip:"Number of images that are computed together. Fewer take less memory."`
	ForceProjection bool                `in:"force_projection" default:"true" advanced:"true" tooltip:"Moves each point onto the ray through its pixel."`
	ApplyMask       bool                `in:"apply_mask" default:"true" advanced:"true" tooltip:"Makes points and depth infinite where there is nothing, as in the sky, so that meshes leave it out. The mask is part of the geometry either way."`
}

// Spec implements nodes.Node.
func (*MoGeInference) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "MoGeInference", DisplayName: "Run MoGe Inference", Category: category, Module: module, V3: true,
		Description:   "Estimates depth and geometry of images with MoGe.",
		SearchAliases: []string{"moge", "depth", "geometry", "depth estimation", "geometry estimation"},
		Outputs:       []nodes.Output{{Type: typeGeometry, Name: "moge_geometry"}},
		Uses:          nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *MoGeInference) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := checkModel(n.MogeModel); err != nil {
		return nodes.Result{}, err
	}
	if err := checkImages(n.Image); err != nil {
		return nodes.Result{}, err
	}
	image := colors(n.Image)
	b, h, w := image.Dim(0), image.Dim(1), image.Dim(2)
	if err := ctx.Reserve("the geometry of images", family.Product(b, h, w, 12, 4)); err != nil {
		return nodes.Result{}, err
	}
	out := &pointmap.Map{Points: tensor.New(b, h, w, 3), Depth: tensor.New(b, h, w), Mask: tensor.New(b, h, w), Intrinsics: tensor.New(b, 3, 3), Image: image}
	for from := 0; from < b; from += n.BatchSize {
		to := min(from+n.BatchSize, b)
		maps, err := n.MogeModel.Points(ctx, planes(image.Slice(from, to)), n.MogeModel.Tokens(n.ResolutionLevel))
		if err != nil {
			return nodes.Result{}, err
		}
		if maps.Normals != nil && out.Normals == nil {
			out.Normals = tensor.New(b, h, w, 3)
		}
		for i := from; i < to; i++ {
			if err := n.solve(out, maps, i, i-from); err != nil {
				return nodes.Result{}, err
			}
		}
		ctx.Progress(float64(to), float64(b))
	}
	return nodes.Out(out), nil
}

// solve stores the geometry of image i, which is row of what the network found.
func (n *MoGeInference) solve(out *pointmap.Map, maps family.PointMaps, i, row int) error {
	s, err := solved(maps, row, n.FovXDegrees, n.ForceProjection, true)
	if err != nil {
		return nodes.Errorf("ValueError", "%w", err)
	}
	if n.ApplyMask {
		for k, m := range s.Mask.Data {
			if m == 0 {
				far := float32(math.Inf(1))
				s.Depth.Data[k] = far
				copy(s.Points.Data[3*k:], []float32{far, far, far})
			}
		}
	}
	copy(out.Points.Index(i).Data, s.Points.Data)
	copy(out.Depth.Index(i).Data, s.Depth.Data)
	copy(out.Mask.Index(i).Data, s.Mask.Data)
	copy(out.Intrinsics.Index(i).Data, s.Intrinsics)
	if maps.Normals == nil {
		return nil
	}
	normals := out.Normals.Index(i).Data
	copy(normals, maps.Normals.Index(row).Data)
	for k, m := range s.Mask.Data {
		if m == 0 && n.ApplyMask {
			clear(normals[3*k : 3*k+3])
		}
	}
	return nil
}

// solved is the geometry of a row of what the network found; with metres it is scaled where the network knows the scale.
func solved(maps family.PointMaps, row int, degrees float64, project, metres bool) (pointmap.Solution, error) {
	mask := tensor.New(maps.Mask.Shape[1:]...)
	for i, v := range maps.Mask.Index(row).Data {
		if v > maps.Threshold {
			mask.Data[i] = 1
		}
	}
	e := pointmap.Estimate{Points: maps.Points.Index(row), Mask: mask, Ahead: maps.Ahead}
	if metres && maps.Scale != nil {
		e.Scale = maps.Scale[row]
	}
	return pointmap.Solve(e, degrees, project)
}

// checkModel refuses a missing model.
func checkModel(m *engine.PointMapper) error {
	if m == nil {
		return nodes.Errorf("AttributeError", "reading the input moge_model: there is no model: connect LoadMoGeModel")
	}
	return nil
}
