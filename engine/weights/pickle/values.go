// Package pickle reads Python pickles without running anything.
//
// A pickle is a program for a small stack machine whose instructions may import and call any Python function. Here
// the machine builds plain Go values only; every class or function that a pickle names is looked up in a table that
// the caller gives, and a name that is not there ends the reading with an error. The package knows nothing of torch.
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
	// Call makes the value that calling the function, or constructing the class, stands for. Nil means that a call
	// gives an *Object.
	Call func(args Tuple) (any, error)
}

// String returns "module.name".
func (g *Global) String() string { return g.Module + "." + g.Name }

// Object is an instance of a class that has no meaning here. It keeps the plain data that the pickle gives it, so that
// tensors inside it can be found; none of its class's code runs.
type Object struct {
	Class *Global
	// State is what the pickle sets as the object's attributes, usually a *Dict; nil when it sets none.
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
