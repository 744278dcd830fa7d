package logic

import "comfygo/nodes"

func init() {
	nodes.Register(&PrimitiveString{}, &PrimitiveStringMultiline{}, &PrimitiveInt{}, &PrimitiveFloat{}, &PrimitiveBoolean{})
}

// primitive returns the Spec of a class that returns its input. Validation converts constants to the widget's type; a link may
// deliver any value, from a node that passes on any value.
func primitive(name, title, output string, aliases ...string) nodes.Spec {
	return nodes.Spec{
		Name: name, DisplayName: title, Category: "utilities/primitive", Module: "comfy_extras.nodes_primitive", V3: true,
		SearchAliases: aliases, Outputs: nodes.Outputs(output),
		Uses: nodes.UsesNothing,
	}
}

// PrimitiveString gives a line of text.
type PrimitiveString struct {
	Value any `in:"value" type:"STRING"`
}

// Spec implements nodes.Node.
func (*PrimitiveString) Spec() nodes.Spec {
	return primitive("PrimitiveString", "Text", "STRING", "text", "string", "text box", "prompt")
}

// Run implements nodes.Node.
func (n *PrimitiveString) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(n.Value), nil }

// PrimitiveStringMultiline gives a text of several lines.
type PrimitiveStringMultiline struct {
	Value any `in:"value" type:"STRING" multiline:"true"`
}

// Spec implements nodes.Node.
func (*PrimitiveStringMultiline) Spec() nodes.Spec {
	s := primitive("PrimitiveStringMultiline", "Text (Multiline)", "STRING", "text", "string", "text multiline", "string multiline", "text box", "prompt")
	s.EssentialsCategory = "Basics"
	return s
}

// Run implements nodes.Node.
func (n *PrimitiveStringMultiline) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(n.Value), nil
}

// PrimitiveInt gives an integer.
type PrimitiveInt struct {
	Value any `in:"value" type:"INT" min:"-9223372036854775807" max:"9223372036854775807" control_after_generate:"\"fixed\""`
}

// Spec implements nodes.Node.
func (*PrimitiveInt) Spec() nodes.Spec { return primitive("PrimitiveInt", "Int", "INT") }

// Run implements nodes.Node.
func (n *PrimitiveInt) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(n.Value), nil }

// PrimitiveFloat gives a number.
type PrimitiveFloat struct {
	Value any `in:"value" type:"FLOAT" min:"-9223372036854775807" max:"9223372036854775807" step:"0.1"`
}

// Spec implements nodes.Node.
func (*PrimitiveFloat) Spec() nodes.Spec { return primitive("PrimitiveFloat", "Float", "FLOAT") }

// Run implements nodes.Node.
func (n *PrimitiveFloat) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(n.Value), nil }

// PrimitiveBoolean gives true or false.
type PrimitiveBoolean struct {
	Value any `in:"value" type:"BOOLEAN"`
}

// Spec implements nodes.Node.
func (*PrimitiveBoolean) Spec() nodes.Spec {
	return primitive("PrimitiveBoolean", "Boolean", "BOOLEAN")
}

// Run implements nodes.Node.
func (n *PrimitiveBoolean) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(n.Value), nil }
