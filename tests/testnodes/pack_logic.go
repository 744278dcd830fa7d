package testnodes

import (
	"math"
	"math/big"
	"regexp"
	"strings"

	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

func logic(name, display, output string) nodes.Spec {
	return pack(name, display, "Testing/Logic", output)
}

// compare applies a comparison to the sign of a comparison.
func compare(sign int, operation string) (nodes.Result, error) {
	switch operation {
	case "==":
		return nodes.Out(sign == 0), nil
	case "!=":
		return nodes.Out(sign != 0), nil
	case "<":
		return nodes.Out(sign < 0), nil
	case ">":
		return nodes.Out(sign > 0), nil
	case "<=":
		return nodes.Out(sign <= 0), nil
	case ">=":
		return nodes.Out(sign >= 0), nil
	}
	return nodes.Result{}, nodes.Errorf("ValueError", "unknown comparison %s", operation)
}

type intConditions struct {
	A         *big.Int `in:"a" type:"INT" default:"0" min:"-18446744073709551615" max:"18446744073709551615" step:"1"`
	B         *big.Int `in:"b" type:"INT" default:"0" min:"-18446744073709551615" max:"18446744073709551615" step:"1"`
	Operation string   `in:"operation" options:"=\"==\"|!=|<|>|<=|>="`
}

// Spec implements nodes.Node.
func (*intConditions) Spec() nodes.Spec {
	return logic("TestIntConditions", "Int Condition", "BOOLEAN")
}

// Run implements nodes.Node.
func (n *intConditions) Run(*nodes.Context) (nodes.Result, error) {
	return compare(n.A.Cmp(n.B), n.Operation)
}

type floatConditions struct {
	A         float64 `in:"a" default:"0" min:"-999999999999.0" max:"999999999999.0" step:"1"`
	B         float64 `in:"b" default:"0" min:"-999999999999.0" max:"999999999999.0" step:"1"`
	Operation string  `in:"operation" options:"=\"==\"|!=|<|>|<=|>="`
}

// Spec implements nodes.Node.
func (*floatConditions) Spec() nodes.Spec {
	return logic("TestFloatConditions", "Float Condition", "BOOLEAN")
}

// Run implements nodes.Node.
func (n *floatConditions) Run(*nodes.Context) (nodes.Result, error) {
	sign := 0
	switch {
	case n.A < n.B:
		sign = -1
	case n.A > n.B:
		sign = 1
	}
	return compare(sign, n.Operation)
}

type stringConditions struct {
	A             string `in:"a" multiline:"false"`
	B             string `in:"b" multiline:"false"`
	Operation     string `in:"operation" options:"a == b|a != b|a IN b|a MATCH REGEX(b)|a BEGINSWITH b|a ENDSWITH b"`
	CaseSensitive bool   `in:"case_sensitive" default:"true"`
}

// Spec implements nodes.Node.
func (*stringConditions) Spec() nodes.Spec {
	return logic("TestStringConditions", "String Condition", "BOOLEAN")
}

// Run implements nodes.Node.
func (n *stringConditions) Run(*nodes.Context) (nodes.Result, error) {
	a, b := n.A, n.B
	if !n.CaseSensitive {
		a, b = strings.ToLower(a), strings.ToLower(b)
	}
	switch n.Operation {
	case "a == b":
		return nodes.Out(a == b), nil
	case "a != b":
		return nodes.Out(a != b), nil
	case "a IN b":
		return nodes.Out(strings.Contains(b, a)), nil
	case "a MATCH REGEX(b)":
		re, err := regexp.Compile(`^(?:` + b + `)`)
		return nodes.Out(err == nil && re.MatchString(a)), nil
	case "a BEGINSWITH b":
		return nodes.Out(strings.HasPrefix(a, b)), nil
	}
	return nodes.Out(strings.HasSuffix(a, b)), nil
}

type toBool struct {
	Value  any  `in:"value"`
	Invert bool `in:"invert" optional:"true" default:"false"`
}

// Spec implements nodes.Node.
func (*toBool) Spec() nodes.Spec { return logic("TestToBoolNode", "To Bool", "BOOLEAN") }

// Run implements nodes.Node.
func (n *toBool) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(truth(n.Value) != n.Invert), nil
}

// truth is Python's, and of an image whether it is not all black.
func truth(v any) bool {
	if t, ok := v.(*tensor.Tensor); ok {
		lo, hi := bounds(t)
		return lo != 0 || hi != 0
	}
	return pyjson.Truthy(v)
}

type boolOperation struct {
	A  bool   `in:"a"`
	B  bool   `in:"b"`
	Op string `in:"op" options:"a AND b|a OR b|a XOR b|NOT a"`
}

// Spec implements nodes.Node.
func (*boolOperation) Spec() nodes.Spec {
	return logic("TestBoolOperationNode", "Bool Operation", "BOOLEAN")
}

// Run implements nodes.Node.
func (n *boolOperation) Run(*nodes.Context) (nodes.Result, error) {
	switch n.Op {
	case "a AND b":
		return nodes.Out(n.A && n.B), nil
	case "a OR b":
		return nodes.Out(n.A || n.B), nil
	case "a XOR b":
		return nodes.Out(n.A != n.B), nil
	}
	return nodes.Out(!n.A), nil
}

// intMath calculates with integers of any size, as Python does.
type intMath struct {
	A         *big.Int `in:"a" type:"INT" default:"0" min:"-18446744073709551615" max:"18446744073709551615" step:"1"`
	B         *big.Int `in:"b" type:"INT" default:"0" min:"-18446744073709551615" max:"18446744073709551615" step:"1"`
	Operation string   `in:"operation" options:"add|subtract|multiply|divide|modulo|power"`
}

// Spec implements nodes.Node.
func (*intMath) Spec() nodes.Spec { return logic("TestIntMathOperation", "Int Math Operation", "INT") }

// largestPower bounds the size of results.
const largestPower = 1 << 16

// Run implements nodes.Node.
func (n *intMath) Run(*nodes.Context) (nodes.Result, error) {
	out := new(big.Int)
	switch n.Operation {
	case "add":
		out.Add(n.A, n.B)
	case "subtract":
		out.Sub(n.A, n.B)
	case "multiply":
		out.Mul(n.A, n.B)
	case "power":
		if n.B.Sign() < 0 {
			a, _ := new(big.Float).SetInt(n.A).Float64()
			b, _ := new(big.Float).SetInt(n.B).Float64()
			return nodes.Out(math.Pow(a, b)), nil
		}
		if !n.B.IsInt64() || n.B.Int64()*int64(n.A.BitLen()) > largestPower {
			return nodes.Result{}, nodes.Errorf("OverflowError", "the power is too large")
		}
		out.Exp(n.A, n.B, nil)
	default:
		if n.B.Sign() == 0 {
			return nodes.Result{}, nodes.Errorf("ZeroDivisionError", "integer division or modulo by zero")
		}
		out = floorDivide(n.A, n.B, n.Operation == "modulo")
	}
	if out.IsInt64() {
		return nodes.Out(out.Int64()), nil
	}
	return nodes.Out(out), nil
}

// floorDivide rounds down, and the remainder has the divisor's sign.
func floorDivide(a, b *big.Int, rest bool) *big.Int {
	q, m := new(big.Int).QuoRem(a, b, new(big.Int))
	if m.Sign() != 0 && m.Sign() != b.Sign() {
		q.Sub(q, big.NewInt(1))
		m.Add(m, b)
	}
	if rest {
		return m
	}
	return q
}
