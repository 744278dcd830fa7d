package logic

import (
	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

func init() { nodes.Register(&Switch{}, &CustomCombo{}, &Not{}, &And{}, &Or{}) }

const logicModule = "comfy_extras.nodes_logic"

func logic(name, title, description string, aliases ...string) nodes.Spec {
	return nodes.Spec{
		Name: name, DisplayName: title, Category: "utilities/logic", Module: logicModule, V3: true, Description: description,
		SearchAliases: aliases, Outputs: nodes.Outputs("BOOLEAN"),
	}
}

// Switch gives one of two values and computes only that one.
type Switch struct {
	Switch  bool `in:"switch"`
	OnFalse any  `in:"on_false" lazy:"true" match:"switch"`
	OnTrue  any  `in:"on_true" lazy:"true" match:"switch"`
}

var _ nodes.LazyInputs = (*Switch)(nil)

// Spec implements nodes.Node.
func (*Switch) Spec() nodes.Spec {
	s := logic("ComfySwitchNode", "If/Else Switch", "", "if", "then", "switch", "conditional", "branch")
	s.Experimental = true
	s.Outputs = []nodes.Output{{Type: "COMFY_MATCHTYPE_V3", Name: "output", Match: "switch"}}
	return s
}

func (*Switch) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// CheckLazy implements nodes.LazyInputs.
func (n *Switch) CheckLazy(*nodes.Context) ([]string, error) {
	switch {
	case n.Switch && n.OnTrue == nil:
		return []string{"on_true"}, nil
	case !n.Switch && n.OnFalse == nil:
		return []string{"on_false"}, nil
	}
	return nil, nil
}

// Run implements nodes.Node.
func (n *Switch) Run(*nodes.Context) (nodes.Result, error) {
	if n.Switch {
		return nodes.Out(n.OnTrue), nil
	}
	return nodes.Out(n.OnFalse), nil
}

// CustomCombo gives a choice from a list that the user made in the front end, and its place there.
type CustomCombo struct {
	Choice any `in:"choice" options:""`
}

var _ nodes.Validator = (*CustomCombo)(nil)

// Spec implements nodes.Node. The other inputs are made by the front end.
func (*CustomCombo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CustomCombo", DisplayName: "Custom Combo", Category: "utilities", Module: logicModule, V3: true, Experimental: true,
		AcceptAllInputs: true, Validates: []string{"choice", "index", "**"}, Outputs: []nodes.Output{{Type: "STRING"}, {Type: "INT", Name: "INDEX"}},
	}
}

// ValidateInputs implements nodes.Validator: any choice is right.
func (*CustomCombo) ValidateInputs(*nodes.Context) error { return nil }

// Run implements nodes.Node.
func (n *CustomCombo) Run(ctx *nodes.Context) (nodes.Result, error) {
	index, given := ctx.Input("index")
	if !given {
		index = int64(0)
	}
	return nodes.Out(n.Choice, index), nil
}

// Not turns a value's truth around.
type Not struct {
	Value any `in:"value"`
}

// Spec implements nodes.Node.
func (*Not) Spec() nodes.Spec {
	return logic("ComfyNotNode", "Not", "True when the value counts as false (0, an empty text or list, nothing).", "invert", "toggle", "negate", "flip boolean")
}

// Run implements nodes.Node.
func (n *Not) Run(*nodes.Context) (nodes.Result, error) {
	t, err := truth(n.Value)
	return nodes.Out(!t), err
}

// And is true when all values are.
type And struct {
	Values nodes.Grown `in:"values" autogrow:"value" item:"*" prefix:"value" least:"1" most:"10"`
}

// Spec implements nodes.Node.
func (*And) Spec() nodes.Spec {
	return logic("ComfyAndNode", "And", "True when none of the values counts as false.", "all", "every")
}

// Run implements nodes.Node.
func (n *And) Run(*nodes.Context) (nodes.Result, error) {
	found, err := contains(n.Values.Values, false)
	return nodes.Out(!found), err
}

// Or is true when one of the values is.
type Or struct {
	Values nodes.Grown `in:"values" autogrow:"value" item:"*" prefix:"value" least:"1" most:"10"`
}

// Spec implements nodes.Node.
func (*Or) Spec() nodes.Spec {
	return logic("ComfyOrNode", "Or", "True when at least one of the values does not count as false.", "any", "some")
}

// Run implements nodes.Node.
func (n *Or) Run(*nodes.Context) (nodes.Result, error) {
	found, err := contains(n.Values.Values, true)
	return nodes.Out(found), err
}

// contains reports whether one of the values has the truth value want; later values are not evaluated.
func contains(values []any, want bool) (bool, error) {
	for _, v := range values {
		if t, err := truth(v); err != nil || t == want {
			return err == nil, err
		}
	}
	return false, nil
}

// truth is Python's bool. A tensor counts as its only element; with more it has no truth.
func truth(v any) (bool, error) {
	if levels, ok := v.([]float32); ok {
		v = &tensor.Tensor{Data: levels, Shape: []int{len(levels)}}
	}
	t, ok := v.(*tensor.Tensor)
	switch {
	case !ok:
		return pyjson.Truthy(v), nil
	case t == nil:
		return false, nil
	case len(t.Data) != 1:
		return false, nodes.Errorf("RuntimeError", "a tensor of shape %v is neither true nor false", t.Shape)
	}
	return t.Data[0] != 0, nil
}
