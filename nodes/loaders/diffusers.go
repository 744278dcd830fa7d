package loaders

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"comfygo/engine"
	"comfygo/engine/dtype"
	"comfygo/nodes"
)

func init() { nodes.Register(&DiffusersLoader{}) }

// DiffusersLoader opens a model's folder as the library diffusers saves it.
type DiffusersLoader struct {
	Path string `in:"model_path" choices:"model_path"`
}

// Spec implements nodes.Node.
func (*DiffusersLoader) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "DiffusersLoader", DisplayName: "Load Diffusers Model (DEPRECATED)", Category: "model/loaders", Deprecated: true,
		Description:   "Loads a model's folder from models/diffusers: diffusion model, text encoders and VAE in files of their own, which may be split.",
		SearchAliases: []string{"load diffusers model"},
		Outputs:       nodes.Outputs("MODEL", "CLIP", "VAE"), Uses: nodes.UsesDevice,
	}
}

// indexFile marks a model's folder.
const indexFile = "model_index.json"

// Limits of the search for model folders.
const (
	maxDepth   = 8
	maxFolders = 10000
)

// Choices implements nodes.Chooser: the folders that hold a model, relative to their root.
func (*DiffusersLoader) Choices(env nodes.Env, _ string) []any {
	var out []any
	if env.Folders == nil {
		return out
	}
	for _, root := range env.Folders.Roots("diffusers") {
		for _, rel := range modelFolders(root) {
			out = append(out, rel)
		}
	}
	return out
}

// modelFolders lists the folders below root that hold a model. Links are followed, as far as they lead to no deeper than
// maxDepth.
func modelFolders(root string) []string {
	var out []string
	left := maxFolders
	var walk func(dir, rel string, depth int)
	walk = func(dir, rel string, depth int) {
		if left--; left < 0 || depth > maxDepth {
			return
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			return
		}
		if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == indexFile }) {
			out = append(out, rel)
		}
		for _, e := range entries {
			if st, err := os.Stat(filepath.Join(dir, e.Name())); err == nil && st.IsDir() {
				walk(filepath.Join(dir, e.Name()), filepath.ToSlash(filepath.Join(rel, e.Name())), depth+1)
			}
		}
	}
	walk(root, ".", 0)
	return out
}

// The names of the files in a model's folder, in the order in which they are looked for. A split file is found by its first
// part.
var (
	diffusionNames = []string{
		"diffusion_pytorch_model.fp16.safetensors", "diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.bin", "diffusion_pytorch_model.bin",
		"diffusion_pytorch_model.fp16-00001-of-*.safetensors", "diffusion_pytorch_model-00001-of-*.safetensors",
	}
	textNames = []string{
		"model.fp16.safetensors", "model.safetensors", "pytorch_model.fp16.bin", "pytorch_model.bin",
		"model.fp16-00001-of-*.safetensors", "model-00001-of-*.safetensors",
	}
)

// firstFile returns the first of some files in the folders, empty if no folder has one.
func firstFile(names []string, folders ...string) string {
	for _, dir := range folders {
		for _, name := range names {
			if found, err := filepath.Glob(filepath.Join(escaped(dir), name)); err == nil && len(found) > 0 {
				return found[0]
			}
		}
	}
	return ""
}

// escaped has a folder's name match itself in a pattern.
func escaped(dir string) string {
	var out []byte
	for _, c := range []byte(dir) {
		if c == '*' || c == '?' || c == '[' || c == '\\' && filepath.Separator != '\\' {
			out = append(out, '\\')
		}
		out = append(out, c)
	}
	return string(out)
}

// Run implements nodes.Node.
func (n *DiffusersLoader) Run(ctx *nodes.Context) (nodes.Result, error) {
	dir, err := n.folder(ctx)
	if err != nil {
		return nodes.Result{}, err
	}
	unet := firstFile(diffusionNames, filepath.Join(dir, "unet"), filepath.Join(dir, "transformer"))
	if unet == "" {
		return nodes.Result{}, nodes.Errorf("FileNotFoundError", "loading the diffusers model %s: neither unet nor transformer holds a diffusion_pytorch_model file", n.Path)
	}
	m, err := ctx.Engine.LoadModel(unet, dtype.Invalid)
	if err != nil {
		return nodes.Result{}, err
	}
	var texts []string
	for _, folder := range []string{"text_encoder", "text_encoder_2", "text_encoder_3"} {
		if path := firstFile(textNames, filepath.Join(dir, folder)); path != "" {
			texts = append(texts, path)
		}
	}
	var clip *engine.CLIP
	if len(texts) > 0 {
		if clip, err = ctx.Engine.LoadCLIP(cmp.Or(m.Scheme(), "stable_diffusion"), texts...); err != nil {
			return nodes.Result{}, err
		}
	}
	var vae *engine.VAE
	if path := firstFile(diffusionNames, filepath.Join(dir, "vae")); path != "" {
		if vae, err = ctx.Engine.LoadVAE(path); err != nil {
			return nodes.Result{}, err
		}
	}
	return nodes.Out(m, orNone(clip), orNone(vae)), nil
}

// folder finds the model's folder by the name that the list shows.
func (n *DiffusersLoader) folder(ctx *nodes.Context) (string, error) {
	roots := ctx.Folders.Roots("diffusers")
	for _, root := range roots {
		if slices.Contains(modelFolders(root), n.Path) {
			return filepath.Join(root, filepath.FromSlash(n.Path)), nil
		}
	}
	if len(roots) == 0 {
		return "", errors.New("loading a diffusers model: there is no folder models/diffusers")
	}
	return "", nodes.Errorf("ValueError", "loading a diffusers model: there is no folder %q with a %s in models/diffusers", n.Path, indexFile)
}
