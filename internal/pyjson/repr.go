package pyjson

import (
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"unicode"
)

// Tuple is a list that prints with round brackets.
type Tuple []any

// Str is Python's str of a value: strings as they are, everything else as Repr.
func Str(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return Repr(v)
}

// Repr is Python's repr of a value made of JSON types; other Go values print with fmt.
func Repr(v any) string {
	var b strings.Builder
	repr(&b, v)
	return b.String()
}

func repr(b *strings.Builder, v any) {
	switch v := v.(type) {
	case nil:
		b.WriteString("None")
	case bool:
		if v {
			b.WriteString("True")
		} else {
			b.WriteString("False")
		}
	case string:
		reprString(b, v)
	case *big.Int:
		b.WriteString(v.String())
	case float64:
		b.WriteString(floatText(v, "nan", "inf"))
	case *Object:
		reprObject(b, v)
	case Tuple:
		reprTuple(b, v)
	case []any:
		reprList(b, '[', ']', v)
	case fmt.Stringer:
		b.WriteString(v.String())
	default:
		reprOther(b, reflect.ValueOf(v))
	}
}

func reprOther(b *strings.Builder, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		reprString(b, v.String())
	case reflect.Float32, reflect.Float64:
		b.WriteString(floatText(v.Float(), "nan", "inf"))
	case reflect.Slice, reflect.Array:
		if k := v.Type().Elem().Kind(); k == reflect.Struct || k == reflect.Uint8 {
			fmt.Fprintf(b, "<%s>", v.Type())
			return
		}
		l := make([]any, v.Len())
		for i := range l {
			l[i] = v.Index(i).Interface()
		}
		reprList(b, '[', ']', l)
	case reflect.Pointer, reflect.Struct, reflect.Func, reflect.Chan, reflect.Map:
		fmt.Fprintf(b, "<%s>", v.Type())
	default:
		fmt.Fprint(b, v.Interface())
	}
}

func reprList(b *strings.Builder, open, end byte, l []any) {
	b.WriteByte(open)
	for i, e := range l {
		if i > 0 {
			b.WriteString(", ")
		}
		repr(b, e)
	}
	b.WriteByte(end)
}

func reprTuple(b *strings.Builder, t Tuple) {
	if len(t) == 1 {
		b.WriteByte('(')
		repr(b, t[0])
		b.WriteString(",)")
		return
	}
	reprList(b, '(', ')', t)
}

func reprObject(b *strings.Builder, o *Object) {
	b.WriteByte('{')
	first := true
	for k, v := range o.All() {
		if !first {
			b.WriteString(", ")
		}
		first = false
		reprString(b, k)
		b.WriteString(": ")
		repr(b, v)
	}
	b.WriteByte('}')
}

func reprString(b *strings.Builder, s string) {
	quote := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	b.WriteByte(quote)
	for _, r := range s {
		switch {
		case r == rune(quote) || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(b, `\x%02x`, r)
		case r == ' ' || unicode.IsGraphic(r) && !unicode.Is(unicode.Zs, r):
			b.WriteRune(r)
		case r <= 0xff:
			fmt.Fprintf(b, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(b, `\u%04x`, r)
		default:
			fmt.Fprintf(b, `\U%08x`, r)
		}
	}
	b.WriteByte(quote)
}

// TypeName is Python's name of a value's type, as messages show it.
func TypeName(v any) string {
	switch v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int64, int, *big.Int:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case *Object:
		return "dict"
	case []any:
		return "list"
	case Tuple:
		return "tuple"
	}
	return fmt.Sprintf("%T", v)
}

// IsInt reports whether a value is an integer of any size.
func IsInt(v any) bool {
	switch v.(type) {
	case int64, int, *big.Int:
		return true
	}
	return false
}
