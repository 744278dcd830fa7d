package testnodes

import (
	"strings"

	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// product multiplies two numbers or images.
func product(a, b any) (nodes.Result, error) {
	x, xIsNumber := a.(float64)
	y, yIsNumber := b.(float64)
	p, _ := a.(*tensor.Tensor)
	q, _ := b.(*tensor.Tensor)
	switch {
	case xIsNumber && yIsNumber:
		return nodes.Out(canvas(x * y)), nil
	case p != nil && yIsNumber:
		return nodes.Out(scaled(p, y)), nil
	case q != nil && xIsNumber:
		return nodes.Out(scaled(q, x)), nil
	case p != nil && q != nil && tensor.SameShape(p, q):
		out := tensor.New(p.Shape...)
		for i := range out.Data {
			out.Data[i] = p.Data[i] * q.Data[i]
		}
		return nodes.Out(out), nil
	}
	return nodes.Result{}, nodes.Errorf("TypeError", "unsupported operand type(s) for *: '%s' and '%s'", pyjson.TypeName(a), pyjson.TypeName(b))
}

// wrongType refuses values that are neither images nor floats.
func wrongType(name string, v any) error {
	switch v.(type) {
	case nil, float64, *tensor.Tensor:
		return nil
	}
	return nodes.Invalid("Invalid type of %s: <class '%s'>", name, pyjson.TypeName(v))
}

type customValidation1 struct {
	Input1 any `in:"input1" type:"IMAGE,FLOAT"`
	Input2 any `in:"input2" type:"IMAGE,FLOAT"`
}

var _ nodes.Validator = (*customValidation1)(nil)

// Spec implements nodes.Node.
func (*customValidation1) Spec() nodes.Spec {
	s := pack("TestCustomValidation1", "Custom Validation 1", "Testing/Nodes", "IMAGE")
	s.Validates = []string{"input1", "input2"}
	return s
}

// ValidateInputs implements nodes.Validator.
func (n *customValidation1) ValidateInputs(*nodes.Context) error {
	if err := wrongType("input1", n.Input1); err != nil {
		return err
	}
	return wrongType("input2", n.Input2)
}

// Run implements nodes.Node.
func (n *customValidation1) Run(*nodes.Context) (nodes.Result, error) {
	return product(n.Input1, n.Input2)
}

type customValidation2 struct {
	Input1 any `in:"input1" type:"IMAGE,FLOAT"`
	Input2 any `in:"input2" type:"IMAGE,FLOAT"`
}

var _ nodes.Validator = (*customValidation2)(nil)

// Spec implements nodes.Node.
func (*customValidation2) Spec() nodes.Spec {
	s := pack("TestCustomValidation2", "Custom Validation 2", "Testing/Nodes", "IMAGE")
	s.Validates = []string{"input_types", "input1", "input2"}
	return s
}

// ValidateInputs implements nodes.Validator.
func (n *customValidation2) ValidateInputs(ctx *nodes.Context) error {
	if err := wrongType("input1", n.Input1); err != nil {
		return err
	}
	if err := wrongType("input2", n.Input2); err != nil {
		return err
	}
	for _, name := range []string{"input1", "input2"} {
		if typ, linked := ctx.Linked(name); linked && typ != "IMAGE" && typ != "FLOAT" {
			return nodes.Invalid("Invalid type of %s: %s", name, typ)
		}
	}
	return nil
}

// Run implements nodes.Node.
func (n *customValidation2) Run(*nodes.Context) (nodes.Result, error) {
	return product(n.Input1, n.Input2)
}

// variant checks the types of links by set inclusion, as the test pack's VariantSupport does: pairs of input and wanted type.
func variant(ctx *nodes.Context, pairs ...string) error {
	for i := 0; i+1 < len(pairs); i += 2 {
		name, want := pairs[i], pairs[i+1]
		got, linked := ctx.Linked(name)
		if !linked || got == "*" || want == "*" {
			continue
		}
		wanted := strings.Split(want, ",")
		for _, t := range strings.Split(got, ",") {
			if !has(wanted, t) {
				return nodes.Invalid("Invalid type of %s: %s (expected %s)", name, got, want)
			}
		}
	}
	return nil
}

func has(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}

// byTypes returns the value of Spec.Validates of such classes.
func byTypes(s nodes.Spec) nodes.Spec {
	s.Validates = []string{"input_types"}
	return s
}

type customValidation3 struct {
	Input1 any `in:"input1" type:"IMAGE,FLOAT"`
	Input2 any `in:"input2" type:"IMAGE,FLOAT"`
}

var _ nodes.Validator = (*customValidation3)(nil)

// Spec implements nodes.Node.
func (*customValidation3) Spec() nodes.Spec {
	return byTypes(pack("TestCustomValidation3", "Custom Validation 3", "Testing/Nodes", "IMAGE"))
}

// ValidateInputs implements nodes.Validator.
func (*customValidation3) ValidateInputs(ctx *nodes.Context) error {
	return variant(ctx, "input1", "IMAGE,FLOAT", "input2", "IMAGE,FLOAT")
}

// Run implements nodes.Node.
func (n *customValidation3) Run(*nodes.Context) (nodes.Result, error) {
	return product(n.Input1, n.Input2)
}

type customValidation4 struct {
	Input1 any `in:"input1" type:"FLOAT"`
	Input2 any `in:"input2" type:"FLOAT"`
}

var _ nodes.Validator = (*customValidation4)(nil)

// Spec implements nodes.Node.
func (*customValidation4) Spec() nodes.Spec {
	s := pack("TestCustomValidation4", "Custom Validation 4", "Testing/Nodes", "IMAGE")
	s.Validates = []string{"input1", "input2"}
	return s
}

// ValidateInputs implements nodes.Validator.
func (n *customValidation4) ValidateInputs(*nodes.Context) error {
	for _, in := range []struct {
		name string
		v    any
	}{{"input1", n.Input1}, {"input2", n.Input2}} {
		if _, ok := in.v.(float64); in.v != nil && !ok {
			return nodes.Invalid("Invalid type of %s: <class '%s'>", in.name, pyjson.TypeName(in.v))
		}
	}
	return nil
}

// Run implements nodes.Node.
func (n *customValidation4) Run(*nodes.Context) (nodes.Result, error) {
	return product(n.Input1, n.Input2)
}

type customValidation5 struct {
	Input1 float64 `in:"input1" min:"0.0" max:"1.0"`
	Input2 float64 `in:"input2" min:"0.0" max:"1.0"`
}

var _ nodes.Validator = (*customValidation5)(nil)

// Spec implements nodes.Node.
func (*customValidation5) Spec() nodes.Spec {
	s := pack("TestCustomValidation5", "Custom Validation 5", "Testing/Nodes", "IMAGE")
	s.Validates = []string{"**"}
	return s
}

// ValidateInputs implements nodes.Validator.
func (n *customValidation5) ValidateInputs(*nodes.Context) error {
	if n.Input2 == 7 {
		return nodes.Invalid("7s are not allowed. I've never liked 7s.")
	}
	return nil
}

// Run implements nodes.Node.
func (n *customValidation5) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(canvas(n.Input1 * n.Input2)), nil
}
