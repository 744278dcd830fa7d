package video

import (
	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&FrameInterpolationModelLoader{})
	nodes.Register(&FrameInterpolate{})
}

// FrameInterpolationModelLoader loads a model that makes frames between those of a video.
type FrameInterpolationModelLoader struct {
	ModelName string `in:"model_name" files:"frame_interpolation" tooltip:"RIFE or FILM model from the folder frame_interpolation."`
}

// Spec implements nodes.Node.
func (*FrameInterpolationModelLoader) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "FrameInterpolationModelLoader", DisplayName: "Load Frame Interpolation Model", Category: "model/loaders",
		Module: "comfy_extras.nodes_frame_interpolation", V3: true,
		Outputs: nodes.Outputs("INTERP_MODEL"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *FrameInterpolationModelLoader) Run(ctx *nodes.Context) (nodes.Result, error) {
	const folder = "frame_interpolation"
	path, ok := ctx.Folders.Find(folder, n.ModelName)
	if !ok {
		return nodes.Result{}, nodes.Errorf("FileNotFoundError", "loading the frame interpolation model: there is no file %q in the folder %s", n.ModelName, folder)
	}
	m, err := ctx.Engine.LoadInterpolator(path)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(m), nil
}

// FrameInterpolate makes frames between those of a video.
type FrameInterpolate struct {
	InterpModel *engine.Interpolator `in:"interp_model" type:"INTERP_MODEL"`
	Images      *tensor.Tensor       `in:"images" type:"IMAGE"`
	Multiplier  int                  `in:"multiplier" default:"2" min:"2" max:"16"`
}

// Spec implements nodes.Node.
func (*FrameInterpolate) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "FrameInterpolate", DisplayName: "Run Frame Interpolation Model", Category: "video",
		Module: "comfy_extras.nodes_frame_interpolation", V3: true,
		SearchAliases: []string{"rife", "film", "frame interpolation", "slow motion", "interpolate frames", "vfi"},
		Outputs:       nodes.Outputs("IMAGE"), Uses: nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*FrameInterpolate) Sizes(s *nodes.Sizing) nodes.Images { return s.RepeatedBy("multiplier") }

// Run implements nodes.Node. Progress is in frames that are made.
func (n *FrameInterpolate) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.InterpModel == nil {
		return nodes.Result{}, nodes.Errorf("AttributeError", "interpolating frames: there is no model: connect FrameInterpolationModelLoader to interp_model")
	}
	if n.Images == nil || len(n.Images.Shape) != 4 {
		return nodes.Result{}, nodes.Errorf("ValueError", "reading the input images: it is not an image [batch, height, width, channels]")
	}
	if err := imaging.CheckSize("the interpolated frames", max(n.Images.Dim(0)-1, 0)*n.Multiplier+1, n.Images.Dim(1), n.Images.Dim(2), n.Images.Dim(3)); err != nil {
		return nodes.Result{}, err
	}
	out, err := n.InterpModel.Interpolate(ctx, n.Images, n.Multiplier, func(done, all int) { ctx.Progress(float64(done), float64(all)) })
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(out), nil
}
