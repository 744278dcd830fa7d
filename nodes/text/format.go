package text

import (
	"slices"

	"comfygo/internal/pystr"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&StringFormat{})
}

// StringFormat fills a text with values.
type StringFormat struct {
	Values  nodes.Grown `in:"values" autogrow:"value" item:"*" names:"a|b|c|d|e|f|g|h|i|j|k|l|m|n|o|p|q|r|s|t|u|v|w|x|y|z" least:"0"`
	FString string      `in:"f_string" default:"{a}" multiline:"true"`
}

// Spec implements nodes.Node.
func (*StringFormat) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "StringFormat", DisplayName: "Format Text", Category: "text",
		Module: "comfy_extras.nodes_string", V3: true,
		Outputs:       nodes.Outputs("STRING"),
		Description:   "Fills the fields of a text, such as {a} or {b:.2f}, with values. All of Python's format syntax works.",
		SearchAliases: []string{"string", "format"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *StringFormat) Run(*nodes.Context) (nodes.Result, error) {
	const edge = 3 // elements at each edge of a large tensor
	f := pystr.Formatter{
		Value: func(name string) (any, bool) {
			i := slices.Index(n.Values.Names, name)
			if i < 0 {
				return nil, false
			}
			return n.Values.Values[i], true
		},
		Str: func(v any) string { return nodes.Show(v, edge) },
	}
	text, err := f.Format(n.FString)
	return nodes.Out(text), err
}
