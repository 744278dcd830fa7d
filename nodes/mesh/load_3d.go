package mesh

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"comfygo/engine/tensor"
	"comfygo/internal/geometry"
	"comfygo/internal/pyjson"
	videofile "comfygo/internal/video"
	"comfygo/nodes"
	"comfygo/nodes/image"
)

func init() {
	nodes.Register(&Load3D{})
	nodes.Register(&Load3DAdvanced{})
}

// modelFolder is the subfolder of the input folder with 3D files.
const modelFolder = "3d"

// noFile is the choice for no file.
const noFile = "none"

// maxListed bounds the files of a list.
const maxListed = 100_000

var (
	meshEndings  = []string{".gltf", ".glb", ".obj", ".fbx", ".stl"}
	splatEndings = []string{".spz", ".splat", ".ply", ".ksplat"}
)

// modelFiles lists the files with one of the endings in all folders below input/3d, relative to the input folder.
func modelFiles(env nodes.Env, endings []string) []any {
	names := []string{}
	if env.Folders != nil {
		names = slices.DeleteFunc(env.Folders.InputBelow(modelFolder, maxListed), func(name string) bool {
			return !slices.Contains(endings, strings.ToLower(filepath.Ext(name)))
		})
	}
	slices.Sort(names)
	choices := []any{noFile}
	for _, n := range names {
		choices = append(choices, n)
	}
	return choices
}

// openModel returns the chosen file, or nil.
func openModel(ctx *nodes.Context, name string) (*geometry.File, error) {
	if name == "" || name == noFile {
		return nil, nil
	}
	path, err := ctx.Folders.Resolve(name)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, nodes.Errorf("FileNotFoundError", "loading the 3D file %q: %w", name, err)
	}
	if !info.Mode().IsRegular() {
		return nil, nodes.Errorf("OSError", "loading the 3D file %q: it is not a regular file", name)
	}
	return geometry.Disk(path), nil
}

// validModel refuses names that lead to no file.
func validModel(ctx *nodes.Context, name string) error {
	if _, linked := ctx.Linked("model_file"); linked || name == "" || name == noFile || ctx.Folders.Exists(name) {
		return nil
	}
	return nodes.Invalid("Invalid 3D model file: %s", name)
}

// stamp is when a file was changed, with its size.
func stamp(ctx *nodes.Context, names ...string) any {
	list := []any{}
	for _, name := range names {
		if name == "" || name == noFile {
			continue
		}
		path, err := ctx.Folders.Resolve(name)
		if err != nil {
			continue // Run tells
		}
		if info, err := os.Stat(path); err == nil {
			list = append(list, info.ModTime().UnixNano(), info.Size())
		}
	}
	return list
}

// Load3D loads a 3D file and the viewer's renderings of it.
type Load3D struct {
	ModelFile string `in:"model_file" choices:"true" file_upload:"true"`
	Image     any    `in:"image" type:"LOAD_3D"`
	Width     int    `in:"width" default:"1024" min:"1" max:"4096" step:"1"`
	Height    int    `in:"height" default:"1024" min:"1" max:"4096" step:"1"`
}

// Choices implements nodes.Chooser.
func (*Load3D) Choices(env nodes.Env, _ string) []any {
	return modelFiles(env, slices.Concat(meshEndings, splatEndings))
}

// Spec implements nodes.Node.
func (*Load3D) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "Load3D", DisplayName: "Load 3D & Animation", Category: "3d",
		Module: "comfy_extras.nodes_load_3d", V3: true,
		EssentialsCategory: "Basics",
		Outputs:            []nodes.Output{{Type: "IMAGE", Name: "image"}, {Type: "MASK", Name: "mask"}, {Type: "STRING", Name: "mesh_path"}, {Type: "IMAGE", Name: "normal"}, {Type: "LOAD3D_CAMERA", Name: "camera_info"}, {Type: "VIDEO", Name: "recording_video"}, {Type: "FILE_3D", Name: "model_3d"}, {Type: "LOAD3D_MODEL_INFO", Name: "model_3d_info"}},
		Experimental:       true,
		Validates:          []string{"model_file", "**"},
		Description:        "Loads a 3D file from input/3d with the image, mask and normals that the viewer renders.",
		Uses:               nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*Load3D) Sizes(*nodes.Sizing) nodes.Images { return nodes.UnknownImages() }

// ValidateInputs implements nodes.Validator.
func (n *Load3D) ValidateInputs(ctx *nodes.Context) error { return validModel(ctx, n.ModelFile) }

// Fingerprint is the time and size of the files: the viewer renders into new ones.
func (n *Load3D) Fingerprint(ctx *nodes.Context) (any, error) {
	names := []string{n.ModelFile}
	for _, key := range []string{"image", "mask", "normal", "recording"} {
		name, _ := member(n.Image, key, "").(string)
		names = append(names, name)
	}
	return stamp(ctx, names...), nil
}

