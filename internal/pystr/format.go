package pystr

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"comfygo/internal/pyjson"
)

// FormatError is the error that Python raises for an invalid format string or value.
type FormatError struct{ Type, Text string }

// Error returns the text.
func (e *FormatError) Error() string { return e.Text }

// ExceptionType is the name that clients see.
func (e *FormatError) ExceptionType() string { return e.Type }

func raise(typ, format string, args ...any) error {
	return &FormatError{typ, fmt.Sprintf(format, args...)}
}

// Formatter is Python's str.format(**values) over values as pyjson has them.
type Formatter struct {
	// Value returns a value by name; ok is false if it is missing.
	Value func(name string) (v any, ok bool)
	// Str writes a value as Python's str does; nil means pyjson.Str.
	Str func(v any) string
}

// Format fills a format string.
func (f *Formatter) Format(format string) (string, error) {
	if f.Str == nil {
		f.Str = pyjson.Str
	}
	return f.fill(format, 2)
}

// fill replaces the fields of a text; depth counts the nesting of format specs that is left, as Python counts it.
func (f *Formatter) fill(format string, depth int) (string, error) {
	if depth == 0 {
		return "", raise("ValueError", "Max string recursion exceeded")
	}
	var b strings.Builder
	for i := 0; i < len(format); {
		c := format[i]
		switch {
		case c != '{' && c != '}':
			end := strings.IndexAny(format[i:], "{}")
			if end < 0 {
				end = len(format) - i
			}
			b.WriteString(format[i : i+end])
			i += end
		case i+1 < len(format) && format[i+1] == c:
			b.WriteByte(c)
			i += 2
		case c == '}':
			return "", raise("ValueError", "Single '}' encountered in format string")
		default:
			if i+1 == len(format) {
				return "", raise("ValueError", "Single '{' encountered in format string")
			}
			end := closing(format, i+1)
			if end < 0 {
				return "", raise("ValueError", "expected '}' before end of string")
			}
			text, err := f.field(format[i+1:end], depth)
			if err != nil {
				return "", err
			}
			b.WriteString(text)
			i = end + 1
		}
		if err := CheckSize(b.Len()); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

// closing returns the index of the brace that closes a field, or a negative number. Braces between [ and ] before the spec do not count.
func closing(s string, from int) int {
	open, bracket := 1, false
	for i := from; i < len(s); i++ {
		switch c := s[i]; {
		case bracket:
			bracket = c != ']'
		case c == '[' && open == 1 && !strings.ContainsAny(s[from:i], ":!"):
			bracket = true
		case c == '{':
			open++
		case c == '}':
			if open--; open == 0 {
				return i
			}
		}
	}
	return -1
}

// field evaluates name!conversion:spec.
func (f *Formatter) field(field string, depth int) (string, error) {
	name, conversion, spec, err := splitField(field)
	if err != nil {
		return "", err
	}
	v, err := f.lookup(name)
	if err != nil {
		return "", err
	}
	switch conversion {
	case "":
	case "s":
		v = f.Str(v)
	case "r":
		v = f.repr(v)
	case "a":
		v = ascii(f.repr(v))
	default:
		return "", raise("ValueError", "Unknown conversion specifier %s", conversion)
	}
	if strings.ContainsAny(spec, "{}") {
		if spec, err = f.fill(spec, depth-1); err != nil {
			return "", err
		}
	}
	return f.formatted(v, spec)
}

func (f *Formatter) repr(v any) string {
	switch v.(type) {
	case nil, bool, int64, float64, string, *big.Int, []any, *pyjson.Object:
		return pyjson.Repr(v)
	}
	return f.Str(v)
}

// ascii escapes non-ASCII characters, as Python's ascii does.
func ascii(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r < 0x80:
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	return b.String()
}

func splitField(field string) (name, conversion, spec string, err error) {
	bracket := false
	for i := 0; i < len(field); i++ {
		switch c := field[i]; {
		case bracket:
			bracket = c != ']'
		case c == '[':
			bracket = true
		case c == '{':
			return "", "", "", raise("ValueError", "unexpected '{' in field name")
		case c == ':':
			return field[:i], "", field[i+1:], nil
		case c == '!':
			rest := field[i+1:]
			if rest == "" {
				return "", "", "", raise("ValueError", "end of string while looking for conversion specifier")
			}
			r := []rune(rest)
			after := string(r[1:])
			if after != "" && after[0] != ':' {
				return "", "", "", raise("ValueError", "expected ':' after conversion specifier")
			}
			return field[:i], string(r[0]), strings.TrimPrefix(after, ":"), nil
		}
	}
	return field, "", "", nil
}

// lookup follows a name with its [keys]; attributes are those that numbers have.
func (f *Formatter) lookup(name string) (any, error) {
	end := strings.IndexAny(name, ".[")
	if end < 0 {
		end = len(name)
	}
	first, rest := name[:end], name[end:]
	if first == "" {
		return nil, raise("IndexError", "Replacement index 0 out of range for positional args tuple")
	}
	if n, err := strconv.ParseUint(first, 10, 63); err == nil {
		return nil, raise("IndexError", "Replacement index %d out of range for positional args tuple", n)
	}
	v, ok := f.Value(first)
	if !ok {
		return nil, raise("KeyError", "'%s'", first)
	}
	for rest != "" {
		var err error
		if rest[0] == '.' {
			end := strings.IndexAny(rest[1:], ".[") + 1
			if end == 0 {
				end = len(rest)
			}
			if end == 1 {
				return nil, raise("ValueError", "Empty attribute in format string")
			}
			v, err = attribute(v, rest[1:end])
			rest = rest[end:]
		} else {
			end := strings.IndexByte(rest, ']')
			if end < 0 {
				return nil, raise("ValueError", "Missing ']' in format string")
			}
			if end == 1 {
				return nil, raise("ValueError", "Empty attribute in format string")
			}
			v, err = item(v, rest[1:end])
			if rest = rest[end+1:]; rest != "" && rest[0] != '.' && rest[0] != '[' {
				return nil, raise("ValueError", "Only '.' or '[' may follow ']' in format field specifier")
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return v, nil
}

func attribute(v any, name string) (any, error) {
	switch n := v.(type) {
	case bool, int64, *big.Int:
		whole, _ := integer(n)
		switch name {
		case "real", "numerator":
			return whole, nil
		case "imag":
			return int64(0), nil
		case "denominator":
			return int64(1), nil
		}
	case float64:
		switch name {
		case "real":
			return n, nil
		case "imag":
			return 0.0, nil
		}
	}
	return nil, raise("AttributeError", "'%s' object has no attribute '%s'", pyjson.TypeName(v), name)
}

// item is v[key]; a key of digits is a number.
func item(v any, key string) (any, error) {
	n, err := strconv.ParseUint(key, 10, 63)
	isNumber := err == nil
	switch v := v.(type) {
	case *pyjson.Object:
		if e, ok := v.Get(key); ok && !isNumber {
			return e, nil
		}
		if isNumber {
			return nil, raise("KeyError", "%d", n)
		}
		return nil, raise("KeyError", "'%s'", key)
	case []any:
		if !isNumber {
			return nil, raise("TypeError", "list indices must be integers or slices, not str")
		}
		if n >= uint64(len(v)) {
			return nil, raise("IndexError", "list index out of range")
		}
		return v[n], nil
	case string:
		r := []rune(v)
		if !isNumber {
			return nil, raise("TypeError", "string indices must be integers, not 'str'")
		}
		if n >= uint64(len(r)) {
			return nil, raise("IndexError", "string index out of range")
		}
		return string(r[n]), nil
	}
	return nil, raise("TypeError", "'%s' object is not subscriptable", pyjson.TypeName(v))
}
