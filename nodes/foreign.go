package nodes

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"comfygo/internal/pyjson"
)

// Foreign is a value on a link that lives in another process, where the class runs that made it.
type Foreign interface {
	// Native returns the value in the form of this program's classes. The error wraps ErrForeignOnly for a value that exists only in
	// the other process, such as a model.
	Native(ctx context.Context) (any, error)
	// Live reports whether the value is still there. It is gone with the process; a result that holds it is computed again.
	Live() bool
}

// ErrForeignOnly is the cause when a value of another process has no form in this one.
var ErrForeignOnly = errors.New("the value exists in the process of its node only")

// Elsewhere finds classes that run in another process in place of classes of this program that get a value which
// only that process has.
type Elsewhere interface {
	// Instead returns the class of that name where one of a call's inputs is.
	Instead(name string, values *pyjson.Object) (*Class, bool)
}

// Definition describes a class with inputs that are known only at run time, because it runs in another process.
type Definition struct {
	Spec
	// Info is the class as /object_info shows it: its inputs are read from there.
	Info *pyjson.Object
	// Hidden has the kinds of the hidden inputs by name, "*" for one without a value.
	Hidden *pyjson.Object
	// Live returns a newer description with the choices of this moment; nil means Info. It may be nil.
	Live func() *pyjson.Object
	// Make returns a node that reads its inputs from its Context. It must implement Validator, Fingerprinter and LazyInputs if the
	// fields below require it.
	Make func() Node
	// Fingerprints and Lazy report which methods the class has; Spec.Validates does so for the validator.
	Fingerprints, Lazy bool
}

// NewForeignClass makes a class from its description. An input that the description shows in an unknown shape is taken as it is.
func NewForeignClass(d Definition) (*Class, error) {
	if d.Name == "" {
		return nil, errors.New("describing a class of another process: it has no name")
	}
	c := &Class{Spec: d.Spec, foreign: &d, byName: map[string]*Input{}, fields: &fieldSet{}}
	c.validates, c.fingerprints, c.lazies = len(d.Validates) > 0, d.Fingerprints, d.Lazy
	source := &liveChoices{class: c}
	c.fields = described(d.Info.Object("input"), source, d.V3)
	for name, kind := range d.Hidden.All() {
		if text, ok := kind.(string); ok {
			c.fields.inputs = append(c.fields.inputs, &Input{Name: name, Type: text, Hidden: text, options: pyjson.NewObject()})
		}
	}
	c.dynamic = c.fields.dynamic()
	// A class may list a name as required and as optional; as upstream has it, the first counts.
	c.fields.inputs = slices.DeleteFunc(c.fields.inputs, func(in *Input) bool {
		if c.byName[in.Name] != nil {
			return true
		}
		c.byName[in.Name] = in
		return false
	})
	if !c.dynamic {
		c.resolved = c.fields.resolve(nil, "", nil)
	}
	return c, nil
}

// info returns the class as /object_info shows it, with the current choices if they are known.
func (d *Definition) info() *pyjson.Object {
	if d.Live != nil {
		if info := d.Live(); info != nil {
			return info
		}
	}
	return d.Info
}

// IsForeign reports whether the class runs in another process.
func (c *Class) IsForeign() bool { return c.foreign != nil }

// described reads inputs in the form of /object_info.
func described(input *pyjson.Object, source *liveChoices, v3 bool) *fieldSet {
	f := &fieldSet{}
	for _, category := range []string{"required", "optional"} {
		for name, entry := range input.Object(category).All() {
			in := describedInput(name, entry, source, v3)
			in.Optional = category == "optional"
			f.inputs = append(f.inputs, in)
		}
	}
	return f
}

func describedInput(name string, entry any, source *liveChoices, v3 bool) *Input {
	in := &Input{Name: name, options: pyjson.NewObject()}
	list, ok := entry.([]any)
	if !ok || len(list) == 0 {
		in.Type = typeAny
		return in
	}
	in.opts = len(list) > 1
	if len(list) > 1 {
		if options, ok := list[1].(*pyjson.Object); ok {
			in.options = options.Clone()
		}
	}
	switch typ := list[0].(type) {
	case string:
		in.Type = typ
	case []any:
		in.combo, in.list = true, typ
	default:
		in.Type = typeAny
	}
	switch in.Type {
	case typeAutogrow:
		in.grow = describedTemplate(in.options.Object("template"), source, v3)
	case typeDynamicCombo:
		in.choice = describedOptions(in.options, source, v3)
	case typeCombo:
		in.combo = true
		if choices, ok := in.options.Get("options"); ok {
			in.list, _ = choices.([]any)
		}
	}
	if in.combo && in.list != nil {
		in.chooser = source.of(in)
	}
	in.Default, _ = in.options.Get("default")
	in.Min, in.Max = bound(in.options, "min"), bound(in.options, "max")
	in.Lazy, in.RawLink, in.Multi = truth(in.options, "lazy"), truth(in.options, "rawLink"), truth(in.options, "multiselect")
	return in
}

