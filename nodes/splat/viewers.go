package splat

import (
	"comfygo/internal/geometry"
	"comfygo/nodes"
	"comfygo/nodes/mesh"
)

func init() {
	nodes.Register(&SaveGaussianSplat{})
	nodes.Register(&SavePointCloud{})
	nodes.Register(&PreviewGaussianSplat{})
	nodes.Register(&PreviewPointCloud{})
}

// Types of files that the viewers take, and of the outputs.
const (
	splatAny  = "FILE_3D_SPLAT_ANY"
	pointsAny = "FILE_3D_POINT_CLOUD_ANY"
)

// viewerSpec returns the common part of the Spec of all classes in this file.
func viewerSpec(name, display, module, output, description string, aliases ...string) nodes.Spec {
	return nodes.Spec{
		Name: name, DisplayName: display, Category: "3d", Module: module, V3: true,
		Outputs: []nodes.Output{
			{Type: output, Name: "model_3d"},
			{Type: "LOAD3D_MODEL_INFO", Name: "model_3d_info"},
			{Type: "LOAD3D_CAMERA", Name: "camera_info"},
			{Type: "INT", Name: "width"},
			{Type: "INT", Name: "height"},
		},
		OutputNode: true, Experimental: true, Description: description, SearchAliases: aliases, Uses: nodes.UsesNothing,
	}
}

// saved saves a file in the output folder and shows it.
func saved(ctx *nodes.Context, prefix string, v mesh.Viewer) (nodes.Result, error) {
	name, err := mesh.Saved(ctx, prefix, v.File)
	if err != nil {
		return nodes.Result{}, err
	}
	return v.Result(name), nil
}

// shown shows a file from the temp folder.
func shown(ctx *nodes.Context, prefix string, v mesh.Viewer) (nodes.Result, error) {
	name, err := mesh.Temporary(ctx, ctx.Folders.Temp(), prefix, v.File)
	if err != nil {
		return nodes.Result{}, err
	}
	return v.Result(name), nil
}

// SaveGaussianSplat saves a file of Gaussian splats and shows it.
type SaveGaussianSplat struct {
	Model3D        *geometry.File `in:"model_3d" type:"FILE_3D_SPLAT_ANY,FILE_3D_PLY,FILE_3D_SPLAT,FILE_3D_SPZ,FILE_3D_KSPLAT" tooltip:"File of Gaussian splats."`
	FilenamePrefix string         `in:"filename_prefix" default:"3d/ComfyUI"`
	ViewportState  any            `in:"viewport_state" type:"LOAD_3D"`
	Width          int            `in:"width" default:"1024" min:"1" max:"4096" step:"1"`
	Height         int            `in:"height" default:"1024" min:"1" max:"4096" step:"1"`
	Model3DInfo    any            `in:"model_3d_info" type:"LOAD3D_MODEL_INFO" optional:"true" advanced:"true"`
	CameraInfo     any            `in:"camera_info" type:"LOAD3D_CAMERA" optional:"true" advanced:"true"`
}

// Spec implements nodes.Node.
func (*SaveGaussianSplat) Spec() nodes.Spec {
	return viewerSpec("SaveGaussianSplat", "Save Splat", "comfy_extras.nodes_save_3d", splatAny, "Saves a file of Gaussian splats in the output folder and shows it.",
		"save splat", "save gaussian splat", "export gaussian", "export splat")
}

// Run implements nodes.Node.
func (n *SaveGaussianSplat) Run(ctx *nodes.Context) (nodes.Result, error) {
	return saved(ctx, n.FilenamePrefix, mesh.Viewer{File: n.Model3D, State: n.ViewportState, Info: n.Model3DInfo, Camera: n.CameraInfo, Width: n.Width, Height: n.Height})
}

// SavePointCloud saves a file of points and shows it.
type SavePointCloud struct {
	Model3D        *geometry.File `in:"model_3d" type:"FILE_3D_POINT_CLOUD_ANY,FILE_3D_PLY" tooltip:"Point cloud in a PLY file."`
	FilenamePrefix string         `in:"filename_prefix" default:"3d/ComfyUI"`
	ViewportState  any            `in:"viewport_state" type:"LOAD_3D"`
	Width          int            `in:"width" default:"1024" min:"1" max:"4096" step:"1"`
	Height         int            `in:"height" default:"1024" min:"1" max:"4096" step:"1"`
	Model3DInfo    any            `in:"model_3d_info" type:"LOAD3D_MODEL_INFO" optional:"true" advanced:"true"`
	CameraInfo     any            `in:"camera_info" type:"LOAD3D_CAMERA" optional:"true" advanced:"true"`
}

