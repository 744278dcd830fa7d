package logic

import (
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&CreateList{})
}

// CreateList joins values and lists of one type into one list.
type CreateList struct {
	Inputs nodes.Grown `in:"inputs" autogrow:"input" item:"COMFY_MATCHTYPE_V3" match:"type" prefix:"input" least:"1" most:"10"`
}

// Spec implements nodes.Node.
func (*CreateList) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CreateList", DisplayName: "Create List", Category: "utilities",
		Module: "comfy_extras.nodes_toolkit", V3: true,
		Outputs:       []nodes.Output{{Type: "COMFY_MATCHTYPE_V3", Name: "list", List: true, Match: "type"}},
		InputIsList:   true,
		SearchAliases: []string{"Image Iterator", "Text Iterator", "Iterator"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *CreateList) Run(*nodes.Context) (nodes.Result, error) {
	list := []any{}
	for i, v := range n.Inputs.Values {
		values, ok := v.([]any)
		if !ok {
			return nodes.Result{}, nodes.Errorf("TypeError", "making a list: inputs.%s is a %s, want a list", n.Inputs.Names[i], pyjson.TypeName(v))
		}
		list = append(list, values...)
	}
	return nodes.Out(list), nil
}
