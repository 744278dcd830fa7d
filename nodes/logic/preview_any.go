package logic

import (
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

func init() { nodes.Register(&PreviewAny{}) }

// PreviewAny shows any value as text.
type PreviewAny struct {
	Source any `in:"source" opts:"{}"`
}

// Spec implements nodes.Node.
func (*PreviewAny) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "PreviewAny", DisplayName: "Preview as Text", Category: "utilities", Module: "comfy_extras.nodes_preview_any", OutputNode: true,
		Description: "Shows the value that comes in as text, whatever it is.", SearchAliases: []string{"show output", "inspect", "debug", "print value", "show text"},
		Outputs: nodes.Outputs("STRING"),
		Uses:    nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *PreviewAny) Run(ctx *nodes.Context) (nodes.Result, error) {
	if _, isText := n.Source.(string); !isText { // written out, a value takes a few times its size, and buffers grow by doubling
		const copies = 6
		if err := ctx.Reserve("a value written as text", copies*nodes.TextBytes(n.Source)); err != nil {
			return nodes.Result{}, err
		}
	}
	text := describe(n.Source)
	return nodes.Out(text).AddUI("text", []any{text}), nil
}

// previewEdge is the number of elements at each edge of a large tensor that are shown.
const previewEdge = 6

// describe writes JSON values as indented JSON and everything else as Python prints it.
func describe(v any) string {
	if p, ok := v.(nodes.Plain); ok {
		v = p.Plain()
	}
	switch v.(type) {
	case []any, *pyjson.Object:
		if b, err := pyjson.Indent(v, 4); err == nil {
			return string(b)
		}
	}
	return nodes.Show(v, previewEdge)
}
