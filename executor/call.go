package executor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// inputSet holds the inputs of a node: for each one the list of its values. Inputs in missing have no value yet and hold one
// nil.
type inputSet struct {
	values  *pyjson.Object
	missing map[string]bool
}

// gather collects a node's inputs. linked returns the list that a link delivers; ok is false if it is not ready.
func gather(class *nodes.Class, inputs *pyjson.Object, linked func(nodes.Link) (list []any, ok bool)) inputSet {
	set := inputSet{values: pyjson.NewObject(), missing: map[string]bool{}}
	lookup := lookup(class, inputs)
	for key, v := range inputs.All() {
		in := lookup(key)
		link, isLink := nodes.AsLink(v)
		switch {
		case isLink && (in == nil || !in.RawLink):
			if list, ok := linked(link); ok {
				set.values.Set(key, list)
				continue
			}
			set.values.Set(key, []any{nil})
			set.missing[key] = true
		case in != nil || class.AcceptAllInputs:
			set.values.Set(key, []any{v})
		}
	}
	return set
}

// lookup returns a function that finds the input of a key; dynamic inputs are resolved once.
func lookup(class *nodes.Class, inputs *pyjson.Object) func(key string) *nodes.Input {
	if !class.IsDynamic() {
		return func(key string) *nodes.Input { return class.Lookup(key, nil) }
	}
	known := map[string]*nodes.Input{}
	for _, r := range class.Resolve(inputs) {
		known[r.Key] = r.Input
	}
	return func(key string) *nodes.Input { return known[key] }
}

// constants gathers a node's inputs without following links.
func constants(class *nodes.Class, inputs *pyjson.Object) inputSet {
	return gather(class, inputs, func(nodes.Link) ([]any, bool) { return nil, false })
}

// caller calls a method of a node once, or once for each element of the longest list among its inputs.
type caller struct {
	id, promptID string
	services     nodes.Services
	log          *slog.Logger
	class        *nodes.Class
	inputs       inputSet
	linked       map[string]string
	// host makes the host of a call; nil outside a run.
	host func() nodes.Host
	// blocked is called with a blocker among the inputs and returns the one to continue with; nil keeps it.
	blocked func(*nodes.Blocker) *nodes.Blocker
}

// method is the function that is called.
type method func(nodes.Node, *nodes.Context) (any, error)

// each returns the result of every call; a call that is blocked has its *nodes.Blocker as the result.
func (c *caller) each(ctx context.Context, f method) ([]any, error) {
	var results []any
	err := c.calls(func(index int, values *pyjson.Object) error {
		r, err := c.once(ctx, index, values, f)
		results = append(results, r)
		return err
	}, func(b *nodes.Blocker) { results = append(results, b) })
	return results, err
}

// calls goes through the calls: run for each, or block for one with a blocker among its inputs.
func (c *caller) calls(run func(index int, values *pyjson.Object) error, block func(*nodes.Blocker)) error {
	count := 1
	if !c.class.InputIsList {
		var err error
		if count, err = c.count(); err != nil {
			return err
		}
	}
	for i := range count {
		values := c.inputs.values
		if !c.class.InputIsList {
			values = c.slice(i)
		}
		if b := findBlocker(values, c.class.InputIsList); b != nil {
			if c.blocked != nil {
				b = c.blocked(b)
			}
			block(b)
			continue
		}
		if err := run(i, values); err != nil {
			return err
		}
	}
	return nil
}

// once makes one call.
func (c *caller) once(ctx context.Context, index int, values *pyjson.Object, f method) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	call := nodes.Call{ID: c.id, PromptID: c.promptID, Index: index, Log: c.log, Services: c.services, Inputs: values, Missing: c.inputs.missing, Linked: c.linked}
	if c.host != nil {
		call.Host = c.host()
	}
	nctx := nodes.NewContext(ctx, call)
	defer nctx.Release()
	class := c.class
	if !class.IsForeign() {
		local, err := nodes.Localize(ctx, values)
		if err == nil {
			nctx.SetInputs(local)
			values = local
		} else if class, err = c.elsewhere(err, values); err != nil {
			return nil, err
		}
	}
	node, err := class.Bind(values, nctx.Hidden)
	if err != nil {
		return nil, err
	}
	var result any
	err = nodes.Protect(func() (err error) {
		result, err = f(node, nctx)
		return err
	})
	return result, err
}

// elsewhere returns the class in the other process that can do the work: one of the inputs exists there only.
func (c *caller) elsewhere(cause error, values *pyjson.Object) (*nodes.Class, error) {
	if c.services.Elsewhere == nil || !errors.Is(cause, nodes.ErrForeignOnly) {
		return nil, cause
	}
	class, ok := c.services.Elsewhere.Instead(c.class.Name, values)
	if !ok {
		return nil, fmt.Errorf("%w, and class %s of comfygo cannot be run there", cause, c.class.Name)
	}
	return class, nil
}

// count is the length of the longest list.
func (c *caller) count() (int, error) {
	longest, empty := 0, ""
	for key, v := range c.inputs.values.All() {
		n := len(v.([]any))
		if n == 0 && empty == "" {
			empty = key
		}
		longest = max(longest, n)
	}
	switch {
	case empty == "":
		return max(longest, 1), nil
	case longest == 0 && !c.class.TakesHidden():
		return 0, nodes.Errorf("TypeError", "%s.run() missing 1 required positional argument: '%s'", c.class.Name, empty)
	}
	return 0, nodes.Errorf("IndexError", "list index out of range")
}

// slice takes the i-th element of each list, or the last of a shorter one.
func (c *caller) slice(i int) *pyjson.Object {
	o := pyjson.NewObject()
	for key, v := range c.inputs.values.All() {
		list := v.([]any)
		o.Set(key, list[min(i, len(list)-1)])
	}
	return o
}

func findBlocker(values *pyjson.Object, lists bool) *nodes.Blocker {
	for _, v := range values.All() {
		if b, ok := v.(*nodes.Blocker); ok {
			return b
		}
		if list, ok := v.([]any); ok && lists {
			for _, e := range list {
				if b, ok := e.(*nodes.Blocker); ok {
					return b
				}
			}
		}
	}
	return nil
}
