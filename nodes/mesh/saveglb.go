package mesh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"comfygo/engine/tensor"
	"comfygo/folders"
	"comfygo/internal/geometry"
	"comfygo/internal/geometry/glb"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&SaveGLB{})
	nodes.Register(&MeshToFile3D{})
}

// SaveGLB saves meshes as GLB files, or a 3D file as it is.
type SaveGLB struct {
	Mesh           any    `in:"mesh" type:"MESH,FILE_3D_GLB,FILE_3D_GLTF,FILE_3D_OBJ,FILE_3D_FBX,FILE_3D_STL,FILE_3D_USDZ,FILE_3D_PLY,FILE_3D_SPLAT,FILE_3D_SPZ,FILE_3D_KSPLAT,FILE_3D_SPLAT_ANY,FILE_3D_POINT_CLOUD_ANY,FILE_3D" tooltip:"Mesh, or 3D file of any format."`
	FilenamePrefix string `in:"filename_prefix" default:"3d/ComfyUI" tooltip:"Start of the file name; it may hold subfolders."`
	Prompt         any    `in:"prompt" hidden:"PROMPT"`
	ExtraPNGInfo   any    `in:"extra_pnginfo" hidden:"EXTRA_PNGINFO"`
}

// Spec implements nodes.Node.
func (*SaveGLB) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SaveGLB", DisplayName: "Save 3D Model", Category: "3d",
		Module: "comfy_extras.nodes_save_3d", V3: true,
		EssentialsCategory: "Basics", OutputNode: true,
		Description:   "Saves meshes as GLB files in the output folder; a 3D file is saved in its own format.",
		SearchAliases: []string{"export 3d model", "save mesh"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *SaveGLB) Run(ctx *nodes.Context) (nodes.Result, error) {
	var files []any
	var err error
	switch v := n.Mesh.(type) {
	case *geometry.File:
		files, err = n.saveFile(ctx, v)
	case *geometry.Mesh:
		files, err = n.saveMesh(ctx, v)
	default:
		return nodes.Result{}, nodes.Errorf("TypeError", "reading the input mesh: want a mesh or a 3D file, have %s", pyjson.TypeName(n.Mesh))
	}
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.WithUI("3d", files), nil
}

func (n *SaveGLB) saveFile(ctx *nodes.Context, f *geometry.File) ([]any, error) {
	to, err := savePath(ctx, n.FilenamePrefix)
	if err != nil {
		return nil, err
	}
	name, err := writeFile(ctx, &to, f)
	if err != nil {
		return nil, err
	}
	return []any{fileEntry(name, to)}, nil
}

func (n *SaveGLB) saveMesh(ctx *nodes.Context, m *geometry.Mesh) ([]any, error) {
	if err := check("mesh", m); err != nil {
		return nil, err
	}
	if err := checkTextures(m); err != nil {
		return nil, err
	}
	extras, err := metadata(ctx)
	if err != nil {
		return nil, err
	}
	to, err := savePath(ctx, n.FilenamePrefix)
	if err != nil {
		return nil, err
	}
	files, written := []any{}, 0
	for i := range m.Items {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		if m.Items[i].VertexCount() == 0 || m.Items[i].FaceCount() == 0 {
			ctx.Warn(fmt.Sprintf("item %d of the mesh batch has no faces and was not saved", i))
			continue
		}
		name, err := to.Write(written, ".glb", func(w io.Writer) error { return glb.Write(ctx, w, m, i, extras) })
		if err != nil {
			return nil, nodes.Errorf("OSError", "%w", err)
		}
		files = append(files, fileEntry(name, to))
		written++
	}
	return files, nil
}

// checkTextures refuses batches with fewer textures than meshes before the first file is written.
func checkTextures(m *geometry.Mesh) error {
	for _, t := range []*tensor.Tensor{m.Texture, m.MetallicRoughness, m.NormalMap, m.Emissive} {
		if t != nil && len(t.Shape) > 0 && t.Shape[0] < len(m.Items) {
			return nodes.Errorf("IndexError", "saving a mesh: the batch has %d meshes and %d textures, want one for each", len(m.Items), t.Shape[0])
		}
	}
	return nil
}

