package formula

import (
	"math"
	"math/big"
	"strconv"
	"strings"

	"comfygo/internal/pyjson"
)

// maxExponent is the largest exponent of the function pow.
const maxExponent = 4000

// functions are those that expressions can call.
var functions map[string]func([]any) (any, error)

func init() { // they refer to each other through key functions
	functions = map[string]func([]any) (any, error){
		"sum": sum, "min": extreme("<"), "max": extreme(">"), "abs": abs, "round": round, "pow": pow,
		"sqrt": real1(math.Sqrt, func(x float64) bool { return x >= 0 }), "ceil": toWhole(math.Ceil), "floor": toWhole(math.Floor),
		"int": toInt, "float": toFloat, "log": log,
		"log2": real1(exactLogTo(2), positive), "log10": real1(exactLogTo(10), positive),
		"sin": real1(exactSin, finite), "cos": real1(exactCos, finite), "tan": real1(exactTan, finite),
	}
}

func positive(x float64) bool { return x > 0 }
func finite(x float64) bool   { return !math.IsInf(x, 0) }

func wrongCount(args []any) error { return fail("TypeError", "%d arguments do not fit", len(args)) }

// real1 is a function of one float that is defined where domain says; NaN is passed on.
func real1(f func(float64) float64, domain func(float64) bool) func([]any) (any, error) {
	return func(args []any) (any, error) {
		if len(args) != 1 {
			return nil, wrongCount(args)
		}
		x, err := Float(args[0])
		if err != nil {
			return nil, err
		}
		if !math.IsNaN(x) && !domain(x) {
			return nil, fail("ValueError", "math domain error")
		}
		return f(x), nil
	}
}

func log(args []any) (any, error) {
	ln := real1(exactLog, positive)
	if len(args) != 2 {
		return ln(args)
	}
	x, err := ln(args[:1])
	if err != nil {
		return nil, err
	}
	base, err := ln(args[1:])
	if err != nil {
		return nil, err
	}
	return operate("/", x, base)
}

func toFloat(args []any) (any, error) {
	switch len(args) {
	case 0:
		return 0.0, nil
	case 1:
	default:
		return nil, wrongCount(args)
	}
	if s, ok := args[0].(string); ok {
		f, ok := pyjson.ParseFloat(s)
		if !ok {
			return nil, fail("ValueError", "could not convert a text to float")
		}
		return f, nil
	}
	return Float(args[0])
}

// toInt is int(x), int(text) and int(text, base).
func toInt(args []any) (any, error) {
	base := 10
	if n := len(args); n > 0 {
		given, named := args[n-1].(options)
		switch {
		case named:
			args = append(args[:n-1:n-1], given["base"])
			n = len(args)
		case n == 1:
		}
		if n == 2 {
			b, ok := whole(args[1])
			if _, isText := args[0].(string); !ok || !isText {
				return nil, fail("TypeError", "a base is for a text, and a whole number")
			}
			if !b.IsInt64() || b.Int64() != 0 && (b.Int64() < 2 || b.Int64() > 36) {
				return nil, fail("ValueError", "a base is 0 or between 2 and 36")
			}
			base = int(b.Int64())
		}
	}
	switch len(args) {
	case 0:
		return new(big.Int), nil
	case 1, 2:
	default:
		return nil, wrongCount(args)
	}
	if s, ok := args[0].(string); ok {
		return wholeOfText(s, base)
	}
	return toWhole(math.Trunc)(args)
}

func wholeOfText(s string, base int) (any, error) {
	digits := strings.TrimSpace(s)
	n, ok := new(big.Int).SetString(strings.ReplaceAll(digits, "_", ""), base)
	if !ok || strings.Contains(digits, "__") || strings.HasPrefix(digits, "_") || strings.HasSuffix(digits, "_") || len(digits) > 4300 {
		return nil, fail("ValueError", "the text is no whole number with base %d", base)
	}
	return n, nil
}

func toWhole(round func(float64) float64) func([]any) (any, error) {
	return func(args []any) (any, error) {
		if len(args) != 1 {
			return nil, wrongCount(args)
		}
		if n, ok := whole(args[0]); ok {
			return n, nil
		}
		f, err := Float(args[0])
		if err != nil {
			return nil, err
		}
		return Int(round(f))
	}
}

// Int truncates a number.
func Int(v any) (*big.Int, error) {
	if n, ok := whole(v); ok {
		return n, nil
	}
	f, err := Float(v)
	switch {
	case err != nil:
		return nil, err
	case math.IsNaN(f):
		return nil, fail("ValueError", "cannot convert float NaN to integer")
	case math.IsInf(f, 0):
		return nil, fail("OverflowError", "cannot convert float infinity to integer")
	}
	n, _ := new(big.Float).SetFloat64(math.Trunc(f)).Int(nil)
	return n, nil
}

