package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"

	"comfygo/engine/tensor"
	"comfygo/folders"
	"comfygo/internal/imaging"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&SaveImage{})
	nodes.Register(&PreviewImage{})
}

// SaveImage writes images into the output folder as PNG files that carry the prompt and the workflow.
type SaveImage struct {
	Images       *tensor.Tensor `in:"images" type:"IMAGE" tooltip:"What to save."`
	Prefix       string         `in:"filename_prefix" default:"ComfyUI" tooltip:"How the names of the files begin. It may hold subfolders, %width%, %height%, %year%, %month%, %day%, %hour%, %minute%, %second% and, filled in by the page, %date:yyyy-MM-dd% or %Node name.input%."`
	Prompt       any            `in:"prompt" hidden:"PROMPT"`
	ExtraPNGInfo any            `in:"extra_pnginfo" hidden:"EXTRA_PNGINFO"`
}

// Spec implements nodes.Node.
func (*SaveImage) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SaveImage", DisplayName: "Save Image", Category: "image", EssentialsCategory: "Basics",
		Description:   "Writes images to the output folder.",
		SearchAliases: []string{"save", "save image", "export image", "output image", "write image", "download"},
		Outputs:       []nodes.Output{{Type: "IMAGE", Name: "images"}}, OutputNode: true,
		Uses: nodes.UsesNothing,
	}
}

func (*SaveImage) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node.
func (n *SaveImage) Run(ctx *nodes.Context) (nodes.Result, error) {
	const level = 4
	text, err := pngText(ctx)
	if err != nil {
		return nodes.Result{}, err
	}
	files, err := savePNGs(ctx, n.Images, n.Prefix, "output", imaging.PNGOptions{Level: level, Text: text})
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(n.Images).AddUI("images", files), nil
}

// PreviewImage writes images into the temp folder.
type PreviewImage struct {
	Images       *tensor.Tensor `in:"images" type:"IMAGE"`
	Prompt       any            `in:"prompt" hidden:"PROMPT"`
	ExtraPNGInfo any            `in:"extra_pnginfo" hidden:"EXTRA_PNGINFO"`
}

// Spec implements nodes.Node.
func (*PreviewImage) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "PreviewImage", DisplayName: "Preview Image", Category: "image", EssentialsCategory: "Basics",
		Description:   "Shows images; they go to the temp folder and are gone after a restart.",
		SearchAliases: []string{"preview", "preview image", "show image", "view image", "display image", "image viewer"},
		Outputs:       []nodes.Output{{Type: "IMAGE", Name: "images"}}, OutputNode: true,
		Uses: nodes.UsesNothing,
	}
}

func (*PreviewImage) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node.
func (n *PreviewImage) Run(ctx *nodes.Context) (nodes.Result, error) {
	text, err := pngText(ctx)
	if err != nil {
		return nodes.Result{}, err
	}
	suffix, _ := ctx.State(func() any { return randomLetters() }).(string)
	files, err := Preview(ctx, n.Images, suffix, text)
	if err != nil {
		return nodes.Result{}, fmt.Errorf("saving previews: %w", err)
	}
	return nodes.Out(n.Images).AddUI("images", files), nil
}

// Preview saves images in the temp folder and returns the entries for the client. Random letters as the suffix of the
// names keep browsers from showing an older image from their memory; "" chooses new ones.
func Preview(ctx *nodes.Context, images *tensor.Tensor, suffix string, text []imaging.Text) ([]any, error) {
	if suffix == "" {
		suffix = randomLetters()
	}
	const level = 1
	return savePNGs(ctx, images, "ComfyUI_temp_"+suffix, "temp", imaging.PNGOptions{Level: level, Text: text})
}

func randomLetters() string {
	b := make([]byte, 5)
	for i := range b {
		b[i] = 'a' + byte(rand.N(26))
	}
	return string(b)
}

// outside is the prefix of messages about such prefixes; clients search for it.
const outside = "**** ERROR: Saving image outside the output folder is not allowed."

// savePNGs writes a batch and returns the entries for the client. kind is the folder, output or temp.
func savePNGs(ctx *nodes.Context, images *tensor.Tensor, prefix, kind string, o imaging.PNGOptions) ([]any, error) {
	if images = grayToo(images); images == nil || len(images.Shape) != 4 || images.Shape[0] == 0 {
		return nil, nodes.Errorf("ValueError", "there is no image")
	}
	height, width, channels := images.Shape[1], images.Shape[2], images.Shape[3]
	to, err := savePath(ctx, prefix, kind, width, height)
	if err != nil {
		return nil, err
	}
	files := []any{}
	for i := range images.Shape[0] {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		pix := imaging.ToBytes(images.Index(i).Data)
		name, err := to.Write(i, ".png", func(w io.Writer) error {
			return imaging.WritePNG(w, pix, width, height, channels, o)
		})
		if err != nil {
			return nil, nodes.Errorf("OSError", "%w", err)
		}
		files = append(files, fileEntry(name, to, kind))
	}
	return files, nil
}

// savePath picks folder and number of files in a folder, output or temp.
func savePath(ctx *nodes.Context, prefix, kind string, width, height int) (folders.SavePath, error) {
	dir, ok := ctx.Folders.Dir(kind)
	if !ok {
		return folders.SavePath{}, fmt.Errorf("unknown folder type %q", kind)
	}
	to, err := ctx.Folders.SavePath(prefix, dir, width, height)
	if errors.Is(err, folders.ErrOutside) {
		return to, nodes.Errorf("Exception", "%s\nprefix: %q\n%s folder: %s", outside, prefix, kind, dir)
	}
	return to, err
}

func fileEntry(name string, to folders.SavePath, kind string) *pyjson.Object {
	return pyjson.NewObject("filename", name, "subfolder", to.Subfolder, "type", kind)
}

// pngText returns an image's metadata: the prompt, then everything the client sent to be stored.
func pngText(ctx *nodes.Context) ([]imaging.Text, error) {
	if !ctx.Metadata {
		return nil, nil
	}
	var text []imaging.Text
	add := func(key string, value any) error {
		if !imaging.ValidKey(key) {
			ctx.Log.Warn("leaving out image metadata: its name cannot stand in a png file", "name", key)
			return nil
		}
		json, err := pyjson.Marshal(value)
		if err != nil {
			return fmt.Errorf("writing the metadata %q: %w", key, err)
		}
		text = append(text, imaging.Text{Key: key, Value: string(json)})
		return nil
	}
	if prompt := ctx.Prompt(); prompt != nil {
		if err := add("prompt", prompt); err != nil {
			return nil, err
		}
	}
	if extra := ctx.ExtraPNGInfo(); extra != nil {
		for key, value := range extra.All() {
			if err := add(key, value); err != nil {
				return nil, err
			}
		}
	}
	return text, nil
}

// previewed returns values with a preview of images, as upstream's newer classes show it.
func previewed(ctx *nodes.Context, images *tensor.Tensor, values ...any) (nodes.Result, error) {
	text, err := pngText(ctx)
	if err != nil {
		return nodes.Result{}, err
	}
	files, err := Preview(ctx, images, "", text)
	if err != nil {
		return nodes.Result{}, fmt.Errorf("saving previews: %w", err)
	}
	return nodes.Out(values...).AddUI("images", files).AddUI("animated", []any{false}), nil
}
