package workflow

import (
	"slices"

	"comfygo/internal/pyjson"
)

// configure puts what was saved into a new node.
func (n *node) configure() {
	raw := n.raw
	for k, v := range raw.Object("properties").All() {
		n.props.Set(k, v)
	}
	if title := raw.String("title"); title != "" {
		n.title = title
	}
	if mode, ok := raw.Get("mode"); ok {
		n.mode = whole(mode)
	}
	n.saved, _ = raw.Get("widgets_values")
	inputs, outputs := n.savedSlots()
	if n.sub != nil {
		n.configureHost(inputs, outputs)
		return
	}
	n.inputs, n.outputs = n.mergeInputs(inputs), mergeOutputs(n.outputs, outputs)
	for i := 0; i < len(n.inputs) && i < maxPerNode; i++ { // inputs may be added while they are gone through
		n.connected(i)
	}
	n.restore()
}

// savedSlots reads the sockets of a saved node.
func (n *node) savedSlots() (inputs []*input, outputs []*output) {
	v, _ := n.raw.Get("inputs")
	for _, v := range list(v) {
		s := object(v)
		in := &input{name: s.String("name"), label: s.String("label"), widget: s.Object("widget").String("name")}
		in.typ = typeText(first(s.Get("type")))
		if id := key(first(s.Get("link"))); id != "" {
			in.link = id
		}
		inputs = append(inputs, in)
	}
	v, _ = n.raw.Get("outputs")
	for _, v := range list(v) {
		s := object(v)
		o := &output{name: s.String("name"), typ: typeText(first(s.Get("type")))}
		links, _ := s.Get("links")
		for _, id := range list(links) {
			o.links = append(o.links, key(id))
		}
		outputs = append(outputs, o)
	}
	return inputs, outputs
}

// mergeInputs puts the saved sockets over the new ones: what the definition says of name, type and widget stays, links
// are the saved ones. Sockets that the definition does not have come last.
func (n *node) mergeInputs(saved []*input) []*input {
	if n.class == nil && n.sub == nil {
		return saved
	}
	byName := make(map[string]*input, len(saved))
	for _, in := range saved {
		byName[in.name] = in
	}
	defined := make(map[string]bool, len(n.inputs))
	out := make([]*input, 0, len(n.inputs)+len(saved))
	for _, in := range n.inputs {
		defined[in.name] = true
		if s := byName[in.name]; s != nil {
			merged := *in
			merged.link, merged.label = s.link, s.label
			in = &merged
		}
		out = append(out, in)
	}
	for _, in := range saved {
		if !defined[in.name] {
			out = append(out, in)
		}
	}
	return out
}

func mergeOutputs(defined, saved []*output) []*output {
	var out []*output
	for i := range max(len(defined), len(saved)) {
		o := &output{}
		switch {
		case i >= len(defined):
			o = saved[i]
		case i >= len(saved):
			o = defined[i]
		default:
			*o = *defined[i]
			o.links = saved[i].links
		}
		out = append(out, o)
	}
	return out
}

// restore gives the widgets their saved values: by place in a list, or by name in an object, as some packs of custom
// nodes save them.
func (n *node) restore() {
	if n.class == nil {
		return
	}
	if byName, ok := n.saved.(*pyjson.Object); ok {
		for i := 0; i < len(n.widgets); i++ {
			if v, ok := byName.Get(n.widgets[i].name); ok && !n.widgets[i].unsaved {
				n.widgets[i].assign(v)
			}
		}
		return
	}
	values := n.withoutForced(list(n.saved))
	next := 0
	for i := 0; i < len(n.widgets) && next < len(values); i++ { // values may bring widgets
		if w := n.widgets[i]; !w.unsaved {
			w.assign(values[next])
			next++
		}
	}
}

// withoutForced leaves out values that old versions of the front end saved for inputs that have no widget any more.
func (n *node) withoutForced(values []any) []any {
	names := make(map[string]bool, len(n.widgets))
	for _, w := range n.widgets {
		names[w.name] = true
	}
	var forced []bool
	for i := range n.class.inputs {
		s := &n.class.inputs[i]
		force := s.on("forceInput")
		if !names[s.name] && !force {
			continue
		}
		forced = append(forced, force)
		if s.on("control_after_generate") {
			forced = append(forced, false)
		}
	}
	if len(forced) != len(values) || !slices.Contains(forced, true) {
		return values
	}
	var out []any
	for i, v := range values {
		if !forced[i] {
			out = append(out, v)
		}
	}
	return out
}
