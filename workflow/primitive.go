package workflow

import (
	"math"

	"comfygo/internal/pyjson"
)

// primitives gives each connected primitive the widget of its target, with its saved value.
func (d *document) primitives() {
	d.root.walk(map[*graph]bool{}, func(n *node) {
		if n.typ == "PrimitiveNode" && len(n.outputs) > 0 && len(n.outputs[0].links) > 0 && len(n.widgets) == 0 {
			n.adopt()
		}
	})
}

// adopt makes the primitive's widget after the first widget that it feeds.
func (n *node) adopt() {
	l := n.graph.links[n.outputs[0].links[0]]
	if l == nil {
		return
	}
	target := n.graph.byID[l.to]
	if target == nil || l.toSlot < 0 || l.toSlot >= len(target.inputs) {
		return
	}
	in := target.inputs[l.toSlot]
	s := target.specOf(in)
	if s == nil {
		return
	}
	made := *s
	made.name = "value"
	if widgetTypes[made.widgetType()] {
		n.addWidgets(&made)
	} else {
		n.widgets = append(n.widgets, &widget{name: "value", kind: made.typ})
	}
	own := n.widgets[0]
	if theirs := target.widgetOf(in); theirs != nil {
		own.assign(theirs.current())
	}
	for i, v := range list(n.saved) {
		if i < len(n.widgets) {
			n.widgets[i].assign(v)
		}
	}
	if own.number != nil {
		n.bound(own, s)
	}
}

// specOf returns the definition of the widget that an input belongs to, or of its type if it has none.
func (n *node) specOf(in *input) *spec {
	if in.widget == "" {
		if !widgetTypes[in.typ] {
			return nil
		}
		return &spec{name: in.name, typ: in.typ, options: pyjson.NewObject()}
	}
	if w := n.widgetOf(in); w != nil {
		return w.spec
	}
	return nil
}

// bound clamps the primitive's number within what all its targets take, and rounds it.
func (n *node) bound(own *widget, s *spec) {
	low, high := s.number("min", math.Inf(-1)), s.number("max", math.Inf(1))
	for _, l := range n.targets() {
		target := n.graph.byID[l.to]
		if target == nil || l.toSlot < 0 || l.toSlot >= len(target.inputs) {
			continue
		}
		theirs := target.specOf(target.inputs[l.toSlot])
		if theirs == nil || theirs.typ != s.typ {
			continue
		}
		low, high = max(low, theirs.number("min", math.Inf(-1))), min(high, theirs.number("max", math.Inf(1)))
	}
	v := own.current()
	f, ok := float(v)
	if !ok {
		return
	}
	if low <= high && f < low {
		v = number(low)
	} else if low <= high && f > high {
		v = number(high)
	}
	own.enter(v)
}

// apply puts a primitive's value into the widgets that it feeds.
func (n *node) apply() {
	if n.typ != "PrimitiveNode" || len(n.widgets) == 0 || len(n.outputs) == 0 {
		return
	}
	v := n.widgets[0].current()
	if replace, _ := n.props.Get("Run widget replace on values"); truthy(replace) && truthy(v) {
		v = n.graph.doc.replace(jsText(v))
	}
	for _, l := range n.targets() {
		target := n.graph.byID[l.to]
		if target == nil || l.toSlot < 0 || l.toSlot >= len(target.inputs) {
			continue
		}
		if w := target.widgetOf(target.inputs[l.toSlot]); w != nil {
			w.enter(v)
		}
	}
}
