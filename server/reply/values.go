package reply

import (
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
)

// IntQuery reads a query parameter as Python's int does.
func IntQuery(c echo.Context, name string) (n int, given bool, err error) {
	text, given := Query(c, name)
	if !given {
		return 0, false, nil
	}
	v, ok := pyjson.ParseInt(text)
	if !ok {
		return 0, true, Trouble("reading %s: %q is no integer", name, text)
	}
	switch v := v.(type) {
	case int64:
		const bound = 1 << 40 // far beyond every list, and safe to calculate with
		return int(max(-bound, min(bound, v))), true, nil
	case *big.Int:
		return v.Sign() << 40, true, nil
	}
	return 0, true, Trouble("reading %s: %q is no integer", name, text)
}

// NumberOf returns a number of an object, or 0 if it is missing or not a number.
func NumberOf(o *pyjson.Object, key string) float64 {
	v, _ := o.Get(key)
	f, err := ToFloat(v)
	if err != nil {
		return 0
	}
	return f
}

// ToFloat is Python's float of a decoded value.
func ToFloat(v any) (float64, error) {
	switch v := v.(type) {
	case bool:
		if v {
			return 1, nil
		}
		return 0, nil
	case int64:
		return float64(v), nil
	case *big.Int:
		f, _ := new(big.Float).SetInt(v).Float64()
		return f, nil
	case float64:
		return v, nil
	case string:
		f, ok := pyjson.ParseFloat(v)
		if !ok {
			return 0, fmt.Errorf("%q is no number", v)
		}
		return f, nil
	}
	return 0, fmt.Errorf("a %s is no number", pyjson.TypeName(v))
}

// IsJobID reports whether an id is a UUID in its canonical form, lower case with hyphens.
func IsJobID(id string) bool {
	u, err := uuid.Parse(id)
	return err == nil && u.String() == id
}

// OrEmpty is the object, or an empty one for nil.
func OrEmpty(o *pyjson.Object) *pyjson.Object {
	if o == nil {
		return pyjson.NewObject()
	}
	return o
}

// Strs is a list of texts as a JSON list.
func Strs(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

// Seconds is a time as Python's float of seconds.
func Seconds(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }

// Flagged reports whether a query parameter is "true", in any case of letters.
func Flagged(c echo.Context, name string) bool {
	v, _ := Query(c, name)
	return strings.EqualFold(v, "true")
}
