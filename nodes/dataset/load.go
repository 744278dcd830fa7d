package dataset

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"comfygo/engine/tensor"
	"comfygo/folders"
	"comfygo/internal/imaging"
	"comfygo/internal/imaging/codec"
	"comfygo/internal/pystr"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&LoadImageDataSetFromFolder{})
	nodes.Register(&LoadImageTextDataSetFromFolder{})
}

// LoadImageDataSetFromFolder loads the images of a folder.
type LoadImageDataSetFromFolder struct {
	Folder string `in:"folder" choices:"folder" tooltip:"Folder to load images from."`
}

// Spec implements nodes.Node.
func (*LoadImageDataSetFromFolder) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LoadImageDataSetFromFolder", DisplayName: "Load Image (from Folder)", Category: "image",
		Module: "comfy_extras.nodes_dataset", V3: true,
		Outputs:       []nodes.Output{{Type: "IMAGE", Name: "images", List: true, Tooltip: "The images, in the order of their names."}},
		Experimental:  true,
		Description:   "Loads all images of a folder below the input folder as a list. Reads PNG, JPEG and WebP files.",
		SearchAliases: []string{"load folder", "load from folder", "load dataset", "load images", "import dataset"},
	}
}

func (*LoadImageDataSetFromFolder) Sizes(s *nodes.Sizing) nodes.Images {
	return nodes.UnknownImages()
}

// Run implements nodes.Node.
func (n *LoadImageDataSetFromFolder) Run(ctx *nodes.Context) (nodes.Result, error) {
	dir, err := inputFolder(ctx, n.Folder)
	if err != nil {
		return nodes.Result{}, err
	}
	paths, err := filesIn(dir, imageEndings)
	if err != nil {
		return nodes.Result{}, err
	}
	images, err := loadImages(ctx, paths)
	return nodes.Out(images), err
}

// Choices implements nodes.Chooser.
func (*LoadImageDataSetFromFolder) Choices(env nodes.Env, _ string) []any { return subfolders(env) }

// Fingerprint changes with the files of the folder.
func (n *LoadImageDataSetFromFolder) Fingerprint(ctx *nodes.Context) (any, error) {
	return folderState(ctx, n.Folder)
}

// LoadImageTextDataSetFromFolder loads the images of a folder with their captions.
type LoadImageTextDataSetFromFolder struct {
	Folder string `in:"folder" choices:"folder" tooltip:"Folder to load images and captions from."`
}

// Spec implements nodes.Node.
func (*LoadImageTextDataSetFromFolder) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LoadImageTextDataSetFromFolder", DisplayName: "Load Image-Text (from Folder)", Category: "image",
		Module: "comfy_extras.nodes_dataset", V3: true,
		Outputs:       []nodes.Output{{Type: "IMAGE", Name: "images", List: true, Tooltip: "The images, in the order of their names."}, {Type: "STRING", Name: "texts", List: true, Tooltip: "The captions, one an image; empty where an image has no text file."}},
		Experimental:  true,
		Description:   "Loads all images of a folder below the input folder with their captions from text files of the same names. Subfolders count as well; one whose name begins with a number and \"_\" is taken that many times. Reads PNG, JPEG and WebP files.",
		SearchAliases: []string{"load folder", "load from folder", "load dataset", "load images", "import dataset"},
	}
}

func (*LoadImageTextDataSetFromFolder) Sizes(s *nodes.Sizing) nodes.Images {
	return nodes.UnknownImages()
}

// Run implements nodes.Node.
func (n *LoadImageTextDataSetFromFolder) Run(ctx *nodes.Context) (nodes.Result, error) {
	dir, err := inputFolder(ctx, n.Folder)
	if err != nil {
		return nodes.Result{}, err
	}
	paths, err := filesBelow(dir, imageEndings)
	if err != nil {
		return nodes.Result{}, err
	}
	images, err := loadImages(ctx, paths)
	if err != nil {
		return nodes.Result{}, err
	}
	texts := make([]string, len(paths))
	for i, path := range paths {
		// Upstream replaces the ending wherever it stands in the path.
		if texts[i], err = caption(filepath.Join(filepath.Dir(path), strings.ReplaceAll(filepath.Base(path), filepath.Ext(path), ".txt"))); err != nil {
			return nodes.Result{}, err
		}
	}
	return nodes.Out(images, texts), nil
}

// Choices implements nodes.Chooser.
func (*LoadImageTextDataSetFromFolder) Choices(env nodes.Env, _ string) []any { return subfolders(env) }

// Fingerprint changes with the files of the folder.
func (n *LoadImageTextDataSetFromFolder) Fingerprint(ctx *nodes.Context) (any, error) {
	return folderState(ctx, n.Folder)
}

var imageEndings = []string{".png", ".jpg", ".jpeg", ".webp"}

// subfolders are the choices of a folder input.
func subfolders(env nodes.Env) []any {
	out := []any{}
	if env.Folders == nil {
		return out
	}
	for _, name := range env.Folders.InputSubfolders() {
		out = append(out, name)
	}
	return out
}

