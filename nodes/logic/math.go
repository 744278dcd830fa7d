package logic

import (
	"errors"
	"math"
	"math/big"
	"strings"

	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/nodes/logic/formula"
)

func init() { nodes.Register(&MathExpression{}) }

// MathExpression computes an expression over its numbers, which are called a, b and so on, and values all together.
type MathExpression struct {
	Expression string      `in:"expression" default:"a + b" multiline:"true"`
	Values     nodes.Grown `in:"values" autogrow:"value" item:"FLOAT,INT,BOOLEAN" names:"a|b|c|d|e|f|g|h|i|j|k|l|m|n|o|p|q|r|s|t|u|v|w|x|y|z" least:"1"`
}

// Spec implements nodes.Node.
func (*MathExpression) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ComfyMathExpression", DisplayName: "Math Expression", Category: "utilities", Module: "comfy_extras.nodes_math", V3: true,
		SearchAliases: []string{"expression", "formula", "calculate", "calculator", "eval", "math"},
		Outputs:       []nodes.Output{{Type: "FLOAT", Name: "FLOAT"}, {Type: "INT", Name: "INT"}, {Type: "BOOLEAN", Name: "BOOL"}},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *MathExpression) Run(*nodes.Context) (nodes.Result, error) {
	fail := func(kind, format string, args ...any) (nodes.Result, error) {
		return nodes.Result{}, nodes.Errorf(kind, format, args...)
	}
	if strings.TrimSpace(n.Expression) == "" {
		return fail("ValueError", "the expression is empty")
	}
	names := map[string]any{"values": n.Values.Values}
	for i, name := range n.Values.Names {
		names[name] = n.Values.Values[i]
	}
	v, err := formula.Eval(n.Expression, names)
	var raised *formula.Error
	switch {
	case errors.As(err, &raised):
		return fail(raised.Class(), "computing %q: %w", n.Expression, err)
	case errors.Is(err, formula.ErrIndentation):
		return fail("IndentationError", "computing %q: %w", n.Expression, err)
	case err != nil:
		return fail("SyntaxError", "computing %q: %w", n.Expression, err)
	}
	switch v.(type) {
	case bool, float64, *big.Int:
	default:
		return fail("ValueError", "computing %q: the result is a %s, not a number", n.Expression, formula.TypeName(v))
	}
	f, err := formula.Float(v)
	if err != nil {
		return fail("ValueError", "computing %q: %w", n.Expression, err)
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return fail("ValueError", "computing %q: the result %s is not finite", n.Expression, pyjson.Repr(f))
	}
	i, err := formula.Int(v)
	if err != nil {
		return fail("ValueError", "computing %q: %w", n.Expression, err)
	}
	if i.IsInt64() {
		return nodes.Out(f, i.Int64(), f != 0), nil
	}
	return nodes.Out(f, i, f != 0), nil
}
