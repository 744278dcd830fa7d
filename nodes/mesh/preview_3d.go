package mesh

import (
	"io"

	"comfygo/engine/tensor"
	"comfygo/internal/geometry"
	"comfygo/internal/imaging"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&Preview3D{})
	nodes.Register(&Preview3DAdvanced{})
}

// Preview3D shows a 3D file.
type Preview3D struct {
	ModelFile  any            `in:"model_file" type:"STRING,FILE_3D_GLB,FILE_3D_GLTF,FILE_3D_FBX,FILE_3D_OBJ,FILE_3D_STL,FILE_3D_USDZ,FILE_3D" default:"\"\"" widgetType:"STRING" multiline:"false" tooltip:"3D file, or the path of one in the output folder."`
	CameraInfo any            `in:"camera_info" type:"LOAD3D_CAMERA" optional:"true" advanced:"true"`
	BgImage    *tensor.Tensor `in:"bg_image" type:"IMAGE" optional:"true" advanced:"true" tooltip:"Image behind the model."`
}

// Spec implements nodes.Node.
func (*Preview3D) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "Preview3D", DisplayName: "Preview 3D & Animation", Category: "3d",
		Module: "comfy_extras.nodes_load_3d", V3: true,
		OutputNode: true, Experimental: true,
		Description:   "Shows a 3D file.",
		SearchAliases: []string{"view mesh", "3d viewer"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *Preview3D) Run(ctx *nodes.Context) (nodes.Result, error) {
	name, ok := n.ModelFile.(string)
	if !ok {
		f, isFile := n.ModelFile.(*geometry.File)
		if !isFile {
			return nodes.Result{}, nodes.Errorf("TypeError", "reading the input model_file: want a 3D file or a path, have %s", pyjson.TypeName(n.ModelFile))
		}
		var err error
		// The viewer looks into the output folder, as upstream's does.
		if name, err = Temporary(ctx, ctx.Folders.Output(), "preview3d_", f); err != nil {
			return nodes.Result{}, err
		}
	}
	background, err := n.background(ctx)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.WithUI("result", []any{name, n.CameraInfo, background}), nil
}

// background saves the first image in the temp folder and returns its path, or nil.
func (n *Preview3D) background(ctx *nodes.Context) (any, error) {
	if n.BgImage == nil {
		return nil, nil
	}
	if err := checkImage("bg_image", n.BgImage); err != nil {
		return nil, err
	}
	h, w, c := n.BgImage.Shape[1], n.BgImage.Shape[2], n.BgImage.Shape[3]
	if c != 3 && c != 4 && c != 1 {
		return nil, nodes.Errorf("TypeError", "reading the input bg_image: it has %d channels, want 1, 3 or 4", c)
	}
	name := "bg_" + randomName() + ".png"
	pix := imaging.ToBytes(n.BgImage.Index(0).Data)
	err := writeNew(ctx, ctx.Folders.Temp(), name, func(to io.Writer) error {
		return imaging.WritePNG(to, pix, w, h, c, imaging.PNGOptions{Level: 1})
	})
	return "temp/" + name, err
}

// Preview3DAdvanced shows a 3D file with a camera that other nodes can use.
type Preview3DAdvanced struct {
	Model3D       *geometry.File `in:"model_3d" type:"FILE_3D_GLB,FILE_3D_GLTF,FILE_3D_FBX,FILE_3D_OBJ,FILE_3D_STL,FILE_3D_USDZ,FILE_3D" tooltip:"3D file to show."`
	ViewportState any            `in:"viewport_state" type:"LOAD_3D"`
	Width         int            `in:"width" default:"1024" min:"1" max:"4096" step:"1"`
	Height        int            `in:"height" default:"1024" min:"1" max:"4096" step:"1"`
	Model3DInfo   any            `in:"model_3d_info" type:"LOAD3D_MODEL_INFO" optional:"true" advanced:"true"`
	CameraInfo    any            `in:"camera_info" type:"LOAD3D_CAMERA" optional:"true" advanced:"true"`
}

// Spec implements nodes.Node.
func (*Preview3DAdvanced) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "Preview3DAdvanced", DisplayName: "Preview 3D (Advanced)", Category: "3d",
		Module: "comfy_extras.nodes_load_3d", V3: true,
		Outputs: viewerOutputs(), OutputNode: true, Experimental: true,
		Description:   "Shows a 3D file from the temp folder with a camera that other nodes can use.",
		SearchAliases: []string{"preview 3d", "3d viewer", "view mesh", "frame 3d", "3d camera output"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *Preview3DAdvanced) Run(ctx *nodes.Context) (nodes.Result, error) {
	name, err := Temporary(ctx, ctx.Folders.Temp(), "preview3d_advanced_", n.Model3D)
	if err != nil {
		return nodes.Result{}, err
	}
	return Viewer{n.Model3D, n.ViewportState, n.Model3DInfo, n.CameraInfo, n.Width, n.Height}.Result(name), nil
}
