package text

import (
	"fmt"
	"io"

	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&SaveText{})
}

// SaveText writes a text to a file.
type SaveText struct {
	Text           string `in:"text" forceInput:"true"`
	FilenamePrefix string `in:"filename_prefix" default:"ComfyUI"`
	Format         string `in:"format" options:"txt|csv|md|json" default:"txt"`
}

// Spec implements nodes.Node.
func (*SaveText) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SaveText", DisplayName: "Save Text", Category: "text",
		Module: "comfy_extras.nodes_text", V3: true,
		Outputs:       []nodes.Output{{Type: "STRING", Name: "text"}},
		OutputNode:    true,
		Description:   "Saves a text to a file in the output folder.",
		SearchAliases: []string{"save text", "write text", "export text"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node. JSON that can be read is written with an indent.
func (n *SaveText) Run(ctx *nodes.Context) (nodes.Result, error) {
	text := n.Text
	switch n.Format {
	case "txt", "csv", "md":
	case "json":
		if v, err := pyjson.Unmarshal([]byte(text)); err == nil {
			b, err := pyjson.Indent(v, 2)
			if err != nil {
				return nodes.Result{}, fmt.Errorf("writing JSON: %w", err)
			}
			text = string(b)
		}
	default:
		return nodes.Result{}, nodes.Errorf("ValueError", "saving a text: the format %q is not one of txt, csv, md and json", n.Format)
	}
	to, err := ctx.Folders.SavePath(n.FilenamePrefix, ctx.Folders.Output(), 1, 1)
	if err != nil {
		return nodes.Result{}, nodes.Errorf("Exception", "saving a text under %q: %w", n.FilenamePrefix, err)
	}
	to.Bare = true
	name, err := to.Write(0, "."+n.Format, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
	if err != nil {
		return nodes.Result{}, nodes.Errorf("OSError", "%w", err)
	}
	file := pyjson.NewObject("filename", name, "subfolder", to.Subfolder, "type", "output")
	return nodes.Out(n.Text).AddUI("text", []any{n.Text}).AddUI("files", []any{file}), nil
}
