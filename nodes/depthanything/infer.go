package depthanything

import (
	"context"

	"comfygo/engine"
	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/internal/geometry/depthmap"
	"comfygo/nodes"
)

func init() { nodes.Register(&DA3Inference{}) }

// Scene are the inputs of views of one scene.
type Scene struct {
	RefViewStrategy string `in:"ref_view_strategy" options:"saddle_balanced|saddle_sim_range|first|middle" default:"saddle_balanced" tooltip:"View that the others are placed by, of three and more. saddle_balanced: the most average one. saddle_sim_range: the one whose likeness to the others differs most. first, middle: by its number."`
	PoseMethod      string `in:"pose_method" options:"cam_dec|ray_pose" default:"cam_dec" tooltip:"How cameras are found. cam_dec: by a decoder that was trained for it. ray_pose: from the rays of the pixels."`
}

// DA3Inference finds the depth of images.
type DA3Inference struct {
	DA3Model     *engine.DepthModel `in:"da3_model" type:"DA3_MODEL" tooltip:"Model of LoadDA3Model."`
	Image        *tensor.Tensor     `in:"image" type:"IMAGE"`
	Resolution   int                `in:"resolution" default:"504" min:"140" max:"2520" step:"14" tooltip:"Pixels that the model sees along a side of the image. More show more detail and take more time and memory. The result has the size of the image."`
	ResizeMethod string             `in:"resize_method" options:"upper_bound_resize|lower_bound_resize" default:"upper_bound_resize" tooltip:"Which side has that resolution. upper_bound_resize: the longer one. lower_bound_resize: the shorter one, which takes more memory."`
	Mode         nodes.Choice       `in:"mode" tooltip:"mono: each image for itself. multiview: all images are views of one scene, whose cameras are found too (Small and Base models)."`
}

// DynamicOptions implements nodes.Dynamic.
func (*DA3Inference) DynamicOptions(string) []nodes.Option {
	return []nodes.Option{{Key: "mono"}, {Key: "multiview", Inputs: &Scene{}}}
}

// Spec implements nodes.Node.
func (*DA3Inference) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "DA3Inference", DisplayName: "Run Depth Anything 3", Category: category, Module: module, V3: true,
		Description:   "Finds the depth of images with Depth Anything 3, and the cameras of several views of a scene.",
		SearchAliases: []string{"depth", "geometry", "da3", "depth anything", "monocular", "pointmap", "sky", "3d", "metric depth", "disparity"},
		Outputs:       []nodes.Output{{Type: typeGeometry, Name: "da3_geometry", Tooltip: "Depth and image; sky (Mono and Metric models), confidence (Small and Base models), cameras (multiview)."}},
		Uses:          nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *DA3Inference) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.DA3Model == nil {
		return nodes.Result{}, nodes.Errorf("AttributeError", "reading the input da3_model: there is no model: connect LoadDA3Model")
	}
	x := n.Image
	const axes, rgb, perPixel = 4, 3, 12
	if x == nil || len(x.Shape) != axes || x.Dim(3) != rgb || x.Len() == 0 || x.Len() != len(x.Data) {
		return nodes.Result{}, nodes.Errorf("AssertionError", "reading the input image: it is not an image batch [B,H,W,3] with at least one pixel")
	}
	call := family.DepthCall{Resolution: n.Resolution, Shorter: n.ResizeMethod == "lower_bound_resize"}
	if n.Mode.Key == "multiview" {
		in, ok := n.Mode.Inputs.(*Scene)
		if !ok {
			return nodes.Result{}, nodes.Errorf("ValueError", "reading the input mode: multiview has no inputs ref_view_strategy and pose_method")
		}
		if err := n.checkScene(in); err != nil {
			return nodes.Result{}, err
		}
		call.Scene, call.Anchor, call.Rays = true, in.RefViewStrategy, in.PoseMethod == "ray_pose"
	}
	if err := ctx.Reserve("the depth of images", family.Product(x.Dim(0), x.Dim(1), x.Dim(2), perPixel, 4)); err != nil {
		return nodes.Result{}, err
	}
	call.Advance = func(done int) { ctx.Progress(float64(done), float64(x.Dim(0))) }
	var err error
	if call.Images, err = planes(ctx, x); err != nil {
		return nodes.Result{}, err
	}
	maps, err := n.DA3Model.Depths(ctx, call)
	if err != nil {
		return nodes.Result{}, err
	}
	out := &depthmap.Map{Depth: maps.Depth, Image: x, Sky: maps.Sky, Confidence: maps.Confidence, Extrinsics: maps.Extrinsics, Intrinsics: maps.Intrinsics}
	if call.Scene && out.Extrinsics == nil { // a single view of a decoder
		out.Extrinsics, out.Intrinsics = identities(x.Dim(0), 4), identities(x.Dim(0), 3)
	}
	return nodes.Out(out), nil
}

// checkScene refuses models that do not find cameras in the wanted way.
func (n *DA3Inference) checkScene(in *Scene) error {
	decoder, rays := n.DA3Model.Cameras()
	switch {
	case !decoder && !rays:
		return nodes.Errorf("ValueError", "finding the cameras of views: the model finds none: use a Small or Base model, or the mode mono")
	case in.PoseMethod == "ray_pose" && !rays:
		return nodes.Errorf("ValueError", "finding the cameras of views: the model finds no rays: use the pose_method cam_dec")
	case in.PoseMethod != "ray_pose" && !decoder:
		return nodes.Errorf("ValueError", "finding the cameras of views: the model has no camera decoder: use the pose_method ray_pose")
	}
	return nil
}

// planes moves the channels of images [B,H,W,C] in front: [B,C,H,W].
func planes(ctx context.Context, images *tensor.Tensor) (*tensor.Tensor, error) {
	n, area, c := images.Dim(0), images.Dim(1)*images.Dim(2), images.Dim(3)
	out := tensor.New(n, c, images.Dim(1), images.Dim(2))
	for b := range n {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		for i := range area {
			for k := range c {
				out.Data[(b*c+k)*area+i] = images.Data[(b*area+i)*c+k]
			}
		}
	}
	return out, nil
}

// identities are n identity matrices.
func identities(n, side int) *tensor.Tensor {
	out := tensor.New(n, side, side)
	for i := range n * side {
		out.Data[i*side+i%side] = 1
	}
	return out
}
