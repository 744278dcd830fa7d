package workflow

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// addDynamicCombo makes a choice with inputs of its own: they are named choice.input, and are added and removed with its
// value.
func (n *node) addDynamicCombo(s *spec) *widget {
	w := &widget{name: s.name, kind: "combo", spec: s}
	options, _ := s.options.Get("options")
	for _, o := range list(options) {
		if k := object(o).String("key"); k != "" {
			w.choices = append(w.choices, k)
		}
	}
	n.widgets = append(n.widgets, w)
	w.value = absent{}
	w.set = func(v any) {
		w.value = v
		n.choose(w, str(v))
	}
	if len(w.choices) > 0 {
		w.assign(w.choices[0])
	}
	return w
}

// chosen returns the inputs that come with a value of a dynamic choice.
func (w *widget) chosen(value string) ([]spec, bool) {
	options, _ := w.spec.options.Get("options")
	for _, o := range list(options) {
		if entry := object(o); value != "" && entry.String("key") == value {
			inputs := entry.Object("inputs")
			all := append(readSpecs(inputs.Object("required"), false), readSpecs(inputs.Object("optional"), true)...)
			for i := range all {
				all[i].name = w.name + "." + all[i].name
			}
			return all, true
		}
	}
	return nil, false
}

// choose puts the inputs of a dynamic choice's value in place of those of the value before. Links stay with inputs of the
// same name.
func (n *node) choose(w *widget, value string) {
	prefix := w.name + "."
	var removed []*input
	n.inputs = slices.DeleteFunc(n.inputs, func(in *input) bool {
		gone := strings.HasPrefix(in.name, prefix)
		if gone {
			removed = append(removed, in)
		}
		return gone
	})
	n.widgets = slices.DeleteFunc(n.widgets, func(o *widget) bool { return strings.HasPrefix(o.name, prefix) })
	specs, ok := w.chosen(value)
	if !ok {
		return
	}
	after := slices.Index(n.widgets, w) + 1
	widgets, inputs := len(n.widgets), len(n.inputs)
	for i := range specs {
		n.addInputs(&specs[i])
	}
	added := slices.Clone(n.widgets[widgets:])
	n.widgets = slices.Insert(n.widgets[:widgets], after, added...)
	place := n.index(w.name) + 1
	if place == 0 {
		return // the choice is being made: its own socket comes after these
	}
	n.moveInputs(inputs, place)
	for _, in := range removed {
		if i := n.index(in.name); i >= 0 {
			n.inputs[i].link = in.link
			if l := n.graph.links[in.link]; l != nil {
				l.toSlot = i
				n.connected(i)
			}
			continue
		}
		n.graph.unlink(in)
	}
}

// moveInputs moves the inputs from one index on to another place. One that was there under the same name takes the
// place of the new one.
func (n *node) moveInputs(from, to int) {
	added := slices.Clone(n.inputs[from:])
	n.inputs = n.inputs[:from]
	for i, in := range added {
		if old := n.index(in.name); old >= 0 {
			added[i] = n.inputs[old]
			n.inputs = slices.Delete(n.inputs, old, old+1)
		}
	}
	n.inputs = slices.Insert(n.inputs, min(to, len(n.inputs)), added...)
	n.renumber()
}

// renumber updates the input numbers in the links.
func (n *node) renumber() {
	for i, in := range n.inputs {
		if l := n.graph.links[in.link]; l != nil && in.link != "" {
			l.toSlot = i
		}
	}
}

// autogrow is a group of inputs to which another is added when the last one is connected.
type autogrow struct {
	names    []string
	prefix   string
	min, max int
	specs    []spec
}

func (n *node) addAutogrow(s *spec) {
	template := object(s.option("template", nil))
	inputs := object(template.Object("input"))
	a := &autogrow{prefix: template.String("prefix"), min: 1, max: 100}
	if v, ok := template.Get("min"); ok && whole(v) >= 0 {
		a.min = whole(v)
	}
	if v, ok := template.Get("max"); ok && whole(v) >= 0 {
		a.max = whole(v)
	}
	if names, ok := template.Get("names"); ok && names != nil {
		for _, name := range list(names) {
			a.names = append(a.names, str(name))
		}
		a.max = len(a.names)
	}
	a.specs = append(readSpecs(inputs.Object("required"), false), readSpecs(inputs.Object("optional"), true)...)
	n.grow[s.name] = a
	for i := 0; i == 0 || i < a.min+1; i++ {
		if len(n.inputs) > maxPerNode {
			return
		}
		n.growBy(i, s.name)
	}
}

// name is the name of an input of the group by its place.
func (a *autogrow) name(ordinal int, key, group string) string {
	base := key + strconv.Itoa(ordinal)
	switch {
	case a.names != nil && ordinal >= 0 && ordinal < len(a.names):
		base = a.names[ordinal]
	case a.names != nil:
		base = "undefined"
	case len(a.specs) == 1:
		base = a.prefix + strconv.Itoa(ordinal)
	}
	return group + "." + base
}

// growBy adds the inputs of one place of a group, behind those of the place before.
func (n *node) growBy(ordinal int, group string) {
	a := n.grow[group]
	if ordinal >= a.max || len(a.specs) == 0 || len(n.inputs) > maxPerNode {
		return
	}
	var added []*input
	for _, s := range a.specs {
		named := s.named(a.name(ordinal, s.name, group), ordinal >= a.min || s.optional)
		before := len(n.inputs)
		n.addInputs(&named)
		if len(n.inputs) == before {
			continue
		}
		in := n.inputs[len(n.inputs)-1]
		n.inputs = n.inputs[:len(n.inputs)-1]
		if len(a.specs) != 1 {
			n.standIn(in)
		}
		added = append(added, in)
	}
	for _, in := range added {
		n.inputs = slices.DeleteFunc(n.inputs, func(old *input) bool {
			if old.name != in.name {
				return false
			}
			if in.link == "" {
				in.link = old.link
			}
			return true
		})
	}
	target := a.name(ordinal-1, a.specs[len(a.specs)-1].name, group)
	place := len(n.inputs)
	for i, in := range n.inputs {
		if strings.HasPrefix(in.name, target) {
			place = i + 1
		}
	}
	n.inputs = slices.Insert(n.inputs, place, added...)
	n.renumber()
}

// standIn gives an input a widget without a value, which stays with it.
func (n *node) standIn(in *input) {
	if in.widget != "" && n.find(in.widget) != nil {
		return
	}
	n.widgets = append(n.widgets, &widget{name: in.name, kind: "shim", value: absent{}, unsaved: true})
	in.widget = in.name
}

var ordinalOf = regexp.MustCompile(`\d+$`)

// connected handles a link to one of a node's inputs while the workflow is read: a group of inputs grows.
func (n *node) connected(i int) {
	in := n.inputs[i]
	dot := strings.LastIndexByte(in.name, '.')
	if dot < 0 {
		return
	}
	group := in.name[:dot]
	a := n.grow[group]
	if a == nil {
		return
	}
	if in.widget != "" {
		n.standIn(in)
	}
	if n.graph.links[in.link] == nil {
		return
	}
	name := in.name[dot+1:]
	if a.names != nil {
		if ordinal := slices.Index(a.names, name); ordinal >= 0 {
			n.growBy(ordinal+1, group)
		}
		return
	}
	if ordinal, err := strconv.Atoi(ordinalOf.FindString(name)); err == nil {
		n.growBy(ordinal+1, group)
	}
}
