package executor

import (
	"reflect"

	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// expansion is one call's part of a node that expanded: the values, which are links where the call brought a graph.
type expansion struct {
	graph  *pyjson.Object
	values []any
}

// returned holds the results of a node's calls, put together.
type returned struct {
	outputs    [][]any
	ui         *pyjson.Object
	expansions []expansion // set when a call expanded
	kept       *entry      // set when nodes further down may have the outputs already
}

// combine puts the results of a node's calls together.
func combine(class *nodes.Class, results []any) (returned, error) {
	var out returned
	var values [][]any
	var uis []*pyjson.Object
	var parts []expansion
	expanded := false
	for _, r := range results {
		res, ok := r.(nodes.Result)
		if b, blocked := r.(*nodes.Blocker); blocked {
			res, ok = nodes.Result{Block: b}, true
		}
		if !ok {
			return out, nodes.Errorf("TypeError", "%s gave no result", class.Name)
		}
		if res.UI != nil {
			uis = append(uis, res.UI)
		}
		vals, has, err := resultValues(class, res)
		if err != nil {
			return out, err
		}
		switch {
		case res.Expand != nil:
			expanded = true
			parts = append(parts, expansion{res.Expand, vals})
		case has:
			values = append(values, vals)
			parts = append(parts, expansion{nil, vals})
		}
	}
	ui, err := mergeUI(uis)
	if err != nil {
		return out, err
	}
	out.ui = ui
	if expanded {
		out.expansions = parts
		return out, nil
	}
	out.outputs, err = mergeValues(class, values)
	return out, err
}

// resultValues returns one call's values; has is false when it gave only something to show.
func resultValues(class *nodes.Class, res nodes.Result) (vals []any, has bool, err error) {
	if res.Block != nil {
		vals = make([]any, len(class.Outputs))
		for i := range vals {
			vals[i] = res.Block
		}
		return vals, true, nil
	}
	if res.Values == nil && (res.UI != nil || res.Expand != nil) {
		return nil, false, nil
	}
	if len(res.Values) != len(class.Outputs) {
		return nil, false, nodes.Errorf("TypeError", "%s gave %d values for %d outputs", class.Name, len(res.Values), len(class.Outputs))
	}
	vals = make([]any, len(res.Values))
	for i, v := range res.Values {
		if l, ok := v.(nodes.Link); ok {
			v = []any{l.ID, int64(l.Slot)}
		}
		vals[i] = v
	}
	return vals, true, nil
}

// mergeValues turns the values by call into lists by output; a list output's values are flattened.
func mergeValues(class *nodes.Class, calls [][]any) ([][]any, error) {
	if len(calls) == 0 {
		return nil, nil
	}
	out := make([][]any, 0, len(class.Outputs))
	for i := range min(len(calls[0]), len(class.Outputs)) {
		list := make([]any, 0, len(calls))
		for _, c := range calls {
			if i >= len(c) {
				return nil, nodes.Errorf("IndexError", "tuple index out of range")
			}
			if !class.Outputs[i].List {
				list = append(list, c[i])
				continue
			}
			elements, err := elements(c[i])
			if err != nil {
				return nil, err
			}
			list = append(list, elements...)
		}
		out = append(out, list)
	}
	return out, nil
}

// elements takes a list output's value apart, as Python iterates over it: a text by its characters, an object by its keys.
func elements(v any) ([]any, error) {
	switch v := v.(type) {
	case *nodes.Blocker:
		return []any{v}, nil
	case []any:
		return v, nil
	case nodes.List:
		return v, nil
	case string:
		out := make([]any, 0, len(v))
		for _, r := range v {
			out = append(out, string(r))
		}
		return out, nil
	case *pyjson.Object:
		out := make([]any, 0, v.Len())
		for _, key := range v.Keys() {
			out = append(out, key)
		}
		return out, nil
	}
	rv := reflect.ValueOf(v)
	if !rv.IsValid() || rv.Kind() != reflect.Slice {
		return nil, nodes.Errorf("TypeError", "'%s' object is not iterable", pyjson.TypeName(v))
	}
	out := make([]any, rv.Len())
	for i := range out {
		out[i] = rv.Index(i).Interface()
	}
	return out, nil
}

// mergeUI joins the values that the calls show, list by list, for the keys of the first.
func mergeUI(uis []*pyjson.Object) (*pyjson.Object, error) {
	if len(uis) == 0 {
		return nil, nil
	}
	out := pyjson.NewObject()
	for _, key := range uis[0].Keys() {
		all := []any{}
		for _, ui := range uis {
			v, ok := ui.Get(key)
			if !ok {
				return nil, keyError(key)
			}
			list, err := elements(v)
			if err != nil {
				return nil, err
			}
			all = append(all, list...)
		}
		out.Set(key, all)
	}
	return out, nil
}
