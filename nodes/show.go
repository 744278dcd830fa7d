package nodes

import (
	"maps"
	"reflect"
	"slices"

	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
)

// Show writes a value of any link as Python's str does upstream, where latents are dictionaries, a conditioning is a list
// of pairs and sigmas are a tensor. edge is how many elements at each edge of a large tensor are written.
func Show(v any, edge int) string { return pyjson.Str(shown(v, edge)) }

// Plain is a value that is a list or a number in JSON upstream.
type Plain interface {
	// Plain returns it as pyjson has it.
	Plain() any
}

// Object is a pointer whose value is an object of a class of ComfyUI's API upstream.
type Object interface {
	// Object returns the object by its attributes.
	Object() (pyjson.Instance, error)
}

// FromPlain is a value of a link that can be read from the form that it has in Python.
type FromPlain interface {
	// FromPlain sets the value from a *pyjson.Object or a pyjson.Instance. The error says what is wrong with it.
	FromPlain(v any) error
}

// Read returns a value of a link that may come from Python: a *T, or what its FromPlain makes of an object. It is for
// inputs whose fields have no type.
func Read[T any](v any) (*T, error) {
	switch v := v.(type) {
	case *T:
		return v, nil
	case T:
		return &v, nil
	case *pyjson.Object, pyjson.Instance:
		out := new(T)
		if read, ok := any(out).(FromPlain); ok {
			return out, typed(read.FromPlain(v))
		}
	}
	return nil, Errorf("TypeError", "want %s, have %s", reflect.TypeFor[T](), pyjson.TypeName(v))
}

// typed is the error of a value that has a wrong form.
func typed(err error) error {
	if err == nil {
		return nil
	}
	return Errorf("TypeError", "%w", err)
}

// written is text that is shown unquoted within a list or a dictionary.
type written string

// String implements fmt.Stringer.
func (w written) String() string { return string(w) }

// shown turns a value into one that pyjson prints as upstream prints it.
func shown(v any, edge int) any {
	switch v := v.(type) {
	case Plain:
		return shown(v.Plain(), edge)
	case *tensor.View:
		return shown(v.Dense(), edge)
	case *tensor.Tensor:
		return written(v.Text(edge))
	case []float32:
		levels := tensor.Tensor{Data: v, Shape: []int{len(v)}}
		return written(levels.Text(edge))
	case engine.Latent:
		return shownLatent(v, edge)
	case engine.Conditioning:
		entries := make([]any, len(v))
		for i, c := range v {
			entries[i] = shownCond(c, edge)
		}
		return entries
	case sampling.Area:
		return shownArea(v)
	case pyjson.Array:
		return shown(v.Tensor, edge)
	case pyjson.Frozen:
		return shown([]any(v), edge)
	case []any:
		items := make([]any, len(v))
		for i, e := range v {
			items[i] = shown(e, edge)
		}
		return items
	case *pyjson.Object:
		if v == nil {
			return nil
		}
		o := pyjson.NewObject()
		for k, e := range v.All() {
			o.Set(k, shown(e, edge))
		}
		return o
	}
	return v
}

// shownLatent has upstream's keys.
func shownLatent(l engine.Latent, edge int) *pyjson.Object {
	o := pyjson.NewObject("samples", parts(l.Samples, l.Along, edge))
	if l.Type != "" {
		o.Set("type", l.Type)
	}
	if l.DownscaleRatio > 0 {
		o.Set("downscale_ratio_spacial", l.DownscaleRatio)
	}
	if l.TemporalRatio > 0 {
		o.Set("downscale_ratio_temporal", l.TemporalRatio)
	}
	if l.NoiseMask != nil {
		o.Set("noise_mask", parts(l.NoiseMask, l.AlongMasks, edge))
	}
	if l.BatchIndex != nil {
		o.Set("batch_index", l.BatchIndex)
	}
	if l.Sparse != nil {
		o.Set("coord_counts", l.Sparse.Counts)
		o.Set("coord_resolution", l.Sparse.Resolution)
	}
	return o
}

// parts writes a tensor, or with others along the nested one that they make up.
func parts(first *tensor.Tensor, along []*tensor.Tensor, edge int) written {
	text := first.Text(edge)
	if len(along) == 0 {
		return written(text)
	}
	for _, t := range along {
		text += ", " + t.Text(edge)
	}
	return written("NestedTensor([" + text + "])")
}

// shownArea has the sizes before the offsets; cells are whole numbers.
func shownArea(a sampling.Area) pyjson.Tuple {
	var t pyjson.Tuple
	if a.Percent {
		t = append(t, "percentage")
	}
	for _, v := range slices.Concat(a.Size, a.Offset) {
		if a.Percent {
			t = append(t, v)
		} else {
			t = append(t, int(v))
		}
	}
	return t
}

// condOrder is the order in which upstream's nodes set these keys.
var condOrder = []string{"area", "strength", "mask", "set_area_to_bounds", "mask_strength", "start_percent", "end_percent"}

// shownCond is the pair of the encoding and everything else by name. Go's maps have no order: keys that several nodes set come as upstream
// has them, others by name.
func shownCond(c engine.Cond, edge int) []any {
	o := pyjson.NewObject()
	if c.Pooled != nil {
		o.Set("pooled_output", shown(c.Pooled, edge))
	}
	rest := slices.DeleteFunc(slices.Sorted(maps.Keys(c.Values)), func(k string) bool { return slices.Contains(condOrder, k) })
	for _, k := range slices.Concat(condOrder, rest) {
		if v, ok := c.Values[k]; ok {
			o.Set(k, shown(v, edge))
		}
	}
	return []any{shown(c.Tokens, edge), o}
}
