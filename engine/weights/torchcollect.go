package weights

import (
	"errors"
	"fmt"
	"strconv"

	"comfygo/engine/weights/pickle"
)

// Limits of the walk through an unpickled value. A pickle may name one value many times, so that a small file describes
// a tree of any size.
const (
	maxNesting = 16      // dicts and lists inside each other
	maxVisits  = 1 << 18 // values in all; a checkpoint with its optimizer has some ten thousand
)

// collector gathers the tensors of an unpickled value.
type collector struct {
	f      *torchFile
	s      *torchSource
	visits int
}

// collect takes every tensor out of the unpickled value, under the path of keys that leads to it. Unless whole is set,
// it begins below the wrappers (see inner). Other values, such as step counters, are left out.
func (s *torchSource) collect(f *torchFile, v any, whole bool) error {
	c := collector{f: f, s: s}
	if !whole {
		v = inner(v)
	}
	if err := c.walk("", v, 0); err != nil {
		return err
	}
	if len(s.names) > 0 {
		return nil
	}
	if len(f.foreign) > 0 {
		return refusal(f.foreign[0])
	}
	if _, ok := members(v); !ok {
		return errors.New("the file holds no dict of tensors")
	}
	return errors.New("the file holds no tensors")
}

func (c *collector) walk(path string, v any, depth int) error {
	if c.visits++; c.visits > maxVisits {
		return fmt.Errorf("more than %d values inside each other", maxVisits)
	}
	if t, ok := v.(*torchTensor); ok {
		return c.tensor(path, t)
	}
	list, ok := members(v)
	if !ok || depth == maxNesting {
		return nil
	}
	for key, value := range list {
		name := key
		if path != "" {
			name = path + "." + key
		}
		if err := c.f.spend(uint64(len(name))); err != nil {
			return err
		}
		if err := c.walk(name, value, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) tensor(name string, t *torchTensor) error {
	e, err := c.f.entry(name, t)
	if err != nil {
		return fmt.Errorf("tensor %q: %w", name, err)
	}
	if _, twice := c.s.entries[name]; !twice {
		c.s.names = append(c.s.names, name)
	}
	c.s.entries[name] = e
	return nil
}

// members iterates over what lies inside a value, with the path component of each: the keys of a dict, "[0]", "[1]" and
// so on for a list. It reports false for a value that holds no others.
func members(v any) (func(yield func(string, any) bool), bool) {
	switch v := v.(type) {
	case *pickle.Dict:
		return pairs(v), true
	case *pickle.List:
		return items(v.Items), true
	case pickle.Tuple:
		return items(v), true
	case *pickle.Object:
		return objectMembers(v)
	}
	return nil, false
}

func pairs(d *pickle.Dict) func(yield func(string, any) bool) {
	return func(yield func(string, any) bool) {
		for i, k := range d.Keys {
			var name string
			switch k := k.(type) {
			case string:
				name = k
			case int64:
				name = strconv.FormatInt(k, 10)
			default:
				continue
			}
			if !yield(name, d.Values[i]) {
				return
			}
		}
	}
}

func items(list []any) func(yield func(string, any) bool) {
	return func(yield func(string, any) bool) {
		for i, v := range list {
			if !yield("["+strconv.Itoa(i)+"]", v) {
				return
			}
		}
	}
}

// moduleParts are the attributes in which a torch.nn.Module, such as a ParameterDict, keeps its tensors and its parts;
// its state dict has them all at one level.
var moduleParts = []string{"_parameters", "_buffers", "_modules"}

// objectMembers iterates over an object: the members of a subclass of dict or list, and the tensors of a torch module.
func objectMembers(o *pickle.Object) (func(yield func(string, any) bool), bool) {
	state, _ := o.State.(*pickle.Dict)
	var parts []*pickle.Dict
	for _, name := range moduleParts {
		if state == nil {
			break
		}
		if part, _ := state.Get(name); part != nil {
			if d, ok := part.(*pickle.Dict); ok {
				parts = append(parts, d)
			}
		}
	}
	if len(parts) == 0 && o.Pairs.Len() == 0 && len(o.Items) == 0 {
		return nil, false
	}
	return func(yield func(string, any) bool) {
		for _, d := range append(parts, &o.Pairs) {
			for k, v := range pairs(d) {
				if !yield(k, v) {
					return
				}
			}
		}
		items(o.Items)(yield)
	}, true
}

// inner descends through the wrappers that trainers put around weights, such as {"state_dict": {...}, "epoch": 3}: to the
// first of Wrappers that is a dict with tensors, or to the only member if that is a dict, and so on.
func inner(v any) any {
	for range maxNesting {
		next := wrapped(v)
		if next == nil {
			return v
		}
		v = next
	}
	return v
}

func wrapped(v any) any {
	list, ok := members(v)
	if !ok {
		return nil
	}
	var only any
	found := map[string]any{}
	n := 0
	for key, value := range list {
		if _, ok := members(value); ok {
			found[key], only = value, value
		}
		n++
	}
	for _, name := range Wrappers {
		if value, ok := found[name]; ok && holdsTensors(value, 0, new(int)) {
			return value
		}
	}
	if n == 1 {
		return only
	}
	return nil
}

// holdsTensors reports whether there is a tensor in v.
func holdsTensors(v any, depth int, visits *int) bool {
	if _, ok := v.(*torchTensor); ok {
		return true
	}
	list, ok := members(v)
	if *visits++; !ok || depth == maxNesting || *visits > maxVisits {
		return false
	}
	for _, value := range list {
		if holdsTensors(value, depth+1, visits) {
			return true
		}
	}
	return false
}
