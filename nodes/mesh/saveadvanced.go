package mesh

import (
	"comfygo/internal/geometry"
	"comfygo/nodes"
)

func init() { nodes.Register(&Save3DAdvanced{}) }

// Save3DAdvanced saves a 3D file and shows it.
type Save3DAdvanced struct {
	Model3D        *geometry.File `in:"model_3d" type:"FILE_3D_GLB,FILE_3D_GLTF,FILE_3D_FBX,FILE_3D_OBJ,FILE_3D_STL,FILE_3D_USDZ,FILE_3D" tooltip:"3D file to save."`
	FilenamePrefix string         `in:"filename_prefix" default:"3d/ComfyUI"`
	ViewportState  any            `in:"viewport_state" type:"LOAD_3D"`
	Width          int            `in:"width" default:"1024" min:"1" max:"4096" step:"1"`
	Height         int            `in:"height" default:"1024" min:"1" max:"4096" step:"1"`
	Model3DInfo    any            `in:"model_3d_info" type:"LOAD3D_MODEL_INFO" optional:"true" advanced:"true"`
	CameraInfo     any            `in:"camera_info" type:"LOAD3D_CAMERA" optional:"true" advanced:"true"`
}

// viewerOutputs are the outputs of classes with the advanced viewer.
func viewerOutputs() []nodes.Output {
	return []nodes.Output{{Type: "FILE_3D", Name: "model_3d"}, {Type: "LOAD3D_MODEL_INFO", Name: "model_3d_info"}, {Type: "LOAD3D_CAMERA", Name: "camera_info"}, {Type: "INT", Name: "width"}, {Type: "INT", Name: "height"}}
}

// Spec implements nodes.Node.
func (*Save3DAdvanced) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "Save3DAdvanced", DisplayName: "Save 3D (Advanced)", Category: "3d",
		Module: "comfy_extras.nodes_save_3d", V3: true,
		Outputs: viewerOutputs(), OutputNode: true, Experimental: true,
		Description:   "Saves a 3D file in the output folder and shows it with a camera that other nodes can use.",
		SearchAliases: []string{"save 3d", "export 3d model", "save mesh advanced"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *Save3DAdvanced) Run(ctx *nodes.Context) (nodes.Result, error) {
	name, err := Saved(ctx, n.FilenamePrefix, n.Model3D)
	if err != nil {
		return nodes.Result{}, err
	}
	return Viewer{n.Model3D, n.ViewportState, n.Model3DInfo, n.CameraInfo, n.Width, n.Height}.Result(name), nil
}