// items are a function's arguments, or the elements of the list that is its only one.
func items(args []any) []any {
	if len(args) == 1 {
		if l, ok := args[0].([]any); ok {
			return l
		}
	}
	return args
}

func sum(args []any) (any, error) {
	var total any = new(big.Int)
	for _, v := range items(args) {
		var err error
		if total, err = operate("+", total, v); err != nil {
			return nil, err
		}
	}
	return total, nil
}

func extreme(op string) func([]any) (any, error) {
	return func(args []any) (any, error) {
		var given options
		if n := len(args); n > 0 {
			if o, ok := args[n-1].(options); ok {
				given, args = o, args[:n-1]
			}
		}
		if len(args) == 0 {
			return nil, wrongCount(args)
		}
		list := items(args)
		if text, ok := args[0].(string); ok && len(args) == 1 {
			list = nil
			for _, r := range text {
				list = append(list, string(r))
			}
		} else if _, isList := args[0].([]any); len(args) == 1 && !isList {
			return nil, fail("TypeError", "a %s alone is nothing to choose from", typeName(args[0]))
		}
		def, hasDefault := given["default"]
		if hasDefault && len(args) > 1 {
			return nil, fail("TypeError", "a default is for a single list")
		}
		if len(list) == 0 {
			if hasDefault {
				return def, nil
			}
			return nil, fail("ValueError", "there are no numbers to choose from")
		}
		return best(op, list, given["key"])
	}
}

// best is the first of the values that op prefers to all others, by what key makes of them.
func best(op string, list []any, key any) (any, error) {
	measure := func(v any) (any, error) { return v, nil }
	switch k := key.(type) {
	case nil, none:
	case function:
		measure = func(v any) (any, error) { return functions[string(k)]([]any{v}) }
	default:
		return nil, fail("TypeError", "a %s is no function", typeName(key))
	}
	var chosen, measured any
	for i, v := range list {
		m, err := measure(v)
		if err != nil {
			return nil, err
		}
		better := i == 0
		if !better {
			if better, err = compare(op, m, measured); err != nil {
				return nil, err
			}
		}
		if better {
			chosen, measured = v, m
		}
	}
	return chosen, nil
}

func abs(args []any) (any, error) {
	if len(args) != 1 {
		return nil, wrongCount(args)
	}
	if n, ok := whole(args[0]); ok {
		return new(big.Int).Abs(n), nil
	}
	f, err := Float(args[0])
	return math.Abs(f), err
}

func pow(args []any) (any, error) {
	if len(args) != 2 {
		return nil, wrongCount(args)
	}
	e, err := Float(args[1])
	if err != nil {
		return nil, err
	}
	if math.Abs(e) > maxExponent {
		return nil, fail("ValueError", "the exponent %v is above %d", e, maxExponent)
	}
	x, okX := whole(args[0])
	y, okY := whole(args[1])
	if okX && okY { // without the limit on the base that ** has
		return power(x, y)
	}
	return operate("**", args[0], args[1])
}

// round rounds halves to the even neighbour; with a number of places the result keeps its type.
func round(args []any) (any, error) {
	if len(args) < 1 || len(args) > 2 {
		return nil, wrongCount(args)
	}
	if len(args) == 2 && args[1] == (none{}) {
		args = args[:1]
	}
	n, isWhole := whole(args[0])
	if len(args) == 1 {
		if isWhole {
			return n, nil
		}
		f, err := Float(args[0])
		if err != nil {
			return nil, err
		}
		return Int(math.RoundToEven(f))
	}
	places, ok := whole(args[1])
	if !ok || !places.IsInt64() || places.CmpAbs(big.NewInt(400)) > 0 {
		return nil, fail("TypeError", "rounding to a number of places that is no small whole number")
	}
	p := int(places.Int64())
	if isWhole {
		return roundWhole(n, p), nil
	}
	f, err := Float(args[0])
	if err != nil {
		return nil, err
	}
	return roundPlaces(f, p)
}

// roundWhole rounds an integer to tens, hundreds and so on for places below 0.
func roundWhole(n *big.Int, places int) *big.Int {
	if places >= 0 {
		return n
	}
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(-places)), nil)
	q, r := floorDiv(n, unit)
	c := new(big.Int).Lsh(r, 1).Cmp(unit)
	if c > 0 || c == 0 && q.Bit(0) == 1 {
		q.Add(q, big.NewInt(1))
	}
	return q.Mul(q, unit)
}

// roundPlaces rounds by the float's exact decimal value, as Python does.
func roundPlaces(f float64, places int) (any, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return f, nil
	}
	if places >= 0 {
		return strconv.ParseFloat(strconv.FormatFloat(f, 'f', places, 64), 64)
	}
	n, _ := new(big.Float).SetFloat64(math.RoundToEven(f)).Int(nil)
	return Float(roundWhole(n, places))
}
