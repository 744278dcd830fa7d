package formula

import (
	"math"
	"math/big"
	"strconv"
)

// maxExponent is the largest exponent of the function pow.
const maxExponent = 4000

// functions are those that expressions can call.
var functions = map[string]func([]any) (any, error){
	"sum": sum, "min": extreme("<"), "max": extreme(">"), "abs": abs, "round": round, "pow": pow,
	"sqrt": real1(math.Sqrt, func(x float64) bool { return x >= 0 }), "ceil": toWhole(math.Ceil), "floor": toWhole(math.Floor),
	"int": toWhole(math.Trunc), "float": toFloat, "log": log,
	"log2": real1(exactLogTo(2), positive), "log10": real1(exactLogTo(10), positive),
	"sin": real1(exactSin, finite), "cos": real1(exactCos, finite), "tan": real1(exactTan, finite),
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
	if len(args) != 1 {
		return nil, wrongCount(args)
	}
	return Float(args[0])
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

// Int cuts off what is behind a number's point.
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
		list := items(args)
		if len(args) == 0 {
			return nil, wrongCount(args)
		}
		if _, isList := args[0].([]any); len(args) == 1 && !isList {
			return nil, fail("TypeError", "a %s alone is nothing to choose from", typeName(args[0]))
		}
		if len(list) == 0 {
			return nil, fail("ValueError", "there are no numbers to choose from")
		}
		best := list[0]
		for _, v := range list[1:] {
			better, err := compare(op, v, best)
			if err != nil {
				return nil, err
			}
			if better {
				best = v
			}
		}
		return best, nil
	}
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
	return operate("**", args[0], args[1])
}

// round rounds halves to the even neighbour; with a number of places the result keeps its type.
func round(args []any) (any, error) {
	if len(args) < 1 || len(args) > 2 {
		return nil, wrongCount(args)
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
