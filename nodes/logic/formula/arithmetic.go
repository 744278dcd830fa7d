package formula

import (
	"fmt"
	"math"
	"math/big"
	"strings"
	"unicode/utf8"
)

// Error is Python's error for a computation without a result.
type Error struct {
	// Kind is the name of Python's exception.
	Kind, Text string
}

// Error implements error.
func (e *Error) Error() string { return e.Text }

// Class is the full name of the exception: those that Python itself does not have are simpleeval's.
func (e *Error) Class() string {
	switch e.Kind {
	case "NameNotDefined", "FunctionNotDefined", "NumberTooHigh", "FeatureNotAvailable", "OperatorNotDefined", "AttributeDoesNotExist", "IterableTooLong", "InvalidExpression":
		return "simpleeval." + e.Kind
	}
	return e.Kind
}

func fail(kind, format string, args ...any) error {
	return &Error{Kind: kind, Text: fmt.Sprintf(format, args...)}
}

const (
	// maxBits bounds whole numbers.
	maxBits = 1 << 20
	// maxPower is the largest base and exponent of **, maxShift the largest count of << and >>.
	maxPower, maxShift = 4_000_000, 10_000
)

// normal gives a value the type that it has in here.
func normal(v any) any {
	switch v := v.(type) {
	case nil:
		return none{}
	case int:
		return big.NewInt(int64(v))
	case int64:
		return big.NewInt(v)
	case uint64:
		return new(big.Int).SetUint64(v)
	case float32:
		return float64(v)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = normal(e)
		}
		return out
	}
	return v
}

func truth(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case *big.Int:
		return v.Sign() != 0
	case float64:
		return v != 0
	case []any:
		return len(v) > 0
	case string:
		return v != ""
	case none:
		return false
	}
	return true
}

// whole returns integers and truth values as integers.
func whole(v any) (*big.Int, bool) {
	switch v := v.(type) {
	case *big.Int:
		return v, true
	case bool:
		if v {
			return big.NewInt(1), true
		}
		return new(big.Int), true
	}
	return nil, false
}

// Float returns a number as a float; it fails for values that are not numbers, and for integers that are
// too large.
func Float(v any) (float64, error) {
	if f, ok := v.(float64); ok {
		return f, nil
	}
	n, ok := whole(v)
	if !ok {
		return 0, fail("TypeError", "a %s is no number", typeName(v))
	}
	f, _ := new(big.Float).SetInt(n).Float64()
	if math.IsInf(f, 0) {
		return 0, fail("OverflowError", "the number is too large for a float")
	}
	return f, nil
}

// TypeName is the name of a value's type in Python.
func TypeName(v any) string { return typeName(v) }

func typeName(v any) string {
	switch v.(type) {
	case string:
		return "str"
	case none:
		return "NoneType"
	case ellipsis:
		return "ellipsis"
	case complexNumber:
		return "complex"
	case function, method:
		return "function"
	case slice:
		return "slice"
	case bool:
		return "bool"
	case *big.Int:
		return "int"
	case float64:
		return "float"
	case []any:
		return "list"
	}
	return "value without a type"
}

func operate(op string, a, b any) (any, error) {
	if op == "[]" {
		return element(a, b)
	}
	if v, ok, err := rows(op, a, b); ok || err != nil {
		return v, err
	}
	x, okX := whole(a)
	y, okY := whole(b)
	if okX && okY {
		p, isP := a.(bool)
		q, isQ := b.(bool)
		if isP && isQ && (op == "&" || op == "|" || op == "^") {
			return map[string]bool{"&": p && q, "|": p || q, "^": p != q}[op], nil
		}
		v, err := wholes(op, x, y)
		if n, ok := v.(*big.Int); ok && n.BitLen() > maxBits {
			return nil, fail("NumberTooHigh", "the result of %s is too large", op)
		}
		return v, err
	}
	f, err := Float(a)
	if err != nil {
		return nil, err
	}
	g, err := Float(b)
	if err != nil {
		return nil, err
	}
	return floats(op, f, g)
}

// maxRow is the largest length of a text or list that is made by + or *.
const maxRow = 100_000