// metadata returns the values that the client wants stored, as JSON texts.
func metadata(ctx *nodes.Context) (*pyjson.Object, error) {
	texts, err := ctx.FileText()
	if err != nil {
		return nil, err
	}
	o := pyjson.NewObject()
	for _, t := range texts {
		o.Set(t.Key, t.Value)
	}
	return o, nil
}

// savePath chooses folder and number for files in the output folder.
func savePath(ctx *nodes.Context, prefix string) (folders.SavePath, error) {
	to, err := ctx.Folders.SavePath(prefix, ctx.Folders.Output(), 0, 0)
	if errors.Is(err, folders.ErrOutside) {
		return to, nodes.Errorf("Exception", "saving a 3D file: the prefix %q leads out of the output folder", prefix)
	}
	return to, err
}

func fileEntry(name string, to folders.SavePath) *pyjson.Object {
	return pyjson.NewObject("filename", name, "subfolder", to.Subfolder, "type", "output")
}

// writeFile copies a 3D file to the next free number and returns its name.
func writeFile(ctx *nodes.Context, to *folders.SavePath, f *geometry.File) (string, error) {
	ext, err := extension(f, "glb")
	if err != nil {
		return "", err
	}
	name, err := to.Write(0, ext, func(w io.Writer) error { return copyFile(ctx, w, f) })
	if err != nil {
		return "", nodes.Errorf("OSError", "%w", err)
	}
	return name, nil
}

// maxExtension bounds the name of a format.
const maxExtension = 16

// extension is the ending of files of f's format, with the dot. The format may come from a file's name or a broken pack.
func extension(f *geometry.File, fallback string) (string, error) {
	if f == nil {
		return "", nodes.Errorf("ValueError", "reading the input: there is no 3D file; choose a model in the node that loads it")
	}
	format := f.Format()
	if format == "" {
		format = fallback
	}
	for _, r := range format {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') || len(format) > maxExtension {
			return "", nodes.Errorf("ValueError", "reading the 3D file: its format %q is not a name of letters and digits", format)
		}
	}
	return "." + format, nil
}

// copyFile writes the content of f; an interrupt ends it.
func copyFile(ctx context.Context, w io.Writer, f *geometry.File) error {
	r, err := f.Open()
	if err != nil {
		return err
	}
	_, err = io.Copy(w, interruptible{ctx, r})
	return errors.Join(err, r.Close())
}

// interruptible is a reader that ends with its context.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (r interruptible) Read(p []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// MeshToFile3D makes a GLB file in memory.
type MeshToFile3D struct {
	Mesh *geometry.Mesh `in:"mesh" type:"MESH"`
}

// Spec implements nodes.Node.
func (*MeshToFile3D) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "MeshToFile3D", DisplayName: "Create 3D File (from Mesh)", Category: "3d",
		Module: "comfy_extras.nodes_save_3d", V3: true,
		Outputs:       []nodes.Output{{Type: "FILE_3D_GLB", Name: "model_3d"}},
		Description:   "Writes a mesh as a GLB file that stays in memory, with its vertex attributes, textures and material. Of a batch the first item is used.",
		SearchAliases: []string{"mesh to glb", "mesh to file", "export mesh"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *MeshToFile3D) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := check("mesh", n.Mesh); err != nil {
		return nodes.Result{}, err
	}
	if len(n.Mesh.Items) > 1 {
		ctx.Warn(fmt.Sprintf("a 3D file holds one mesh: the first of %d was used", len(n.Mesh.Items)))
	}
	if n.Mesh.Items[0].VertexCount() == 0 || n.Mesh.Items[0].FaceCount() == 0 {
		return nodes.Result{}, nodes.Errorf("ValueError", "writing a 3D file: the mesh has no vertices or no faces")
	}
	if err := ctx.Reserve("a GLB file", n.Mesh.MemoryBytes()); err != nil {
		return nodes.Result{}, err
	}
	var b bytes.Buffer
	if err := glb.Write(ctx, &b, n.Mesh, 0, nil); err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(geometry.Memory(b.Bytes(), "glb")), nil
}
