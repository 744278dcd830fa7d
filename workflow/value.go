package workflow

import (
	"math"
	"math/big"
	"strconv"
	"strings"

	"comfygo/internal/pyjson"
)

// absent is JavaScript's undefined: what has it as a value is left out of the prompt.
type absent struct{}

// list returns a JSON list, nil for everything else.
func list(v any) []any {
	l, _ := v.([]any)
	return l
}

// at returns an element of a list, or nil.
func at(v any, i int) any {
	l := list(v)
	if i < 0 || i >= len(l) {
		return nil
	}
	return l[i]
}

func str(v any) string {
	s, _ := v.(string)
	return s
}

// object returns a JSON object, an empty one for everything else.
func object(v any) *pyjson.Object {
	if o, ok := v.(*pyjson.Object); ok && o != nil {
		return o
	}
	return pyjson.NewObject()
}

// key is an id as a key of JavaScript's objects, or "".
func key(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int64, float64, *big.Int:
		return jsText(v)
	}
	return ""
}

// whole returns a number that is one, as an int.
func whole(v any) int {
	f, ok := float(v)
	if !ok || f != math.Trunc(f) || math.Abs(f) > 1<<30 {
		return -1
	}
	return int(f)
}

func float(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	case *big.Int:
		f, _ := new(big.Float).SetInt(v).Float64()
		return f, true
	}
	return 0, false
}

// truthy is JavaScript's notion of it.
func truthy(v any) bool {
	switch v := v.(type) {
	case nil, absent:
		return false
	case bool:
		return v
	case string:
		return v != ""
	}
	if f, ok := float(v); ok {
		return f != 0 && !math.IsNaN(f)
	}
	return true
}

// missing reports whether a value is null or undefined.
func missing(v any) bool {
	switch v.(type) {
	case nil, absent:
		return true
	}
	return false
}

// number is a float as JSON shows it: without a point when it is whole.
func number(f float64) any {
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return int64(f)
	}
	return f
}

// jsText is a value as JavaScript makes text of it.
func jsText(v any) string {
	switch v := v.(type) {
	case nil, absent:
		return ""
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case *big.Int:
		return v.String()
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1e21 {
			return strconv.FormatFloat(v, 'f', -1, 64)
		}
		return strings.Replace(strconv.FormatFloat(v, 'g', -1, 64), "e-0", "e-", 1)
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = jsText(e)
		}
		return strings.Join(parts, ",")
	}
	return "[object Object]"
}

// same reports whether two values are equal as JavaScript's === has it for texts, numbers and booleans.
func same(a, b any) bool {
	fa, okA := float(a)
	fb, okB := float(b)
	if okA || okB {
		return okA && okB && fa == fb
	}
	switch a := a.(type) {
	case string:
		return a == b
	case bool:
		return a == b
	}
	return missing(a) && missing(b)
}

// typeText is the type of a slot as text; a list of types is one for choices.
func typeText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []any:
		return typeCombo
	case int64, float64:
		return jsText(v)
	}
	return anyType
}

// connects reports whether a link may run between two types, each of them one type, several with commas between them,
// or any.
func connects(a, b string) bool {
	free := func(t string) bool { return t == "" || t == anyType || t == "0" }
	if free(a) || free(b) || strings.EqualFold(a, b) {
		return true
	}
	if !strings.Contains(a, ",") && !strings.Contains(b, ",") {
		return false
	}
	for _, x := range strings.Split(a, ",") {
		for _, y := range strings.Split(b, ",") {
			if free(x) || free(y) || strings.EqualFold(x, y) {
				return true
			}
		}
	}
	return false
}