// rows adds and repeats texts and lists; ok is false for other values. Complex numbers stay as they are.
func rows(op string, a, b any) (v any, ok bool, err error) {
	_, c := a.(complexNumber)
	_, d := b.(complexNumber)
	if c && (d || isNumber(b)) || d && isNumber(a) {
		if strings.Contains("+-*/**", op) {
			return complexNumber{}, true, nil
		}
		return nil, true, fail("TypeError", "%s does not take complex numbers", op)
	}
	if op == "*" && length(b) >= 0 {
		a, b = b, a
	}
	n, m := length(a), length(b)
	switch {
	case op == "%" && typeName(a) == "str":
		return nil, true, fail("FeatureNotAvailable", "formatting a text is not available in expressions")
	case op == "+" && n >= 0 && typeName(a) == typeName(b):
		if n+m > maxRow {
			return nil, true, fail("IterableTooLong", "the result of + is too long")
		}
		if s, isText := a.(string); isText {
			return s + b.(string), true, nil
		}
		return append(append([]any(nil), a.([]any)...), b.([]any)...), true, nil
	case op == "*" && n >= 0:
		return repeated(a, b, n)
	}
	return nil, false, nil
}

// repeated is a text or list of n, several times.
func repeated(row, times any, n int) (any, bool, error) {
	w, ok := whole(times)
	if !ok {
		return nil, true, fail("TypeError", "a %s cannot be repeated by a %s", typeName(row), typeName(times))
	}
	if new(big.Int).Mul(w, big.NewInt(int64(n))).Cmp(big.NewInt(maxRow)) > 0 {
		return nil, true, fail("IterableTooLong", "the result of * is too long")
	}
	count := 0
	if n > 0 && w.Sign() > 0 {
		count = int(w.Int64())
	}
	if s, isText := row.(string); isText {
		return strings.Repeat(s, count), true, nil
	}
	out := []any{}
	for range count {
		out = append(out, row.([]any)...)
	}
	return out, true, nil
}

// length is the number of characters of a text or elements of a list; -1 for other values.
func length(v any) int {
	switch v := v.(type) {
	case string:
		return utf8.RuneCountInString(v)
	case []any:
		return len(v)
	}
	return -1
}

// element is container[index].
func element(container, index any) (any, error) {
	l, ok := container.([]any)
	s, isText := container.(string)
	if !ok && !isText {
		return nil, fail("TypeError", "a %s has no elements", typeName(container))
	}
	if isText {
		for _, r := range s {
			l = append(l, string(r))
		}
	}
	if part, ok := index.(slice); ok {
		places, err := part.places(len(l))
		if err != nil {
			return nil, err
		}
		out := []any{}
		var text strings.Builder
		for _, i := range places {
			out = append(out, l[i])
			if isText {
				text.WriteString(l[i].(string))
			}
		}
		if isText {
			return text.String(), nil
		}
		return out, nil
	}
	n, ok := whole(index)
	if !ok {
		return nil, fail("TypeError", "a %s is no index", typeName(index))
	}
	if n.IsInt64() {
		i := n.Int64()
		if i < 0 {
			i += int64(len(l))
		}
		if i >= 0 && i < int64(len(l)) {
			return l[i], nil
		}
	}
	return nil, fail("IndexError", "list index out of range")
}

func wholes(op string, x, y *big.Int) (any, error) {
	z := new(big.Int)
	switch op {
	case "+":
		return z.Add(x, y), nil
	case "-":
		return z.Sub(x, y), nil
	case "*":
		return z.Mul(x, y), nil
	case "&":
		return z.And(x, y), nil
	case "|":
		return z.Or(x, y), nil
	case "^":
		return z.Xor(x, y), nil
	case "**":
		limit := big.NewInt(maxPower)
		if x.CmpAbs(limit) > 0 || y.CmpAbs(limit) > 0 {
			return nil, fail("NumberTooHigh", "%s ** %s is too large", x, y)
		}
		return power(x, y)
	case "<<", ">>":
		return shift(op, x, y)
	}
	if y.Sign() == 0 {
		return nil, divisionByZero(op, true)
	}
	switch op {
	case "/":
		q, _ := new(big.Rat).SetFrac(x, y).Float64()
		if math.IsInf(q, 0) {
			return nil, fail("OverflowError", "integer division result too large for a float")
		}
		return q, nil
	case "//":
		q, _ := floorDiv(x, y)
		return q, nil
	}
	_, r := floorDiv(x, y)
	return r, nil
}

