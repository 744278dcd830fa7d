package nodes

import (
	"strconv"

	"comfygo/internal/pyjson"
)

// Types of upstream's dynamic inputs.
const (
	typeAutogrow     = "COMFY_AUTOGROW_V3"
	typeDynamicCombo = "COMFY_DYNAMICCOMBO_V3"
	typeMatch        = "COMFY_MATCHTYPE_V3"
	typeAny          = "*"
	typeCombo        = "COMBO"
)

// Grown is the value of an autogrow input: the repeated inputs that the prompt has, in the schema's order, by their names
// ("image0", "image1", …). Unconnected optional ones are left out.
type Grown struct {
	Names  []string
	Values []any
}

// Choice is the value of a dynamic combo: the chosen key, and a pointer to a filled struct of the type that the option lists (nil without inputs).
type Choice struct {
	Key    string
	Inputs any
}

// Option is one choice of a dynamic combo.
type Option struct {
	Key string
	// Inputs is a pointer to a struct with tagged fields, or nil. The struct may itself hold Choice fields; it lists their options
	// when it implements Dynamic, and choices when it implements Chooser.
	Inputs any
}

// option is an Option with its struct read.
type option struct {
	key    string
	fields *fieldSet
}

// template is the repeated input of an autogrow input.
type template struct {
	item   *Input
	prefix string
	names  []string
	least  int
	most   int
}

// itemNames returns the names that the repeated inputs may have.
func (t *template) itemNames() []string {
	if t.prefix == "" {
		return t.names
	}
	names := make([]string, t.most)
	for i := range names {
		names[i] = t.prefix + strconv.Itoa(i)
	}
	return names
}

// Resolved is one input of a class for a given prompt: dynamic inputs are expanded.
type Resolved struct {
	*Input
	// Key is the name in the prompt, with dots for what belongs to a dynamic input.
	Key string
	// Required and Optional inputs are listed; hidden ones are not.
	Required bool
}

// Resolve returns the inputs that a prompt with these raw values has to offer: the order is the schema's.
func (c *Class) Resolve(live *pyjson.Object) []Resolved {
	if !c.dynamic {
		return c.resolved
	}
	return c.fields.resolve(nil, "", live)
}

func (f *fieldSet) resolve(out []Resolved, prefix string, live *pyjson.Object) []Resolved {
	for _, want := range []bool{true, false} {
		for _, in := range f.inputs {
			if in.Hidden != "" || in.Required() != want {
				continue
			}
			out = in.resolve(out, prefix, live, want)
		}
	}
	return out
}

func (in *Input) resolve(out []Resolved, prefix string, live *pyjson.Object, required bool) []Resolved {
	key := join(prefix, in.Name)
	switch {
	case in.grow != nil:
		for i, name := range in.grow.itemNames() {
			out = append(out, Resolved{Input: in.grow.item, Key: join(key, name), Required: i < in.grow.least && in.grow.item.Required()})
		}
	case in.choice != nil:
		v, _ := live.Get(key)
		for _, o := range in.choice {
			if o.key == v {
				if o.fields != nil {
					out = o.fields.resolve(out, key, live)
				}
				out = append(out, Resolved{Input: in, Key: key, Required: required})
				break
			}
		}
	default:
		out = append(out, Resolved{Input: in, Key: key, Required: required})
	}
	return out
}

func join(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "." + name
}
