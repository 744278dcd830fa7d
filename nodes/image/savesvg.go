package image

import (
	"bytes"
	"context"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

func init() { nodes.Register(&SaveSVGNode{}) }

// SVG is the value of SVG links: files of vector graphics.
type SVG [][]byte

// SaveSVGNode writes vector graphics with the prompt and the workflow in them.
type SaveSVGNode struct {
	SVG            SVG    `in:"svg" type:"SVG"`
	FilenamePrefix string `in:"filename_prefix" default:"svg/ComfyUI" tooltip:"Beginning of the file names. It may name subfolders and hold tokens such as %date:yyyy-MM-dd% or %Empty Latent Image.width%."`
}

// Spec implements nodes.Node.
func (*SaveSVGNode) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SaveSVGNode", DisplayName: "Save SVG", Category: "image",
		Module: moduleImages, V3: true,
		Outputs:       []nodes.Output{{Type: "SVG", Name: "svg"}},
		OutputNode:    true,
		Description:   "Saves vector graphics as SVG files in the output folder.",
		SearchAliases: []string{"export vector", "save vector graphics"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *SaveSVGNode) Run(ctx *nodes.Context) (nodes.Result, error) {
	metadata, err := svgMetadata(ctx)
	if err != nil {
		return nodes.Result{}, err
	}
	to, err := savePath(ctx, n.FilenamePrefix, "output", 0, 0)
	if err != nil {
		return nodes.Result{}, err
	}
	files := []any{}
	for i, data := range n.SVG {
		if err := context.Cause(ctx); err != nil {
			return nodes.Result{}, err
		}
		if !utf8.Valid(data) {
			return nodes.Result{}, nodes.Errorf("UnicodeDecodeError", "saving svg %d: it is not UTF-8 text", i)
		}
		name, err := to.Write(i, ".svg", func(w io.Writer) error {
			_, err := w.Write(withMetadata(data, metadata))
			return err
		})
		if err != nil {
			return nodes.Result{}, nodes.Errorf("OSError", "saving svg %d: %w", i, err)
		}
		files = append(files, fileEntry(name, to, "output"))
	}
	return nodes.Out(n.SVG).AddUI("images", files), nil
}

// svgMetadata returns the element that holds prompt and workflow, "" without them.
func svgMetadata(ctx *nodes.Context) (string, error) {
	if !ctx.Metadata {
		return "", nil
	}
	all := pyjson.NewObject()
	if p := ctx.Prompt(); p != nil {
		all.Set("prompt", p)
	}
	if extra := ctx.ExtraPNGInfo(); extra != nil {
		for key, value := range extra.All() {
			all.Set(key, value)
		}
	}
	if all.Len() == 0 {
		return "", nil
	}
	text, err := pyjson.IndentASCII(all, 2)
	if err != nil {
		return "", nodes.Errorf("ValueError", "writing the metadata: %w", err)
	}
	// the section must not end within the text
	inside := strings.ReplaceAll(string(text), "]]>", "]]]]><![CDATA[>")
	return "  <metadata>\n                <![CDATA[\n            " + inside + "\n                ]]>\n            </metadata>\n            ", nil
}

var svgTag = regexp.MustCompile(`<svg[^>]*>`)

// withMetadata puts the element behind each opening svg tag, as upstream does.
func withMetadata(data []byte, metadata string) []byte {
	if metadata == "" {
		return data
	}
	return svgTag.ReplaceAllFunc(data, func(tag []byte) []byte {
		return append(append(bytes.Clone(tag), '\n'), metadata...)
	})
}