// Run implements nodes.Node.
func (n *Load3D) Run(ctx *nodes.Context) (nodes.Result, error) {
	state, ok := n.Image.(*pyjson.Object)
	if !ok {
		return nodes.Result{}, nodes.Errorf("TypeError", "reading the input image: want what the 3D viewer sends, an object with image, mask and normal; have %s", pyjson.TypeName(n.Image))
	}
	img, _, err := rendered(ctx, state, "image")
	if err != nil {
		return nodes.Result{}, err
	}
	_, mask, err := rendered(ctx, state, "mask")
	if err != nil {
		return nodes.Result{}, err
	}
	normal, _, err := rendered(ctx, state, "normal")
	if err != nil {
		return nodes.Result{}, err
	}
	recording, err := recorded(ctx, state)
	if err != nil {
		return nodes.Result{}, err
	}
	file, err := openModel(ctx, n.ModelFile)
	if err != nil {
		return nodes.Result{}, err
	}
	camera, ok := state.Get("camera_info")
	if !ok {
		return nodes.Result{}, nodes.Errorf("KeyError", "reading the input image: camera_info is missing; open the node's 3D viewer so that it renders")
	}
	path := ""
	if file != nil {
		path = n.ModelFile
	}
	return nodes.Out(img, mask, path, normal, camera, recording, fileOrNil(file), member(state, "model_3d_info", []any{})), nil
}

// fileOrNil keeps a nil file a plain nil on its link.
func fileOrNil(f *geometry.File) any {
	if f == nil {
		return nil
	}
	return f
}

// rendered loads an image that the viewer has uploaded.
func rendered(ctx *nodes.Context, state *pyjson.Object, key string) (images, masks *tensor.Tensor, err error) {
	name := state.String(key)
	if name == "" {
		return nil, nil, nodes.Errorf("KeyError", "reading the input image: %s is missing; open the node's 3D viewer so that it renders", key)
	}
	r, err := (&image.LoadImage{Image: name}).Run(ctx)
	if err != nil {
		return nil, nil, err
	}
	images, _ = r.Values[0].(*tensor.Tensor)
	masks, _ = r.Values[1].(*tensor.Tensor)
	return images, masks, nil
}

// recorded refers to the video that the viewer has recorded, or returns nil.
func recorded(ctx *nodes.Context, state *pyjson.Object) (any, error) {
	v, ok := state.Get("recording")
	if !ok {
		return nil, nodes.Errorf("KeyError", "reading the input image: recording is missing; open the node's 3D viewer so that it renders")
	}
	name, ok := v.(string)
	if !ok {
		return nil, nodes.Errorf("TypeError", "reading the input image: recording is %s, want the name of a file", pyjson.TypeName(v))
	}
	if name == "" {
		return nil, nil
	}
	path, err := ctx.Folders.Resolve(name)
	if err != nil {
		return nil, err
	}
	return &videofile.File{Path: path}, nil
}

// Load3DAdvanced loads a 3D file with a camera.
type Load3DAdvanced struct {
	ModelFile     string `in:"model_file" choices:"true" file_upload:"true"`
	ViewportState any    `in:"viewport_state" type:"LOAD_3D"`
	Width         int    `in:"width" default:"1024" min:"1" max:"4096" step:"1"`
	Height        int    `in:"height" default:"1024" min:"1" max:"4096" step:"1"`
}

// Choices implements nodes.Chooser.
func (*Load3DAdvanced) Choices(env nodes.Env, _ string) []any { return modelFiles(env, meshEndings) }

// Spec implements nodes.Node.
func (*Load3DAdvanced) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "Load3DAdvanced", DisplayName: "Load 3D (Advanced)", Category: "3d",
		Module: "comfy_extras.nodes_load_3d", V3: true,
		Outputs:       viewerOutputs(),
		Experimental:  true,
		Validates:     []string{"model_file", "**"},
		Description:   "Loads a 3D file from input/3d with the viewer's camera.",
		SearchAliases: []string{"load mesh", "load gltf", "load glb", "load obj", "load fbx", "load stl"},
		Uses:          nodes.UsesNothing,
	}
}

// ValidateInputs implements nodes.Validator.
func (n *Load3DAdvanced) ValidateInputs(ctx *nodes.Context) error {
	return validModel(ctx, n.ModelFile)
}

// Fingerprint is the time and size of the file.
func (n *Load3DAdvanced) Fingerprint(ctx *nodes.Context) (any, error) {
	return stamp(ctx, n.ModelFile), nil
}

// Run implements nodes.Node.
func (n *Load3DAdvanced) Run(ctx *nodes.Context) (nodes.Result, error) {
	file, err := openModel(ctx, n.ModelFile)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(fileOrNil(file), member(n.ViewportState, "model_3d_info", []any{}), member(n.ViewportState, "camera_info", nil), int64(n.Width), int64(n.Height)), nil
}

var (
	_ nodes.Validator     = (*Load3D)(nil)
	_ nodes.Fingerprinter = (*Load3D)(nil)
	_ nodes.Validator     = (*Load3DAdvanced)(nil)
	_ nodes.Fingerprinter = (*Load3DAdvanced)(nil)
)
