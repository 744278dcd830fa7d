package formula

import (
	"math/big"
	"strings"
)

// compare holds two values against each other by an operator.
func compare(op string, a, b any) (bool, error) {
	switch op {
	case "==":
		return equal(a, b), nil
	case "!=":
		return !equal(a, b), nil
	case "in":
		return contains(b, a)
	case "not in":
		has, err := contains(b, a)
		return !has, err
	case "is":
		return same(a, b), nil
	case "is not":
		return !same(a, b), nil
	}
	order, comparable, err := ordering(op, a, b)
	if err != nil || !comparable { // one is NaN
		return false, err
	}
	return map[string]bool{"<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[op], nil
}

// equal is Python's ==, which compares anything.
func equal(a, b any) bool {
	if la, ok := a.([]any); ok {
		lb, ok := b.([]any)
		if !ok || len(la) != len(lb) {
			return false
		}
		for i := range la {
			if !equal(la[i], lb[i]) {
				return false
			}
		}
		return true
	}
	if isNumber(a) && isNumber(b) {
		x, _ := exact(a)
		y, _ := exact(b)
		return x != nil && y != nil && x.Cmp(y) == 0
	}
	return plain(a) && plain(b) && a == b
}

// plain reports values that Go compares by their content.
func plain(v any) bool {
	switch v.(type) {
	case string, none, ellipsis, function:
		return true
	}
	return false
}

func isNumber(v any) bool {
	_, isFloat := v.(float64)
	_, isWhole := whole(v)
	return isFloat || isWhole
}

// smallest and largest bound the integers that are single objects in Python.
var smallest, largest = big.NewInt(-5), big.NewInt(256)

// same is Python's `is` as far as values tell: truth values, None and small integers are one object each, a larger integer is the same
// object where it comes from the same name.
func same(a, b any) bool {
	switch x := a.(type) {
	case bool:
		y, ok := b.(bool)
		return ok && x == y
	case *big.Int:
		y, ok := b.(*big.Int)
		return ok && (x == y || x.Cmp(y) == 0 && x.Cmp(smallest) >= 0 && x.Cmp(largest) <= 0)
	case float64:
		y, ok := b.(float64)
		return ok && x == y
	case []any:
		y, ok := b.([]any)
		return ok && len(x) == len(y) && len(x) > 0 && &x[0] == &y[0]
	}
	return plain(a) && plain(b) && a == b
}

func contains(container, v any) (bool, error) {
	switch c := container.(type) {
	case []any:
		for _, e := range c {
			if equal(e, v) {
				return true, nil
			}
		}
		return false, nil
	case string:
		s, ok := v.(string)
		if !ok {
			return false, fail("TypeError", "a %s is not in a text", typeName(v))
		}
		return strings.Contains(c, s), nil
	}
	return false, fail("TypeError", "a %s has no members", typeName(container))
}

// ordering compares two numbers exactly, also a large integer with a float, two texts, or two lists by their first difference.
func ordering(op string, a, b any) (order int, comparable bool, err error) {
	if s, ok := a.(string); ok {
		if t, ok := b.(string); ok {
			return strings.Compare(s, t), true, nil
		}
	}
	la, okA := a.([]any)
	lb, okB := b.([]any)
	if okA && okB {
		for i := range min(len(la), len(lb)) {
			if !equal(la[i], lb[i]) {
				return ordering(op, la[i], lb[i])
			}
		}
		return len(la) - len(lb), true, nil
	}
	if !isNumber(a) || !isNumber(b) {
		return 0, false, fail("TypeError", "%s does not compare a %s with a %s", op, typeName(a), typeName(b))
	}
	x, err := exact(a)
	if err != nil {
		return 0, false, err
	}
	y, err := exact(b)
	if err != nil || x == nil || y == nil {
		return 0, false, err
	}
	return x.Cmp(y), true, nil
}
