package pyjson

import "math/big"

// Truthy is Python's bool of a value; Go values that have no JSON form are true.
func Truthy(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case int64:
		return v != 0
	case int:
		return v != 0
	case *big.Int:
		return v.Sign() != 0
	case float64:
		return v != 0
	case []any:
		return len(v) > 0
	case *Object:
		return v.Len() > 0
	}
	return true
}