// bound is a number among an input's options; upstream fails on others when it compares with them.
func bound(options *pyjson.Object, key string) any {
	v, _ := options.Get(key)
	if _, ok := Number(v); !ok {
		return nil
	}
	return v
}

func describedTemplate(t *pyjson.Object, source *liveChoices, v3 bool) *template {
	out := &template{item: &Input{Name: "item", Type: typeAny, options: pyjson.NewObject()}}
	for _, category := range []string{"required", "optional"} {
		for name, entry := range t.Object("input").Object(category).All() {
			out.item = describedInput(name, entry, source, v3)
			out.item.Optional = category == "optional"
		}
	}
	out.prefix = t.String("prefix")
	out.least, out.most = whole(t, "min"), whole(t, "max")
	if names, ok := t.Get("names"); ok {
		list, _ := names.([]any)
		for _, n := range list {
			if text, ok := n.(string); ok {
				out.names = append(out.names, text)
			}
		}
		out.most = len(out.names)
	}
	return out
}

// mostGrown bounds the inputs of one template that a description may have.
const mostGrown = 1000

func whole(o *pyjson.Object, key string) int {
	v, _ := o.Get(key)
	n, _ := v.(int64)
	return int(min(max(n, 0), mostGrown))
}

func describedOptions(options *pyjson.Object, source *liveChoices, v3 bool) []option {
	out := []option{}
	list, _ := options.Get("options")
	all, _ := list.([]any)
	for _, e := range all {
		o, ok := e.(*pyjson.Object)
		if !ok {
			continue
		}
		out = append(out, option{key: o.String("key"), fields: described(o.Object("inputs"), source, v3)})
	}
	return out
}

// liveChoices provides the current choices, such as the files of a folder.
type liveChoices struct{ class *Class }

// of returns the source of an input's choices: those of the description if the newer one has none for it.
func (l *liveChoices) of(in *Input) Chooser { return liveChoice{l, in} }

type liveChoice struct {
	*liveChoices
	in *Input
}

// Choices implements Chooser.
func (l liveChoice) Choices(_ Env, name string) []any {
	if live := l.class.foreign.Live; live != nil {
		if info := live(); info != nil {
			for _, category := range []string{"required", "optional"} {
				v, _ := info.Object("input").Object(category).Get(name)
				if list, ok := choicesIn(v); ok {
					return list
				}
			}
		}
	}
	return l.in.list
}

func choicesIn(entry any) ([]any, bool) {
	list, ok := entry.([]any)
	if !ok || len(list) == 0 {
		return nil, false
	}
	if choices, ok := list[0].([]any); ok {
		return choices, true
	}
	if len(list) > 1 {
		if options, ok := list[1].(*pyjson.Object); ok {
			v, _ := options.Get("options")
			choices, ok := v.([]any)
			return choices, ok
		}
	}
	return nil, false
}

// Localize replaces the values of other processes in a call's inputs by values of this program, in lists too. Inputs without
// such values are returned unchanged. An error names the input.
func Localize(ctx context.Context, values *pyjson.Object) (*pyjson.Object, error) {
	out := values
	for key, v := range values.All() {
		local, changed, err := localize(ctx, v)
		if err != nil {
			return nil, fmt.Errorf("input %s: %w", key, err)
		}
		if !changed {
			continue
		}
		if out == values {
			out = values.Clone()
		}
		out.Set(key, local)
	}
	return out, nil
}

func localize(ctx context.Context, v any) (local any, changed bool, err error) {
	switch v := v.(type) {
	case Foreign:
		local, err = v.Native(ctx)
		return local, true, err
	case []any:
		out := v
		for i, e := range v {
			local, changed, err := localize(ctx, e)
			if err != nil {
				return nil, false, err
			}
			if !changed {
				continue
			}
			if &out[0] == &v[0] {
				out = slices.Clone(v)
			}
			out[i] = local
		}
		return out, len(v) > 0 && &out[0] != &v[0], nil
	}
	return v, false, nil
}

// Live reports whether all values of an output are there: those of other processes go with them.
func Live(list []any) bool {
	for _, v := range list {
		switch v := v.(type) {
		case Foreign:
			if !v.Live() {
				return false
			}
		case []any:
			if !Live(v) {
				return false
			}
		}
	}
	return true
}
