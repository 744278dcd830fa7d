package mesh

import (
	"crypto/rand"
	"encoding/hex"
	"io"
	"path/filepath"

	"comfygo/folders"
	"comfygo/internal/geometry"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// Viewer are the inputs and outputs that all classes with the front end's advanced 3D viewer share.
type Viewer struct {
	File  *geometry.File
	State any // LOAD_3D: what the viewer has sent
	// Info and Camera came over links; nil means the viewer's own.
	Info, Camera  any
	Width, Height int
}

// Result returns the outputs, and the viewer's values for the file with the given name.
func (v Viewer) Result(name string) nodes.Result {
	info, camera := v.Info, v.Camera
	if camera == nil {
		camera = member(v.State, "camera_info", nil)
	}
	if info == nil {
		info = member(v.State, "model_3d_info", []any{})
	}
	return nodes.Out(v.File, info, camera, int64(v.Width), int64(v.Height)).AddUI("result", []any{name, camera, info})
}

// member returns a member of an object from a viewer, which is untrusted.
func member(state any, key string, missing any) any {
	o, ok := state.(*pyjson.Object)
	if !ok {
		return missing
	}
	if v, ok := o.Get(key); ok {
		return v
	}
	return missing
}

// Temporary copies a 3D file under a new name into a folder (Temp or Output of the context's folders), for a viewer.
func Temporary(ctx *nodes.Context, dir, prefix string, f *geometry.File) (name string, err error) {
	ext, err := extension(f, "")
	if err != nil {
		return "", err
	}
	name = prefix + randomName() + ext
	return name, writeNew(ctx, dir, name, func(w io.Writer) error { return copyFile(ctx, w, f) })
}

func randomName() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}

func writeNew(ctx *nodes.Context, dir, name string, write func(io.Writer) error) error {
	d, err := folders.MakeDir(dir, dir)
	if err != nil {
		return nodes.Errorf("OSError", "%w", err)
	}
	err = d.WriteNew(name, write)
	if closing := d.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = ctx.Folders.Keep(ctx, filepath.Join(dir, name))
	}
	if err != nil {
		return nodes.Errorf("OSError", "%w", err)
	}
	return nil
}

// Saved saves a 3D file in the output folder under a prefix and returns its name with the subfolder.
func Saved(ctx *nodes.Context, prefix string, f *geometry.File) (string, error) {
	to, err := savePath(ctx, prefix)
	if err != nil {
		return "", err
	}
	to.Bare = true
	name, err := writeFile(ctx, &to, f)
	if err != nil {
		return "", err
	}
	if to.Subfolder != "" {
		name = to.Subfolder + "/" + name
	}
	return name, nil
}
