package depthanything

import (
	"context"

	"comfygo/engine/tensor"
	"comfygo/internal/geometry/depthmap"
	"comfygo/internal/geometry/pointmap"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() { nodes.Register(&DA3Render{}) }

// Shades are the inputs of images of depth.
type Shades struct {
	Normalization string `in:"normalization" options:"v2_style|min_max|raw" default:"v2_style" tooltip:"v2_style: near is white, far is black, without the extremes. min_max: the whole range. raw: as the model gives it, in metres for the Metric model."`
	ApplySkyClip  bool   `in:"apply_sky_clip" default:"false" tooltip:"Gives the sky the depth of what is farthest below it, before anything else (Mono and Metric models)."`
}

// SkyShades are the inputs of images of the sky.
type SkyShades struct {
	Colored bool `in:"colored" default:"false" tooltip:"Shows the sky in the colors of the Turbo colormap."`
}

// ConfidenceShades are the inputs of images of the confidence.
type ConfidenceShades struct {
	Colored bool `in:"colored" default:"false" tooltip:"Shows the confidence in the colors of the Turbo colormap."`
}

// DA3Render makes images of geometry.
type DA3Render struct {
	DA3Geometry *depthmap.Map `in:"da3_geometry" type:"DA3_GEOMETRY"`
	Output      nodes.Choice  `in:"output" tooltip:"depth: shades of gray. depth_colored: the Turbo colormap. sky_mask: where the sky is (Mono and Metric models). confidence: how sure the model is (Small and Base models)."`
}

// DynamicOptions implements nodes.Dynamic.
func (*DA3Render) DynamicOptions(string) []nodes.Option {
	return []nodes.Option{
		{Key: "depth", Inputs: &Shades{}},
		{Key: "depth_colored", Inputs: &Shades{}},
		{Key: "sky_mask", Inputs: &SkyShades{}},
		{Key: "confidence", Inputs: &ConfidenceShades{}},
	}
}

// Spec implements nodes.Node.
func (*DA3Render) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "DA3Render", DisplayName: "Render Depth Anything 3", Category: category, Module: module, V3: true,
		Description: "Makes an image of the depth, the confidence or the sky that Depth Anything 3 found.",
		Outputs:     nodes.Outputs("IMAGE"),
		Uses:        nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*DA3Render) Sizes(*nodes.Sizing) nodes.Images { return nodes.UnknownImages() }

// Run implements nodes.Node.
func (n *DA3Render) Run(ctx *nodes.Context) (nodes.Result, error) {
	m := n.DA3Geometry
	if err := checkMap(m); err != nil {
		return nodes.Result{}, err
	}
	show, err := n.renderer()
	if err != nil {
		return nodes.Result{}, err
	}
	b, h, w := m.Depth.Dim(0), m.Depth.Dim(1), m.Depth.Dim(2)
	if err := imaging.CheckSize("images of geometry", b, h, w, 3); err != nil {
		return nodes.Result{}, err
	}
	out := tensor.New(b, h, w, 3)
	for i := range b {
		if err := context.Cause(ctx); err != nil {
			return nodes.Result{}, err
		}
		copy(out.Index(i).Data, show(i).Data)
		ctx.Progress(float64(i+1), float64(b))
	}
	return nodes.Out(out), nil
}

// renderer returns what makes an image [H,W,3] of number i of the geometry.
func (n *DA3Render) renderer() (func(i int) *tensor.Tensor, error) {
	m := n.DA3Geometry
	shade := func(colored bool) func(x *tensor.Tensor) *tensor.Tensor {
		if colored {
			return pointmap.Colored
		}
		return pointmap.Gray
	}
	switch in := n.Output.Inputs.(type) {
	case *Shades:
		if in.ApplySkyClip && m.Sky == nil {
			return nil, nodes.Errorf("ValueError", "clipping the sky: the geometry has no sky: use a Mono or Metric model, or turn apply_sky_clip off")
		}
		color := shade(n.Output.Key == "depth_colored")
		return func(i int) *tensor.Tensor { return color(in.depth(m, i)) }, nil
	case *SkyShades:
		if m.Sky == nil {
			return nil, nodes.Errorf("ValueError", "showing the sky: the geometry has none: use a Mono or Metric model")
		}
		color := shade(in.Colored)
		return func(i int) *tensor.Tensor { return color(m.Sky.Index(i)) }, nil
	case *ConfidenceShades:
		if m.Confidence == nil {
			return nil, nodes.Errorf("ValueError", "showing the confidence: the geometry has none: use a Small or Base model")
		}
		color := shade(in.Colored)
		return func(i int) *tensor.Tensor { return color(depthmap.Scaled(m.Confidence.Index(i))) }, nil
	}
	return nil, nodes.Errorf("ValueError", "showing geometry: the output %q is unknown", n.Output.Key)
}

// depth is the depth of image i as it is shown.
func (in *Shades) depth(m *depthmap.Map, i int) *tensor.Tensor {
	depth, sky := m.Depth.Index(i), (*tensor.Tensor)(nil)
	if m.Sky != nil {
		sky = m.Sky.Index(i)
	}
	if in.ApplySkyClip {
		depth = depthmap.Clip(depth, sky)
	}
	switch in.Normalization {
	case "raw":
		return depth
	case "min_max":
		return depthmap.Stretch(depth)
	}
	return depthmap.Spread(depth, sky)
}
