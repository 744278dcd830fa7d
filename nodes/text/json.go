package text

import (
	"fmt"
	"math/big"
	"slices"

	"comfygo/internal/pyjson"
	"comfygo/internal/pystr"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&JsonExtractString{})
	nodes.Register(&ConvertDictionaryToString{})
	nodes.Register(&ConvertArrayToString{})
}

// JsonExtractString takes a value out of a JSON object.
type JsonExtractString struct {
	JsonString string `in:"json_string" multiline:"true"`
	Key        string `in:"key"`
}

// Spec implements nodes.Node.
func (*JsonExtractString) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "JsonExtractString", DisplayName: "Extract Text from JSON", Category: "text",
		Module: "comfy_extras.nodes_string", V3: true,
		Outputs:       nodes.Outputs("STRING"),
		Description:   "Returns the value of a key of a JSON object as text.",
		SearchAliases: []string{"json", "extract json", "parse json", "json value", "read json"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node. The key is used literally, without paths. A value that is missing or null,
// and a text that is not a JSON object, yield "".
func (n *JsonExtractString) Run(ctx *nodes.Context) (nodes.Result, error) {
	const copies = 4 // decoded values take more than their text
	if err := ctx.ReserveText(len(n.JsonString), copies); err != nil {
		return nodes.Result{}, err
	}
	data, err := pyjson.Unmarshal([]byte(n.JsonString))
	o, ok := data.(*pyjson.Object)
	if err != nil || !ok {
		return nodes.Out(""), nil
	}
	v, _ := o.Get(n.Key)
	if v == nil {
		return nodes.Out(""), nil
	}
	return nodes.Out(pyjson.Str(v)), nil
}

// ConvertDictionaryToString writes a dictionary as JSON.
type ConvertDictionaryToString struct {
	Dictionary any `in:"dictionary" type:"DICT"`
	Indent     int `in:"indent" default:"2" min:"0" max:"8" tooltip:"Spaces per level; 0 writes a single line."`
}

// Spec implements nodes.Node.
func (*ConvertDictionaryToString) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ConvertDictionaryToString", DisplayName: "Convert Dictionary to String", Category: "text",
		Module: "comfy_extras.nodes_string", V3: true,
		Outputs:       nodes.Outputs("STRING"),
		Description:   "Writes a dictionary as JSON text.",
		SearchAliases: []string{"json", "dict to json", "stringify", "serialize", "dict to string"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *ConvertDictionaryToString) Run(ctx *nodes.Context) (nodes.Result, error) {
	return asJSON(ctx, n.Dictionary, n.Indent)
}

// mostIndent bounds what a link may give for the spaces per level.
const mostIndent = 1024

// ConvertArrayToString writes a list as JSON.
type ConvertArrayToString struct {
	Array  any `in:"array" type:"ARRAY"`
	Indent int `in:"indent" default:"2" min:"0" max:"8" tooltip:"Spaces per level; 0 writes a single line."`
}

// Spec implements nodes.Node.
func (*ConvertArrayToString) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ConvertArrayToString", DisplayName: "Convert Array to String", Category: "text",
		Module: "comfy_extras.nodes_string", V3: true,
		Outputs:       nodes.Outputs("STRING"),
		Description:   "Writes a list as JSON text.",
		SearchAliases: []string{"json", "list to json", "stringify", "serialize", "list to string", "array to json"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *ConvertArrayToString) Run(ctx *nodes.Context) (nodes.Result, error) {
	return asJSON(ctx, n.Array, n.Indent)
}

// asJSON writes a value as json.dumps does, characters beyond ASCII as they are.
func asJSON(ctx *nodes.Context, v any, indent int) (nodes.Result, error) {
	if !isJSON(v) {
		return nodes.Result{}, nodes.Errorf("TypeError", "writing JSON: a %s is no JSON value", pyjson.TypeName(v))
	}
	const copies = 4 // compact, decoded, indented and as text
	if err := ctx.Reserve("a JSON text", copies*nodes.TextBytes(v)); err != nil {
		return nodes.Result{}, err
	}
	write := pyjson.Plain
	if indent > 0 {
		if indent > mostIndent {
			return nodes.Result{}, nodes.Errorf("ValueError", "writing JSON: an indent of %d spaces; at most %d", indent, mostIndent)
		}
		write = func(v any) ([]byte, error) { return pyjson.Indent(v, indent) }
	}
	text, err := write(v)
	if err != nil {
		return nodes.Result{}, fmt.Errorf("writing JSON: %w", err)
	}
	return nodes.Out(string(text)), pystr.CheckSize(len(text))
}

// isJSON reports whether a value has only what JSON has: tensors and other values of links are refused.
func isJSON(v any) bool {
	switch v := v.(type) {
	case nil, bool, int, int64, float64, string, *big.Int:
		return true
	case []any:
		return !slices.ContainsFunc(v, func(e any) bool { return !isJSON(e) })
	case *pyjson.Object:
		for _, e := range v.All() {
			if !isJSON(e) {
				return false
			}
		}
		return v != nil
	}
	return false
}
