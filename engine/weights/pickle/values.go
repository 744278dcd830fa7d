// Package pickle reads Python pickles without running anything.
//
// A pickle is a program for a small stack machine whose instructions may import and call any Python function. Here
// the machine builds plain Go values only; every class or function that a pickle names is looked up in a table of the
// caller, and a missing name is an error. The package does not know torch.
//
// Python values become: None nil, bool, int int64 (or *big.Int), float float64, str string, bytes []byte,
// list *List, tuple Tuple, dict *Dict, set *List.
package pickle

import (
	"fmt"
	"strconv"
)

// List is a Python list; it is a pointer because a pickle may fill it after it was put elsewhere.
type List struct{ Items []any }

// Tuple is a Python tuple.
type Tuple []any

// Dict is a Python dict with its order. Keys that are not strings or integers are kept but cannot be looked up.
type Dict struct {
	Keys, Values []any
	index        map[any]int
}

// Set adds or replaces a value.
func (d *Dict) Set(key, value any) {
	switch key.(type) {
	case string, int64:
		if i, ok := d.index[key]; ok {
			d.Values[i] = value
			return
		}
		if d.index == nil {
			d.index = map[any]int{}
		}
		d.index[key] = len(d.Keys)
	}
	d.Keys, d.Values = append(d.Keys, key), append(d.Values, value)
}

// Get looks up a string key.
func (d *Dict) Get(key string) (any, bool) {
	i, ok := d.index[key]
	if !ok {
		return nil, false
	}
	return d.Values[i], true
}

// Len returns the number of keys.
func (d *Dict) Len() int { return len(d.Keys) }

// Global is a class or function that a pickle names and the caller's table has.
type Global struct {
	Module, Name string
	// Call returns the value for a call of the function or a construction of the class. If Call is nil, the value is an
	// *Object.
	Call func(args Tuple) (any, error)
}

// String returns "module.name".
func (g *Global) String() string { return g.Module + "." + g.Name }

// Object is an instance of an unsupported class. It keeps the plain data from the pickle, so that tensors inside can be
// found; no code of the class runs.
type Object struct {
	Class *Global
	// State is what the pickle sets as the object's attributes, usually a *Dict; nil if it sets none.
	State any
	// Pairs are the members of a subclass of dict, Items those of a subclass of list or set.
	Pairs Dict
	Items []any
}

// describe names the kind of a value for error messages, never its content, which may be large.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		return "a bool"
	case int64:
		return "the integer " + strconv.FormatInt(v, 10)
	case float64:
		return "a float"
	case string:
		return "a string"
	case []byte:
		return "bytes"
	case *List:
		return "a list"
	case Tuple:
		return fmt.Sprintf("a tuple of %d", len(v))
	case *Dict:
		return "a dict"
	case *Global:
		return v.String()
	case *Object:
		return "an object of " + v.Class.String()
	}
	return fmt.Sprintf("a %T", v)
}
