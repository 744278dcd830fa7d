package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"comfygo/engine/tensor"
	"comfygo/folders"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&SaveImageDataSetToFolder{})
	nodes.Register(&SaveImageTextDataSetToFolder{})
}

// SaveImageDataSetToFolder saves images in a folder.
type SaveImageDataSetToFolder struct {
	Images         []*tensor.Tensor `in:"images" type:"IMAGE" tooltip:"Images to save."`
	FolderName     []string         `in:"folder_name" default:"dataset" tooltip:"Folder below the output folder."`
	FilenamePrefix []string         `in:"filename_prefix" advanced:"true" default:"image" tooltip:"Beginning of the file names."`
	Mode           []string         `in:"mode" options:"overwrite|increment" default:"overwrite" tooltip:"overwrite replaces files of earlier runs; increment numbers past them."`
}

// Spec implements nodes.Node.
func (*SaveImageDataSetToFolder) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SaveImageDataSetToFolder", DisplayName: "Save Image (to Folder) (DEPRECATED)", Category: "image",
		Module: "comfy_extras.nodes_dataset", V3: true,

		OutputNode:    true,
		InputIsList:   true,
		Deprecated:    true,
		Experimental:  true,
		Description:   "Saves images as PNG files in a folder below the output folder.",
		SearchAliases: []string{"save folder", "save to folder", "save dataset", "save images", "export dataset"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *SaveImageDataSetToFolder) Run(ctx *nodes.Context) (nodes.Result, error) {
	_, err := saveImages(ctx, n.Images, nil, n.FolderName, n.FilenamePrefix, n.Mode)
	return nodes.Result{}, err
}

// SaveImageTextDataSetToFolder saves images with their captions in a folder.
type SaveImageTextDataSetToFolder struct {
	Images         []*tensor.Tensor `in:"images" type:"IMAGE" tooltip:"Images to save."`
	FolderName     []string         `in:"folder_name" default:"dataset" tooltip:"Folder below the output folder."`
	FilenamePrefix []string         `in:"filename_prefix" advanced:"true" default:"image" tooltip:"Beginning of the file names."`
	Mode           []string         `in:"mode" options:"overwrite|increment" default:"overwrite" tooltip:"overwrite replaces files of earlier runs; increment numbers past them."`
	Texts          []string         `in:"texts" optional:"true" forceInput:"true" tooltip:"Captions to save, one an image."`
}

// Spec implements nodes.Node.
func (*SaveImageTextDataSetToFolder) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SaveImageTextDataSetToFolder", DisplayName: "Save Image-Text (to Folder)", Category: "image",
		Module: "comfy_extras.nodes_dataset", V3: true,

		OutputNode:    true,
		InputIsList:   true,
		Experimental:  true,
		Description:   "Saves images as PNG files in a folder below the output folder, and their captions as text files of the same names.",
		SearchAliases: []string{"save folder", "save to folder", "save dataset", "save images", "save text", "export dataset"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *SaveImageTextDataSetToFolder) Run(ctx *nodes.Context) (nodes.Result, error) {
	_, err := saveImages(ctx, n.Images, n.Texts, n.FolderName, n.FilenamePrefix, n.Mode)
	return nodes.Result{}, err
}

// saveImages writes one PNG file an image, and a text file for each caption; it returns the names of the images.
func saveImages(ctx *nodes.Context, images []*tensor.Tensor, texts, folder, prefix, mode []string) (names []string, err error) {
	if len(folder) == 0 || len(prefix) == 0 || len(mode) == 0 {
		return nil, nodes.Errorf("IndexError", "saving images: folder_name, filename_prefix or mode has no value")
	}
	dir, err := folders.Join(ctx.Folders.Output(), folder[0])
	if err != nil {
		return nil, nodes.Errorf("ValueError", "saving images: the folder %q is outside of the output folder", folder[0])
	}
	for i, t := range images {
		if err := checkSaved(t); err != nil {
			return nil, fmt.Errorf("saving image %d: %w", i, err)
		}
	}
	if made, err := folders.MakeDir(ctx.Folders.Output(), dir); err != nil {
		return nil, nodes.Errorf("OSError", "making the folder %s: %w", folder[0], err)
	} else if err := made.Close(); err != nil {
		return nil, err
	}
	for i, t := range images {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		name, err := imageName(ctx, dir, prefix[0], i, mode[0] == "overwrite")
		if err != nil {
			return nil, err
		}
		c := t.Shape[3]
		pix := imaging.ToBytes(t.Data)
		if err := replaceIn(ctx, dir, name, func(w io.Writer) error {
			return imaging.WritePNG(w, pix, t.Shape[2], t.Shape[1], c, imaging.PNGOptions{Level: pillowLevel})
		}); err != nil {
			return nil, err
		}
		names = append(names, name)
		if i >= len(texts) {
			continue
		}
		if err := replaceIn(ctx, dir, strings.ReplaceAll(name, ".png", ".txt"), func(w io.Writer) error {
			_, err := io.WriteString(w, texts[i])
			return err
		}); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// pillowLevel is Pillow's default compression.
const pillowLevel = 6

// checkSaved refuses what Pillow makes no image of.
func checkSaved(t *tensor.Tensor) error {
	if err := checkPillow(t); err != nil {
		return err
	}
	if t.Shape[0] != 1 {
		return nodes.Errorf("TypeError", "it is a batch of %d images: take it apart first", t.Shape[0])
	}
	return nil
}

// imageName returns the name of image i; in increment mode the number of the prefix's next file is part of it.
func imageName(ctx *nodes.Context, dir, prefix string, i int, overwrite bool) (string, error) {
	if overwrite {
		return fmt.Sprintf("%s_%05d.png", prefix, i), nil
	}
	to, err := ctx.Folders.SavePath(prefix, dir, 0, 0)
	if err != nil {
		return "", nodes.Errorf("Exception", "choosing a name for %q: %w", prefix, err)
	}
	return fmt.Sprintf("%s_%05d_%05d.png", to.Prefix, to.Counter, i), nil
}

// replaceIn writes a file below dir; its name may contain existing folders.
func replaceIn(ctx *nodes.Context, dir, name string, write func(io.Writer) error) error {
	path, err := folders.Join(dir, name)
	if err != nil {
		return nodes.Errorf("ValueError", "saving %q: it is outside of its folder", name)
	}
	in, file, err := folders.OpenFor(ctx.Folders.Output(), path)
	if err == nil {
		err = errors.Join(in.Replace(file, write), in.Close())
	}
	if err == nil {
		err = ctx.Folders.Keep(ctx, path)
	}
	if err != nil {
		return nodes.Errorf("OSError", "saving in %s: %w", dir, err)
	}
	return nil
}