// Spec implements nodes.Node.
func (*SavePointCloud) Spec() nodes.Spec {
	return viewerSpec("SavePointCloud", "Save Point Cloud", "comfy_extras.nodes_save_3d", pointsAny, "Saves a point cloud in the output folder and shows it.",
		"save point cloud", "save pointcloud", "export point cloud")
}

// Run implements nodes.Node.
func (n *SavePointCloud) Run(ctx *nodes.Context) (nodes.Result, error) {
	return saved(ctx, n.FilenamePrefix, mesh.Viewer{File: n.Model3D, State: n.ViewportState, Info: n.Model3DInfo, Camera: n.CameraInfo, Width: n.Width, Height: n.Height})
}

// PreviewGaussianSplat shows a file of Gaussian splats.
type PreviewGaussianSplat struct {
	Model3D       *geometry.File `in:"model_3d" type:"FILE_3D_SPLAT_ANY,FILE_3D_PLY,FILE_3D_SPLAT,FILE_3D_SPZ,FILE_3D_KSPLAT" tooltip:"File of Gaussian splats."`
	ViewportState any            `in:"viewport_state" type:"LOAD_3D"`
	Width         int            `in:"width" default:"1024" min:"1" max:"4096" step:"1"`
	Height        int            `in:"height" default:"1024" min:"1" max:"4096" step:"1"`
	Model3DInfo   any            `in:"model_3d_info" type:"LOAD3D_MODEL_INFO" optional:"true" advanced:"true"`
	CameraInfo    any            `in:"camera_info" type:"LOAD3D_CAMERA" optional:"true" advanced:"true"`
}

// Spec implements nodes.Node.
func (*PreviewGaussianSplat) Spec() nodes.Spec {
	return viewerSpec("PreviewGaussianSplat", "Preview Splat", "comfy_extras.nodes_load_3d", splatAny, "Shows a file of Gaussian splats from the temp folder.",
		"view splat", "view gaussian", "view gaussian splat", "preview gaussian", "preview gaussian splat", "view 3dgs", "preview 3dgs", "preview ply", "preview spz", "preview splat", "preview ksplat")
}

// Run implements nodes.Node.
func (n *PreviewGaussianSplat) Run(ctx *nodes.Context) (nodes.Result, error) {
	return shown(ctx, "preview_splat_", mesh.Viewer{File: n.Model3D, State: n.ViewportState, Info: n.Model3DInfo, Camera: n.CameraInfo, Width: n.Width, Height: n.Height})
}

// PreviewPointCloud shows a file of points.
type PreviewPointCloud struct {
	Model3D       *geometry.File `in:"model_3d" type:"FILE_3D_POINT_CLOUD_ANY,FILE_3D_PLY" tooltip:"Point cloud in a PLY file."`
	ViewportState any            `in:"viewport_state" type:"LOAD_3D"`
	Width         int            `in:"width" default:"1024" min:"1" max:"4096" step:"1"`
	Height        int            `in:"height" default:"1024" min:"1" max:"4096" step:"1"`
	Model3DInfo   any            `in:"model_3d_info" type:"LOAD3D_MODEL_INFO" optional:"true" advanced:"true"`
	CameraInfo    any            `in:"camera_info" type:"LOAD3D_CAMERA" optional:"true" advanced:"true"`
}

// Spec implements nodes.Node.
func (*PreviewPointCloud) Spec() nodes.Spec {
	return viewerSpec("PreviewPointCloud", "Preview Point Cloud", "comfy_extras.nodes_load_3d", pointsAny, "Shows a point cloud from the temp folder.",
		"view point cloud", "view pointcloud", "preview point cloud", "preview pointcloud", "preview ply")
}

// Run implements nodes.Node.
func (n *PreviewPointCloud) Run(ctx *nodes.Context) (nodes.Result, error) {
	return shown(ctx, "preview_pointcloud_", mesh.Viewer{File: n.Model3D, State: n.ViewportState, Info: n.Model3DInfo, Camera: n.CameraInfo, Width: n.Width, Height: n.Height})
}