// divisionByZero is the error of an operator in the words that clients know from Python.
func divisionByZero(op string, whole bool) error {
	switch {
	case op == "/" && !whole:
		return fail("ZeroDivisionError", "float division by zero")
	case op == "/":
		return fail("ZeroDivisionError", "division by zero")
	case !whole:
		return fail("ZeroDivisionError", "float modulo")
	}
	return fail("ZeroDivisionError", "integer division or modulo by zero")
}

// floorDiv rounds down, so that the remainder has the divisor's sign.
func floorDiv(x, y *big.Int) (q, r *big.Int) {
	q, r = new(big.Int).QuoRem(x, y, new(big.Int))
	if r.Sign() != 0 && r.Sign() != y.Sign() {
		q.Sub(q, big.NewInt(1))
		r.Add(r, y)
	}
	return q, r
}

func power(x, y *big.Int) (any, error) {
	if y.Sign() < 0 {
		if x.Sign() == 0 {
			return nil, fail("ZeroDivisionError", "0.0 cannot be raised to a negative power")
		}
		f, err := Float(x)
		if err != nil {
			return nil, err
		}
		return exactPow(f, float64(y.Int64())), nil
	}
	if int64(x.BitLen())*y.Int64() > maxBits {
		return nil, fail("NumberTooHigh", "%s ** %s is too large", x, y)
	}
	return new(big.Int).Exp(x, y, nil), nil
}

func shift(op string, x, y *big.Int) (any, error) {
	const maxBase = 1024 // bits, those of the largest float
	if y.CmpAbs(big.NewInt(maxShift)) > 0 || x.BitLen() > maxBase {
		return nil, fail("NumberTooHigh", "a shift of %d bits by %s is too large", x.BitLen(), y)
	}
	if y.Sign() < 0 {
		return nil, fail("ValueError", "negative shift count")
	}
	n := uint(y.Uint64())
	if op == ">>" {
		return new(big.Int).Rsh(x, n), nil
	}
	return new(big.Int).Lsh(x, n), nil
}

func floats(op string, x, y float64) (any, error) {
	switch op {
	case "+":
		return x + y, nil
	case "-":
		return x - y, nil
	case "*":
		return x * y, nil
	case "**":
		return floatPower(x, y)
	case "/", "//", "%":
		if y == 0 {
			return nil, divisionByZero(op, false)
		}
		switch op {
		case "/":
			return x / y, nil
		case "//":
			return math.Floor((x - modulo(x, y)) / y), nil
		}
		return modulo(x, y), nil
	}
	return nil, fail("TypeError", "%s takes whole numbers only", op)
}

// modulo has the divisor's sign.
func modulo(x, y float64) float64 {
	r := math.Mod(x, y)
	if r != 0 && (r < 0) != (y < 0) {
		return r + y
	}
	if r == 0 {
		return math.Copysign(0, y)
	}
	return r
}

func floatPower(x, y float64) (any, error) {
	if math.Abs(x) > maxPower || math.Abs(y) > maxPower {
		return nil, fail("NumberTooHigh", "%v ** %v is too large", x, y)
	}
	if x == 0 && y < 0 {
		return nil, fail("ZeroDivisionError", "0.0 cannot be raised to a negative power")
	}
	z := exactPow(x, y)
	switch {
	case math.IsNaN(z) && !math.IsNaN(x) && !math.IsNaN(y):
		return nil, fail("ValueError", "%v ** %v is no real number", x, y)
	case math.IsInf(z, 0) && !math.IsInf(x, 0) && !math.IsInf(y, 0):
		return nil, fail("OverflowError", "%v ** %v is too large", x, y)
	}
	return z, nil
}

func sign(op string, v any) (any, error) {
	if n, ok := whole(v); ok {
		switch op {
		case "-":
			return new(big.Int).Neg(n), nil
		case "~":
			return new(big.Int).Not(n), nil
		}
		return n, nil
	}
	f, ok := v.(float64)
	switch {
	case !ok || op == "~":
		return nil, fail("TypeError", "%s of a %s", op, typeName(v))
	case op == "-":
		return -f, nil
	}
	return f, nil
}

// exact returns a number without loss; nil means NaN.
func exact(v any) (*big.Float, error) {
	if f, ok := v.(float64); ok {
		if math.IsNaN(f) {
			return nil, nil
		}
		return new(big.Float).SetFloat64(f), nil
	}
	n, ok := whole(v)
	if !ok {
		return nil, fail("TypeError", "a %s is no number", typeName(v))
	}
	return new(big.Float).SetInt(n), nil
}
