package formula

import (
	"math"
	"math/big"
	"strings"
)

// Values that are not numbers, beside string and []any.
type (
	none          struct{}                 // None
	ellipsis      struct{}                 // ...
	complexNumber struct{}                 // any complex number: there is nothing to be done with one
	function      string                   // a function by name, as a value
	method        func([]any) (any, error) // a method of a value
)

// forbidden are attributes that simpleeval refuses whatever they belong to.
var forbidden = map[string]bool{"format": true, "format_map": true, "mro": true, "tb_frame": true, "gi_frame": true, "ag_frame": true, "cr_frame": true, "exec": true}

// attributeOf is e.name.
func attributeOf(e expr, name string) expr {
	return expr{kind: attribute, eval: func(s *scope) (any, error) {
		if strings.HasPrefix(name, "_") || strings.HasPrefix(name, "func_") || forbidden[name] {
			return nil, fail("FeatureNotAvailable", "the attribute %q is not available", name)
		}
		v, err := e.eval(s)
		if err != nil {
			return nil, err
		}
		return attributeValue(v, name)
	}}
}

func attributeValue(v any, name string) (any, error) {
	var table map[string]func(v any) any
	offered := "" // attributes that Python has and that are not available here
	switch v.(type) {
	case bool, *big.Int:
		table, offered = wholeAttributes, " to_bytes from_bytes "
	case float64:
		table, offered = floatAttributes, " hex fromhex "
	case []any:
		table, offered = listAttributes, " append clear extend insert pop remove reverse sort "
	case string:
		offered = textMethods
	case complexNumber:
		offered = " real imag conjugate "
	}
	if f, ok := table[name]; ok {
		return f(v), nil
	}
	if strings.Contains(offered, " "+name+" ") {
		return nil, fail("FeatureNotAvailable", "the attribute %q of a %s is not available", name, typeName(v))
	}
	return nil, fail("AttributeDoesNotExist", "a %s has no attribute %q", typeName(v), name)
}

const textMethods = " capitalize casefold center count encode endswith expandtabs find index isalnum isalpha isascii isdecimal isdigit isidentifier " +
	"islower isnumeric isprintable isspace istitle isupper join ljust lower lstrip maketrans partition removeprefix removesuffix replace rfind rindex " +
	"rjust rpartition rsplit rstrip split splitlines startswith strip swapcase title translate upper zfill "

// asWhole is an integer or truth value as an integer.
func asWhole(v any) *big.Int {
	n, _ := whole(v)
	return n
}

// without makes a method that takes no arguments.
func without(f func(v any) (any, error)) func(v any) any {
	return func(v any) any {
		return method(func(args []any) (any, error) {
			if len(args) > 0 {
				return nil, wrongCount(args)
			}
			return f(v)
		})
	}
}

var wholeAttributes = map[string]func(v any) any{
	"real": func(v any) any { return asWhole(v) }, "numerator": func(v any) any { return asWhole(v) },
	"imag": func(any) any { return new(big.Int) }, "denominator": func(any) any { return big.NewInt(1) },
	"conjugate":        without(func(v any) (any, error) { return asWhole(v), nil }),
	"bit_length":       without(func(v any) (any, error) { return big.NewInt(int64(asWhole(v).BitLen())), nil }),
	"as_integer_ratio": without(func(v any) (any, error) { return []any{asWhole(v), big.NewInt(1)}, nil }),
	"bit_count": without(func(v any) (any, error) {
		n := 0
		for _, b := range new(big.Int).Abs(asWhole(v)).Bytes() {
			for ; b != 0; b &= b - 1 {
				n++
			}
		}
		return big.NewInt(int64(n)), nil
	}),
}

var floatAttributes = map[string]func(v any) any{
	"real": func(v any) any { return v }, "imag": func(any) any { return 0.0 },
	"conjugate":  without(func(v any) (any, error) { return v, nil }),
	"is_integer": without(func(v any) (any, error) { f := v.(float64); return f == math.Trunc(f) && !math.IsInf(f, 0), nil }),
	"as_integer_ratio": without(func(v any) (any, error) {
		f := v.(float64)
		switch {
		case math.IsNaN(f):
			return nil, fail("ValueError", "cannot convert NaN to integer ratio")
		case math.IsInf(f, 0):
			return nil, fail("OverflowError", "cannot convert Infinity to integer ratio")
		}
		r := new(big.Rat).SetFloat64(f)
		return []any{new(big.Int).Set(r.Num()), new(big.Int).Set(r.Denom())}, nil
	}),
}

var listAttributes = map[string]func(v any) any{
	"copy": without(func(v any) (any, error) { return append([]any(nil), v.([]any)...), nil }),
	"count": func(v any) any {
		return method(func(args []any) (any, error) {
			if len(args) != 1 {
				return nil, wrongCount(args)
			}
			n := int64(0)
			for _, e := range v.([]any) {
				if equal(e, args[0]) {
					n++
				}
			}
			return big.NewInt(n), nil
		})
	},
	"index": func(v any) any {
		return method(func(args []any) (any, error) {
			if len(args) != 1 {
				return nil, wrongCount(args)
			}
			for i, e := range v.([]any) {
				if equal(e, args[0]) {
					return big.NewInt(int64(i)), nil
				}
			}
			return nil, fail("ValueError", "the value is not in the list")
		})
	},
}
