package moge

import (
	"strings"

	"comfygo/engine/tensor"
	"comfygo/internal/geometry/pointmap"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() { nodes.Register(&MoGeRender{}) }

// MoGeRender makes images of geometry.
type MoGeRender struct {
	MogeGeometry *pointmap.Map `in:"moge_geometry" type:"MOGE_GEOMETRY"`
	Output       string        `in:"output" options:"depth|depth_colored|normal_opengl|normal_directx|mask" default:"depth" tooltip:"The green channel of normals is up in OpenGL (Blender, Unity, glTF) and down in DirectX (Unreal)."`
}

// Spec implements nodes.Node.
func (*MoGeRender) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "MoGeRender", DisplayName: "Render MoGe Geometry", Category: category, Module: module, V3: true,
		Description:   "Makes an image of the depth, the normals or the mask of geometry.",
		SearchAliases: []string{"moge", "render", "geometry", "depth", "normal"},
		Outputs:       nodes.Outputs("IMAGE"),
		Uses:          nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*MoGeRender) Sizes(*nodes.Sizing) nodes.Images { return nodes.UnknownImages() }

// Run implements nodes.Node.
func (n *MoGeRender) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := checkMap(n.MogeGeometry); err != nil {
		return nodes.Result{}, err
	}
	src, render, err := n.renderer()
	if err != nil {
		return nodes.Result{}, err
	}
	if err := imaging.CheckSize("images of geometry", src.Dim(0), src.Dim(1), src.Dim(2), 3); err != nil {
		return nodes.Result{}, err
	}
	out := tensor.New(src.Dim(0), src.Dim(1), src.Dim(2), 3)
	for i := range src.Dim(0) {
		copy(out.Index(i).Data, render(src.Index(i)).Data)
		ctx.Progress(float64(i+1), float64(src.Dim(0)))
	}
	return nodes.Out(out), nil
}

// renderer returns what is shown, [B,H,W] or [B,H,W,3], and what makes an image [H,W,3] of a row of it.
func (n *MoGeRender) renderer() (*tensor.Tensor, func(x *tensor.Tensor) *tensor.Tensor, error) {
	m, up := n.MogeGeometry, strings.HasSuffix(n.Output, "_opengl")
	lacks := func(what string) error {
		return nodes.Errorf("ValueError", "showing geometry: it has no %s", what)
	}
	switch n.Output {
	case "depth", "depth_colored":
		if m.Depth == nil {
			return nil, nil, lacks("depth")
		}
		show := pointmap.Gray
		if n.Output == "depth_colored" {
			show = pointmap.Colored
		}
		return m.Depth, func(x *tensor.Tensor) *tensor.Tensor { return show(pointmap.Disparity(x)) }, nil
	case "normal_opengl", "normal_directx":
		switch {
		case m.Normals != nil:
			return m.Normals, func(x *tensor.Tensor) *tensor.Tensor { return pointmap.NormalMap(x, up) }, nil
		case m.Points != nil:
			return m.Points, func(x *tensor.Tensor) *tensor.Tensor { return pointmap.NormalMap(pointmap.Normals(x), up) }, nil
		}
		return nil, nil, lacks("normals, and no points to make them of")
	case "mask":
		if m.Mask == nil {
			return nil, nil, lacks("mask")
		}
		return m.Mask, pointmap.Gray, nil
	}
	return nil, nil, nodes.Errorf("ValueError", "showing geometry: the output %q is unknown", n.Output)
}
