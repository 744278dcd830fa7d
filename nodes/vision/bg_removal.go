package vision

import (
	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&LoadBackgroundRemovalModel{})
	nodes.Register(&RemoveBackground{})
}

const moduleBackground = "comfy_extras.nodes_bg_removal"

// LoadBackgroundRemovalModel loads a background removal model.
type LoadBackgroundRemovalModel struct {
	BgRemovalName string `in:"bg_removal_name" files:"background_removal" tooltip:"BiRefNet model from the folder background_removal."`
}

// Spec implements nodes.Node.
func (*LoadBackgroundRemovalModel) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LoadBackgroundRemovalModel", DisplayName: "Load Background Removal Model", Category: "model/loaders", Module: moduleBackground, V3: true,
		Outputs: []nodes.Output{{Type: "BACKGROUND_REMOVAL", Name: "bg_model"}}, Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *LoadBackgroundRemovalModel) Run(ctx *nodes.Context) (nodes.Result, error) {
	const folder = "background_removal"
	path, ok := ctx.Folders.Find(folder, n.BgRemovalName)
	if !ok {
		return nodes.Result{}, nodes.Errorf("FileNotFoundError", "loading the background removal model: there is no file %q in the folder %s", n.BgRemovalName, folder)
	}
	m, err := ctx.Engine.LoadBackgroundRemover(path)
	if err != nil {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "%w", err)
	}
	return nodes.Out(m), nil
}

// RemoveBackground finds the foreground of images.
type RemoveBackground struct {
	BgRemovalModel *engine.BackgroundRemover `in:"bg_removal_model" type:"BACKGROUND_REMOVAL" tooltip:"Model of LoadBackgroundRemovalModel."`
	Image          *tensor.Tensor            `in:"image" type:"IMAGE" tooltip:"Images whose foreground is found."`
}

// Spec implements nodes.Node.
func (*RemoveBackground) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "RemoveBackground", DisplayName: "Remove Background", Category: "image/background removal", Module: moduleBackground, V3: true,
		Description: "Finds the foreground of images with a background removal model and gives it as a mask.",
		Outputs:     []nodes.Output{{Type: "MASK", Name: "mask", Tooltip: "Mask of the foreground."}},
		Uses:        nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*RemoveBackground) Sizes(s *nodes.Sizing) nodes.Images { return s.Kept() }

// Run implements nodes.Node.
func (n *RemoveBackground) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.BgRemovalModel == nil {
		return nodes.Result{}, nodes.Errorf("AttributeError", "reading the input bg_removal_model: there is no model: connect LoadBackgroundRemovalModel")
	}
	if err := checkImages(n.Image); err != nil {
		return nodes.Result{}, err
	}
	total := float64(n.Image.Dim(0))
	mask, err := n.BgRemovalModel.Mask(ctx, n.Image, func(done int) { ctx.Progress(float64(done), total) })
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(mask), nil
}