// inputFolder returns the path of a folder below the input folder.
func inputFolder(ctx *nodes.Context, name string) (string, error) {
	dir, err := folders.Join(ctx.Folders.Input(), name)
	if err != nil {
		return "", nodes.Errorf("ValueError", "opening the folder %q: it is outside of the input folder", name)
	}
	if err := ctx.Folders.FetchDir(ctx, dir); err != nil {
		return "", nodes.Errorf("OSError", "opening the folder %q: %w", name, err)
	}
	return dir, nil
}

func hasEnding(name string, endings []string) bool {
	return slices.ContainsFunc(endings, func(e string) bool { return strings.HasSuffix(strings.ToLower(name), e) })
}

// filesIn returns the paths of a folder's files with one of the endings, sorted by name.
func filesIn(dir string, endings []string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nodes.Errorf("FileNotFoundError", "listing the folder %s: %w", filepath.Base(dir), err)
	}
	var paths []string
	for _, e := range entries {
		if hasEnding(e.Name(), endings) {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, nil
}

// maxFiles bounds the list of a folder whose subfolders are repeated.
const maxFiles = 1 << 20

// filesBelow is filesIn with the files of subfolders; those of a subfolder "3_name" come three times.
func filesBelow(dir string, endings []string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nodes.Errorf("FileNotFoundError", "listing the folder %s: %w", filepath.Base(dir), err)
	}
	var paths []string
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if hasEnding(e.Name(), endings) {
			paths = append(paths, path)
			continue
		}
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			continue
		}
		inner, err := filesIn(path, endings)
		if err != nil {
			return nil, err
		}
		for range repeats(e.Name()) {
			if paths = append(paths, inner...); len(paths) > maxFiles {
				return nil, nodes.Errorf("ValueError", "listing the folder %s: more than %d files with all repeats", filepath.Base(dir), maxFiles)
			}
		}
	}
	return paths, nil
}

// repeats returns the number at the beginning of a folder's name, or 1 without one.
func repeats(name string) int {
	first, _, _ := strings.Cut(name, "_")
	n, err := strconv.ParseUint(first, 10, 32)
	if err != nil {
		return 1
	}
	return int(min(n, maxFiles))
}

// loadImages decodes files to one image each.
func loadImages(ctx *nodes.Context, paths []string) ([]*tensor.Tensor, error) {
	if len(paths) == 0 {
		return nil, nodes.Errorf("ValueError", "loading images: the folder has no PNG, JPEG or WebP file")
	}
	decoded := map[string]*tensor.Tensor{} // files that are taken several times are decoded once
	images := make([]*tensor.Tensor, len(paths))
	for i, path := range paths {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		if decoded[path] == nil {
			t, err := loadImage(ctx, path)
			if err != nil {
				return nil, fmt.Errorf("loading the image %s: %w", filepath.Base(path), err)
			}
			decoded[path] = t
		}
		images[i] = decoded[path]
	}
	return images, nil
}

func loadImage(ctx *nodes.Context, path string) (*tensor.Tensor, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nodes.Errorf("OSError", "%w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, nodes.Errorf("OSError", "it is not a regular file")
	}
	if err := imaging.CheckSize("a file of this size", int(info.Size()/4)); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nodes.Errorf("OSError", "%w", err)
	}
	source := imaging.Source{Data: data, Limits: codec.DefaultLimits, Budget: ctx.Memory}
	pix, w, h, err := source.OpenRGB(ctx)
	if err != nil {
		return nil, nodes.Errorf("OSError", "%w", err)
	}
	if err := imaging.CheckSize("an image", h, w, 3); err != nil {
		return nil, err
	}
	t := tensor.New(1, h, w, 3)
	imaging.FromBytes(t.Data, pix)
	return t, nil
}

// maxCaption bounds the size of a caption file.
const maxCaption = 1 << 20

// caption reads a text file without the white space around its text; for a missing file the caption is empty.
func caption(path string) (string, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err == nil && (!info.Mode().IsRegular() || info.Size() > maxCaption) {
		err = fmt.Errorf("it is not a regular file of at most %d bytes", maxCaption)
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(path)
	}
	if err != nil {
		return "", nodes.Errorf("OSError", "reading the caption %s: %w", filepath.Base(path), err)
	}
	if !utf8.Valid(data) {
		return "", nodes.Errorf("UnicodeDecodeError", "reading the caption %s: it is not UTF-8", filepath.Base(path))
	}
	text := strings.ReplaceAll(strings.ReplaceAll(string(data), "\r\n", "\n"), "\r", "\n") // as Python reads text files
	return pystr.Strip(text), nil
}

// folderState lists names, sizes and times of everything in a folder and its subfolders, one level deep.
func folderState(ctx *nodes.Context, name string) (any, error) {
	dir, err := inputFolder(ctx, name)
	if err != nil {
		return nil, err
	}
	state := []any{}
	for _, pattern := range []string{"*", filepath.Join("*", "*")} {
		paths, err := filepath.Glob(filepath.Join(globQuoted(dir), pattern))
		if err != nil {
			return nil, fmt.Errorf("listing the folder %s: %w", name, err)
		}
		for _, path := range paths {
			if info, err := os.Stat(path); err == nil {
				state = append(state, path, info.Size(), info.ModTime().UnixNano())
			}
		}
	}
	return state, nil
}

// globQuoted quotes a path so that it matches literally in a pattern.
func globQuoted(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}
