// Package pyjson reads and writes JSON as Python's json module does, and prints values as Python's
// repr and str do: key order is kept, integers are exact at any size, floats keep their point,
// NaN and Infinity are allowed.
//
// Decoded values are nil, bool, int64 (or *big.Int when it does not fit), float64, string, []any and *Object.
// The package knows nothing of nodes, prompts or HTTP.
package pyjson

// Object is a JSON object that keeps the order in which its keys were first set.
// The zero value is an empty object. A nil *Object reads as an empty one.
type Object struct {
	keys  []string
	vals  []any
	index map[string]int // only beyond smallObject keys
}

// smallObject is the number of keys up to which looking through them is faster than a map.
const smallObject = 8

func (o *Object) find(key string) (int, bool) {
	if o == nil {
		return 0, false
	}
	if o.index != nil {
		i, ok := o.index[key]
		return i, ok
	}
	for i, k := range o.keys {
		if k == key {
			return i, true
		}
	}
	return 0, false
}

func (o *Object) reindex() {
	o.index = nil
	if len(o.keys) <= smallObject {
		return
	}
	o.index = make(map[string]int, 2*len(o.keys))
	for i, k := range o.keys {
		o.index[k] = i
	}
}

// NewObject returns an object of alternating keys (strings) and values. A key that is not a string panics, as
// does an odd count: both are mistakes in the calling source, not in data.
func NewObject(pairs ...any) *Object {
	o := &Object{keys: make([]string, 0, len(pairs)/2), vals: make([]any, 0, len(pairs)/2)}
	for i := 0; i < len(pairs); i += 2 {
		o.Set(pairs[i].(string), pairs[i+1])
	}
	return o
}

// Set stores a value; a new key is appended, an existing one keeps its place.
func (o *Object) Set(key string, v any) *Object {
	if i, ok := o.find(key); ok {
		o.vals[i] = v
		return o
	}
	o.keys = append(o.keys, key)
	o.vals = append(o.vals, v)
	switch {
	case o.index != nil:
		o.index[key] = len(o.keys) - 1
	case len(o.keys) > smallObject:
		o.reindex()
	}
	return o
}

// Get returns the value of a key and whether the key is there.
func (o *Object) Get(key string) (any, bool) {
	i, ok := o.find(key)
	if !ok {
		return nil, false
	}
	return o.vals[i], true
}

// Has reports whether the key is there.
func (o *Object) Has(key string) bool {
	_, ok := o.Get(key)
	return ok
}

// Object returns the value of a key if it is an object, else nil.
func (o *Object) Object(key string) *Object {
	v, _ := o.Get(key)
	sub, _ := v.(*Object)
	return sub
}

// String returns the value of a key if it is a string, else "".
func (o *Object) String(key string) string {
	v, _ := o.Get(key)
	s, _ := v.(string)
	return s
}

// Delete removes a key if it is there.
func (o *Object) Delete(key string) {
	i, ok := o.find(key)
	if !ok {
		return
	}
	o.keys = append(o.keys[:i:i], o.keys[i+1:]...)
	o.vals = append(o.vals[:i:i], o.vals[i+1:]...)
	o.reindex()
}

// Len returns the number of keys.
func (o *Object) Len() int {
	if o == nil {
		return 0
	}
	return len(o.keys)
}

// Keys returns the keys in order. The slice must not be changed.
func (o *Object) Keys() []string {
	if o == nil {
		return nil
	}
	return o.keys
}

// All yields keys and values in order; it may be used with range.
func (o *Object) All() func(yield func(string, any) bool) {
	return func(yield func(string, any) bool) {
		if o == nil {
			return
		}
		for i, k := range o.keys {
			if !yield(k, o.vals[i]) {
				return
			}
		}
	}
}

// Merge sets every pair of other, in order, and returns o.
func (o *Object) Merge(other *Object) *Object {
	for k, v := range other.All() {
		o.Set(k, v)
	}
	return o
}

// Clone copies the object and every object and list inside it.
func (o *Object) Clone() *Object {
	if o == nil {
		return nil
	}
	c := &Object{}
	for k, v := range o.All() {
		c.Set(k, CloneValue(v))
	}
	return c
}

// CloneValue copies a decoded value deeply; values that are not JSON are shared.
func CloneValue(v any) any {
	switch v := v.(type) {
	case *Object:
		return v.Clone()
	case []any:
		c := make([]any, len(v))
		for i, e := range v {
			c[i] = CloneValue(e)
		}
		return c
	}
	return v
}

// MarshalJSON writes the object in Python's format; it lets encoding/json embed objects.
func (o *Object) MarshalJSON() ([]byte, error) {
	if o == nil {
		return []byte("null"), nil
	}
	return Marshal(o)
}
