package pyjson

import (
	"fmt"
	"math"
	"math/big"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Appender is implemented by values that write their own JSON.
type Appender interface {
	AppendJSON(b []byte) ([]byte, error)
}

// Raw is JSON text that is written as it is.
type Raw string

// Marshal writes a value as Python's json.dumps does with its defaults: ", " and ": " between items,
// everything beyond ASCII escaped, floats as repr writes them. Besides decoded values it takes any Go
// bool, integer, float, string, slice, array, pointer to them, and maps with string keys (written sorted).
func Marshal(v any) ([]byte, error) {
	return Append(nil, v)
}

// Append is Marshal to the end of b.
func Append(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case string:
		return AppendString(b, v), nil
	case Appender:
		return v.AppendJSON(b)
	case Raw:
		return append(b, v...), nil
	case int:
		return strconv.AppendInt(b, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case float64:
		return append(b, floatText(v, "NaN", "Infinity")...), nil
	case *big.Int:
		return v.Append(b, 10), nil
	case *Object:
		if v == nil {
			return append(b, "null"...), nil
		}
		return appendObject(b, v)
	case []any:
		return appendList(b, len(v), func(i int) any { return v[i] })
	}
	return appendReflect(b, reflect.ValueOf(v))
}

func appendObject(b []byte, o *Object) ([]byte, error) {
	b = append(b, '{')
	var err error
	for i, k := range o.keys {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = AppendString(b, k)
		b = append(b, ": "...)
		if b, err = Append(b, o.vals[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", k, err)
		}
	}
	return append(b, '}'), nil
}

func appendList(b []byte, n int, at func(int) any) ([]byte, error) {
	b = append(b, '[')
	var err error
	for i := range n {
		if i > 0 {
			b = append(b, ", "...)
		}
		if b, err = Append(b, at(i)); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

func appendReflect(b []byte, v reflect.Value) ([]byte, error) {
	switch v.Kind() {
	case reflect.Bool:
		return strconv.AppendBool(b, v.Bool()), nil
	case reflect.String:
		return AppendString(b, v.String()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.AppendInt(b, v.Int(), 10), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.AppendUint(b, v.Uint(), 10), nil
	case reflect.Float32, reflect.Float64:
		return append(b, floatText(v.Float(), "NaN", "Infinity")...), nil
	case reflect.Slice, reflect.Array:
		return appendList(b, v.Len(), func(i int) any { return v.Index(i).Interface() })
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return append(b, "null"...), nil
		}
		return Append(b, v.Elem().Interface())
	case reflect.Map:
		if v.Type().Key().Kind() == reflect.String {
			return appendMap(b, v)
		}
	}
	return nil, fmt.Errorf("writing json: %s has no json form", v.Type())
}

func appendMap(b []byte, v reflect.Value) ([]byte, error) {
	if v.IsNil() {
		return append(b, "null"...), nil
	}
	keys := v.MapKeys()
	sort.Slice(keys, func(i, j int) bool { return keys[i].String() < keys[j].String() })
	o := &Object{}
	for _, k := range keys {
		o.Set(k.String(), v.MapIndex(k).Interface())
	}
	return appendObject(b, o)
}

const hexDigits = "0123456789abcdef"

// AppendString writes a JSON string with everything beyond ASCII escaped.
func AppendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			i++
			if at := strings.IndexByte("\"\\\n\r\t\b\f", c); at >= 0 {
				b = append(b, '\\', `"\nrtbf`[at])
			} else if c < 0x20 || c == 0x7f {
				b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			} else {
				b = append(b, c)
			}
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		i += n
		if r > 0xffff {
			r -= 0x10000
			b = appendHex4(b, 0xd800+r>>10)
			b = appendHex4(b, 0xdc00+r&0x3ff)
			continue
		}
		b = appendHex4(b, r)
	}
	return append(b, '"')
}

func appendHex4(b []byte, r rune) []byte {
	return append(b, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}

// floatText is Python's repr of a float, with the given words for values that are not finite.
func floatText(f float64, nan, inf string) string {
	switch {
	case math.IsNaN(f):
		return nan
	case math.IsInf(f, 1):
		return inf
	case math.IsInf(f, -1):
		return "-" + inf
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}
