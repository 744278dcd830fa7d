// Package plain reads values of links from the forms that they have in Python. It knows nothing of nodes and of the process
// they came from.
package plain

import (
	"fmt"
	"math"

	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
)

// Dictionary returns a value that has to be a dictionary.
func Dictionary(v any) (*pyjson.Object, error) {
	if o, ok := v.(*pyjson.Object); ok && o != nil {
		return o, nil
	}
	return nil, fmt.Errorf("want a dictionary, have %s", pyjson.TypeName(v))
}

// Attributes returns what an object of a class of ComfyUI's API has.
func Attributes(v any, class string) (*pyjson.Object, error) {
	if i, ok := v.(pyjson.Instance); ok && i.Class == class && i.Attributes != nil {
		return i.Attributes, nil
	}
	if i, ok := v.(pyjson.Instance); ok {
		return nil, fmt.Errorf("want an object of the class %s, have one of %s", class, i.Class)
	}
	return nil, fmt.Errorf("want an object of the class %s, have %s", class, pyjson.TypeName(v))
}

// Tensor returns the tensor under a key, whose shape has the dimensions of want, where -1 is any size; nil if it is None or not there.
func Tensor(o *pyjson.Object, key string, want ...int) (*tensor.Tensor, error) {
	v, _ := o.Get(key)
	if a, ok := v.(pyjson.Array); ok {
		v = a.Tensor
	}
	if v == nil {
		return nil, nil
	}
	t, ok := v.(*tensor.Tensor)
	if !ok {
		return nil, fmt.Errorf("%s is a %s, want a tensor", key, pyjson.TypeName(v))
	}
	fits := len(t.Shape) == len(want) && tensor.Count(t.Shape) == len(t.Data)
	for i := 0; fits && i < len(want); i++ {
		fits = want[i] < 0 || t.Shape[i] == want[i]
	}
	if !fits {
		return nil, fmt.Errorf("%s has the shape %v, want %v (-1 is any size)", key, t.Shape, want)
	}
	return t, nil
}

// Needed is Tensor for what has to be there.
func Needed(o *pyjson.Object, key string, want ...int) (*tensor.Tensor, error) {
	t, err := Tensor(o, key, want...)
	if err == nil && t == nil {
		err = fmt.Errorf("there is no %s", key)
	}
	return t, err
}

// Number returns the number under a key; an error if it is none.
func Number(o *pyjson.Object, key string) (float64, error) {
	v, _ := o.Get(key)
	switch v := v.(type) {
	case int64:
		return float64(v), nil
	case float64:
		return v, nil
	case bool:
		if v {
			return 1, nil
		}
		return 0, nil
	}
	return 0, fmt.Errorf("%s is %s, want a number", key, pyjson.Repr(v))
}

// Exact bounds the whole numbers that a tensor holds without loss.
const Exact = 1 << 24

// Whole returns a tensor's values, which have to be whole numbers of 0 to most.
func Whole(key string, t *tensor.Tensor, most int) ([]int32, error) {
	out := make([]int32, len(t.Data))
	for i, v := range t.Data {
		if !(v >= 0 && float64(v) <= float64(min(most, Exact))) || v != float32(math.Trunc(float64(v))) {
			return nil, fmt.Errorf("%s has the value %v, want whole numbers of 0 to %d", key, v, min(most, Exact))
		}
		out[i] = int32(v)
	}
	return out, nil
}

// Floats makes a tensor of whole numbers, which must be less than Exact, with their type upstream.
func Floats(list []int32, kind string, shape ...int) *tensor.Tensor {
	t := tensor.New(shape...)
	t.Type = kind
	for i, v := range list {
		t.Data[i] = float32(v)
	}
	return t
}
