package executor

import (
	"fmt"
	"strings"

	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// longList is the number of choices beyond which messages do not list them.
const longList = 20

// nodeCheck is the check of one node.
type nodeCheck struct {
	v       *validation
	id      string
	class   *nodes.Class
	inputs  *pyjson.Object
	types   map[string]string // what links deliver, by input
	reasons []any
	ok      bool
}

// fail adds an error about an input; pairs go to extra_info after input_name and input_config.
func (n *nodeCheck) fail(in nodes.Resolved, typ, message, details string, pairs ...any) {
	extra := pyjson.NewObject("input_name", in.Key, "input_config", n.config(in)).Merge(pyjson.NewObject(pairs...))
	n.reasons = append(n.reasons, problemObject(typ, message, details, extra))
}

func (n *nodeCheck) config(in nodes.Resolved) any {
	typ, options := in.Config(n.v.env)
	return []any{typ, options}
}

func (n *nodeCheck) input(in nodes.Resolved) error {
	val, there := n.inputs.Get(in.Key)
	if !there {
		if in.Required {
			details := in.Key
			if n.class.IsDynamic() {
				details = details[strings.LastIndexByte(details, '.')+1:]
			}
			n.reasons = append(n.reasons, problemObject("required_input_missing", "Required input is missing", details, pyjson.NewObject("input_name", in.Key)))
		}
		return nil
	}
	if list, ok := val.([]any); ok {
		return n.link(in, list)
	}
	return n.constant(in, val)
}

// link checks an input that is a list, which means a link.
func (n *nodeCheck) link(in nodes.Resolved, val []any) error {
	if len(val) != 2 {
		n.fail(in, "bad_linked_input", "Bad linked input, must be a length-2 list of [node_id, slot_index]", in.Key, "received_value", val)
		return nil
	}
	received, from, err := n.linkType(val)
	if err != nil {
		return err
	}
	n.types[in.Key] = typeName(received)
	wanted, _ := in.Config(n.v.env)
	if !n.validates("input_types") && !typesMatch(received, wanted) {
		n.fail(in, "return_type_mismatch", "Return type mismatch between linked nodes",
			fmt.Sprintf("%s, received_type(%s) mismatch input_type(%s)", in.Key, typeName(received), typeName(wanted)), "received_type", received, "linked_node", val)
		return nil
	}
	c, err := n.v.node(from)
	if err != nil {
		n.ok = false
		n.inner(in, from, val, err)
		return nil
	}
	if !c.ok {
		n.ok = false
	}
	return nil
}

// inner records an exception that a linked node's check ended with.
func (n *nodeCheck) inner(in nodes.Resolved, from string, val []any, err error) {
	shown := forClients(n.v.env.Folders, err.Error())
	extra := pyjson.NewObject("input_name", in.Key, "input_config", n.config(in), "exception_message", shown,
		"exception_type", nodes.ExceptionType(err), "traceback", trace(n.v.env.Folders, err), "linked_node", val)
	n.v.record(from, &checked{reasons: []any{problemObject("exception_during_inner_validation", "Exception when validating inner node", shown, extra)}})
}

// linkType returns the type of the output that a link names.
func (n *nodeCheck) linkType(val []any) (typ any, from string, err error) {
	from, ok := val[0].(string)
	if !ok {
		switch val[0].(type) {
		case []any, *pyjson.Object:
			return nil, "", nodes.Errorf("TypeError", "unhashable type: '%s'", pyjson.TypeName(val[0]))
		}
		return nil, "", keyError(val[0])
	}
	data := n.v.prompt.Object(from)
	if data == nil {
		return nil, "", keyError(from)
	}
	class, _ := n.v.e.registry.Get(data.String("class_type"))
	kind := "tuple"
	if class.V3 {
		kind = "list"
	}
	slot, isInt := val[1].(int64)
	if b, isBool := val[1].(bool); isBool {
		isInt = true
		if b {
			slot = 1
		}
	}
	if !isInt {
		if pyjson.IsInt(val[1]) {
			return nil, "", nodes.Errorf("IndexError", "cannot fit 'int' into an index-sized integer")
		}
		return nil, "", nodes.Errorf("TypeError", "%s indices must be integers or slices, not %s", kind, pyjson.TypeName(val[1]))
	}
	if slot < 0 {
		slot += int64(len(class.Outputs))
	}
	if slot < 0 || slot >= int64(len(class.Outputs)) {
		return nil, "", nodes.Errorf("IndexError", "%s index out of range", kind)
	}
	return class.OutputType(int(slot)), from, nil
}

// constant checks and converts a value of the prompt itself.
func (n *nodeCheck) constant(in nodes.Resolved, val any) error {
	if o, ok := val.(*pyjson.Object); ok {
		if inner, wrapped := o.Get("__value__"); wrapped {
			val = inner
			n.inputs.Set(in.Key, val)
		}
	}
	converted, err := convert(in.Type, val)
	if err != nil {
		n.fail(in, "invalid_input_type", fmt.Sprintf("Failed to convert an input value to a %s value", in.Type),
			fmt.Sprintf("%s, %s, %s", in.Key, pyjson.Str(val), err), "received_value", val, "exception_message", err.Error())
		return nil
	}
	if !sameValue(val, converted) {
		n.inputs.Set(in.Key, converted)
	}
	if n.validates(in.Key) || n.validates("**") {
		return nil
	}
	return n.limits(in, converted)
}

// sameValue spares the replacement of values that conversion left alone.
func sameValue(a, b any) bool {
	switch a.(type) {
	case string, bool, int64, nil:
		return a == b
	}
	return false
}

func (n *nodeCheck) limits(in nodes.Resolved, val any) error {
	if in.Min != nil {
		below, ok := less(val, in.Min)
		if !ok {
			return unordered("<", val, in.Min)
		}
		if below {
			n.fail(in, "value_smaller_than_min", fmt.Sprintf("Value %s smaller than min of %s", pyjson.Str(val), pyjson.Str(in.Min)), in.Key, "received_value", val)
			return nil
		}
	}
	if in.Max != nil {
		above, ok := less(in.Max, val)
		if !ok {
			return unordered(">", val, in.Max)
		}
		if above {
			n.fail(in, "value_bigger_than_max", fmt.Sprintf("Value %s bigger than max of %s", pyjson.Str(val), pyjson.Str(in.Max)), in.Key, "received_value", val)
			return nil
		}
	}
	if in.IsCombo() {
		n.choice(in, val)
	}
	return nil
}

func (n *nodeCheck) choice(in nodes.Resolved, val any) {
	choices := in.Choices(n.v.env)
	var wrong []any
	if list, ok := val.([]any); ok && in.Multi {
		for _, e := range list {
			if !contains(choices, e) {
				wrong = append(wrong, e)
			}
		}
	} else if !contains(choices, val) {
		wrong = []any{val}
	}
	if len(wrong) == 0 {
		return
	}
	list, config := pyjson.Str(choices), n.config(in)
	if len(choices) > longList {
		list, config = fmt.Sprintf("(list of length %d)", len(choices)), nil
	}
	n.reasons = append(n.reasons, problemObject("value_not_in_list", "Value not in list", fmt.Sprintf("%s: %s not in %s", in.Key, joinRepr(wrong), list),
		pyjson.NewObject("input_name", in.Key, "input_config", config, "received_value", val)))
}
