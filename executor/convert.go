package executor

import (
	"fmt"
	"math"
	"math/big"
	"strings"

	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// convert converts a raw value to a widget's type, as Python's int, float, str and bool do. The error's text is Python's.
func convert(typ string, v any) (any, error) {
	switch typ {
	case "INT":
		return toInt(v)
	case "FLOAT":
		return toFloat(v)
	case "STRING":
		return pyjson.Str(v), nil
	case "BOOLEAN":
		return pyjson.Truthy(v), nil
	}
	return v, nil
}

func toInt(v any) (any, error) {
	switch v := v.(type) {
	case int64, *big.Int:
		return v, nil
	case bool:
		if v {
			return int64(1), nil
		}
		return int64(0), nil
	case string:
		if n, ok := pyjson.ParseInt(v); ok {
			return n, nil
		}
		return nil, nodes.Errorf("ValueError", "invalid literal for int() with base 10: %s", pyjson.Repr(v))
	case float64:
		switch {
		case math.IsNaN(v):
			return nil, nodes.Errorf("ValueError", "cannot convert float NaN to integer")
		case math.IsInf(v, 0):
			return nil, nodes.Errorf("OverflowError", "cannot convert float infinity to integer")
		case math.Abs(v) < 1<<62:
			return int64(v), nil
		}
		n, _ := big.NewFloat(v).Int(nil)
		return small(n), nil
	}
	return nil, nodes.Errorf("TypeError", "int() argument must be a string, a bytes-like object or a real number, not '%s'", pyjson.TypeName(v))
}

// small returns an integer in the form that decoding gives it.
func small(n *big.Int) any {
	if n.IsInt64() {
		return n.Int64()
	}
	return n
}

func toFloat(v any) (any, error) {
	switch v := v.(type) {
	case float64:
		return v, nil
	case int64:
		return float64(v), nil
	case *big.Int:
		f, _ := new(big.Float).SetInt(v).Float64()
		if math.IsInf(f, 0) {
			return nil, nodes.Errorf("OverflowError", "int too large to convert to float")
		}
		return f, nil
	case bool:
		if v {
			return 1.0, nil
		}
		return 0.0, nil
	case string:
		return parseFloat(v)
	}
	return nil, nodes.Errorf("TypeError", "float() argument must be a string or a real number, not '%s'", pyjson.TypeName(v))
}

func parseFloat(text string) (any, error) {
	f, ok := pyjson.ParseFloat(text)
	if !ok {
		return nil, nodes.Errorf("ValueError", "could not convert string to float: %s", pyjson.Repr(text))
	}
	return f, nil
}

// pyEqual is Python's == for JSON values: 1, 1.0 and true are equal.
func pyEqual(a, b any) bool {
	switch a := a.(type) {
	case nil:
		return b == nil
	case string:
		s, ok := b.(string)
		return ok && a == s
	case []any:
		l, ok := b.([]any)
		if !ok || len(l) != len(a) {
			return false
		}
		for i := range a {
			if !pyEqual(a[i], l[i]) {
				return false
			}
		}
		return true
	case *pyjson.Object:
		o, ok := b.(*pyjson.Object)
		if !ok || o.Len() != a.Len() {
			return false
		}
		for k, v := range a.All() {
			w, there := o.Get(k)
			if !there || !pyEqual(v, w) {
				return false
			}
		}
		return true
	}
	if f, ok := a.(float64); ok && math.IsInf(f, 0) {
		return a == b
	}
	x, ok1 := nodes.Number(a)
	y, ok2 := nodes.Number(b)
	return ok1 && ok2 && x.Cmp(y) == 0
}

// contains reports whether a list holds a value.
func contains(list []any, v any) bool {
	for _, e := range list {
		if pyEqual(e, v) {
			return true
		}
	}
	return false
}

// less is Python's < for numbers; ok is false for other values.
func less(a, b any) (lt, ok bool) {
	x, xf, ok1 := operand(a)
	y, yf, ok2 := operand(b)
	if x == nil || y == nil { // NaN or infinite
		return xf < yf, ok1 && ok2
	}
	return x.Cmp(y) < 0, true
}

func operand(v any) (*big.Rat, float64, bool) {
	if f, ok := v.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
		return nil, f, true
	}
	r, ok := nodes.Number(v)
	if !ok {
		return nil, 0, false
	}
	f, _ := r.Float64()
	return r, f, true
}

func unordered(sign string, a, b any) error {
	return nodes.Errorf("TypeError", "'%s' not supported between instances of '%s' and '%s'", sign, pyjson.TypeName(a), pyjson.TypeName(b))
}

// joinRepr joins the repr of values.
func joinRepr(list []any) string {
	parts := make([]string, len(list))
	for i, v := range list {
		parts[i] = pyjson.Repr(v)
	}
	return strings.Join(parts, ", ")
}

func keyError(key any) error {
	return nodes.Errorf("KeyError", "%s", pyjson.Repr(key))
}

func badPrompt(format string, args ...any) error {
	return fmt.Errorf("validating the prompt: "+format, args...)
}
