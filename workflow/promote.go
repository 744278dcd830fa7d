package workflow

import (
	"reflect"
	"regexp"
	"slices"
	"strings"

	"comfygo/internal/pyjson"
)

// shown is one entry of the list by which older versions of the front end kept which inner widgets a subgraph's node
// shows. Newer ones have an input of the subgraph for each; promote makes those.
type shown struct {
	id, name, inner string
	raw             []any
	value           any
	has             bool // the value was saved
	plan            plan
	input           string // with planLinked
}

type plan int

const (
	planLinked    plan = iota // an input stands for the widget already
	planCreate                // an input has to be made
	planPrimitive             // it stands for a primitive: its targets get an input
	planNothing               // a preview
	planLost                  // there is no such widget
)

// promote turns the old list of shown widgets into inputs of the subgraph and puts their saved values there.
func (n *node) promote() {
	entries := n.shownList()
	values := list(n.saved)
	for i := range entries {
		e := &entries[i]
		if i < len(values) && values[i] != nil {
			e.value, e.has = values[i], true
		}
		e.normalize(n)
	}
	for i := range entries {
		n.classify(&entries[i], entries)
	}
	var primitives []string
	var lost []shown
	for i := range entries {
		e := &entries[i]
		ok := true
		switch e.plan {
		case planLinked:
			ok = n.takeValue(e)
		case planCreate:
			ok = n.createInput(e)
		case planPrimitive:
			if !slices.Contains(primitives, e.id) {
				primitives = append(primitives, e.id)
			}
		case planLost:
			ok = false
		}
		if !ok {
			lost = append(lost, *e)
		}
	}
	for _, id := range primitives {
		n.bypassPrimitive(id, entries)
	}
	for _, e := range lost {
		if e.raw[0] == "-1" && e.has {
			if in := n.input(e.name); in != nil && in.host != nil {
				in.host.assign(e.value)
			}
		}
	}
}

// shownList reads the list: lists of a node's id and a widget's name, with an inner node's id if names are not unique. A
// list of another form counts as empty.
func (n *node) shownList() []shown {
	v, _ := n.props.Get("proxyWidgets")
	if text, ok := v.(string); ok {
		if parsed, err := pyjson.Unmarshal([]byte(text)); err == nil {
			v = parsed
		}
	}
	var out []shown
	for _, entry := range list(v) {
		parts := list(entry)
		if len(parts) != 2 && len(parts) != 3 {
			return nil
		}
		for _, p := range parts {
			if _, ok := p.(string); !ok {
				return nil
			}
		}
		e := shown{id: str(parts[0]), name: str(parts[1]), inner: str(at(entry, 2)), raw: parts}
		out = append(out, e)
	}
	return out
}

var idPrefix = regexp.MustCompile(`^\s*(\d+)\s*:\s*(.+)$`)

// normalize removes inner ids from the name of a widget that does not exist under the whole name.
func (e *shown) normalize(host *node) {
	if host.concrete(e.id, e.name) != nil {
		return
	}
	for {
		m := idPrefix.FindStringSubmatch(e.name)
		if m == nil {
			return
		}
		e.inner, e.name = m[1], m[2]
	}
}

// classify decides what has to be done for an entry.
func (n *node) classify(e *shown, all []shown) {
	for _, in := range n.inputs {
		if in.port == nil {
			continue
		}
		if inner, name := n.sub.source(in.port); inner != nil && inner.id == e.id && name == e.name {
			e.plan, e.input = planLinked, in.name
			return
		}
	}
	e.plan = planLost
	inner := n.sub.byID[e.id]
	if inner == nil {
		return
	}
	if inner.typ == "PrimitiveNode" {
		if to, ok := inner.props.Get("proxyBypassedToSubgraphInput"); ok && n.input(str(to)) != nil && str(to) != "" {
			e.plan, e.input = planLinked, str(to)
			return
		}
		twice := 0
		for _, other := range all {
			if other.id == e.id {
				twice++
			}
		}
		if len(inner.targets()) > 0 || twice >= 2 {
			e.plan = planPrimitive
		}
		return
	}
	w := inner.promotable(e)
	switch {
	case w == nil && strings.HasPrefix(e.name, "$$"):
		e.plan = planNothing
	case w == nil:
	case strings.HasPrefix(e.name, "$$") || (w.unsaved || w.hidden) && isPreview(w):
		e.plan = planNothing
	default:
		e.plan = planCreate
	}
}

// isPreview reports whether a widget shows a result only.
func isPreview(w *widget) bool {
	return slices.Contains([]string{"preview", "video", "audioUI"}, w.kind)
}

// targets are the links of a primitive's output that lead to a node.
func (n *node) targets() []*link {
	var out []*link
	if len(n.outputs) == 0 {
		return nil
	}
	for _, id := range n.outputs[0].links {
		if l := n.graph.links[id]; l != nil && l.to != "-1" {
			out = append(out, l)
		}
	}
	return out
}

// promotable returns the widget of an inner node that an entry names.
func (n *node) promotable(e *shown) *widget {
	if n.sub != nil {
		for _, in := range n.inputs {
			inner, name := n.target(in.name)
			hit := false
			if e.inner != "" {
				hit = inner != nil && name == e.name && inner.id == e.inner
			} else {
				hit = in.name == e.name || inner != nil && name == e.name
			}
			if hit {
				if in.host != nil {
					return in.host
				}
				break
			}
		}
	}
	return n.find(e.name)
}

// takeValue sets the input that represents a widget to the saved value.
func (n *node) takeValue(e *shown) bool {
	var hit *input
	for _, in := range n.inputs {
		if in.name == e.input {
			if hit != nil {
				return false
			}
			hit = in
		}
	}
	if hit == nil || hit.host == nil {
		return false
	}
	if e.has {
		hit.host.assign(e.value)
	}
	return true
}

// createInput makes an input of the subgraph for a widget of an inner node.
func (n *node) createInput(e *shown) bool {
	inner := n.sub.byID[e.id]
	w := inner.promotable(e)
	if w == nil {
		return false
	}
	in := inner.slotOf(w)
	if in == nil {
		return false
	}
	p := n.sub.addPort(e.name, in.typ)
	n.sub.connect(p, inner, in)
	if outer := n.input(p.name); outer != nil && outer.host != nil && e.has {
		outer.host.assign(e.value)
	}
	return true
}

// bypassPrimitive makes an input of the subgraph for what a primitive within it feeds.
func (n *node) bypassPrimitive(id string, all []shown) {
	var cohort []shown
	for _, e := range all {
		if e.plan == planPrimitive && e.id == id {
			if len(cohort) > 0 && cohort[0].name != e.name {
				return
			}
			if !slices.ContainsFunc(cohort, func(o shown) bool { return reflect.DeepEqual(o.raw, e.raw) }) {
				cohort = append(cohort, e)
			}
		}
	}
	primitive := n.sub.byID[id]
	if primitive == nil || len(primitive.outputs) == 0 {
		return
	}
	targets := primitive.targets()
	if len(targets) == 0 || len(targets) != len(primitive.outputs[0].links) {
		return
	}
	typ := primitive.outputs[0].typ
	for _, l := range targets {
		to := n.sub.byID[l.to]
		if to == nil || l.toSlot < 0 || l.toSlot >= len(to.inputs) {
			return
		}
		if t := to.inputs[l.toSlot].typ; t != typ && t != anyType && typ != anyType {
			return
		}
	}
	name := cohort[0].name
	if t := primitive.raw.String("title"); t != "" && t != "PrimitiveNode" {
		name = t
	}
	p := n.sub.addPort(name, typ)
	for _, l := range targets {
		to := n.sub.byID[l.to]
		n.sub.connect(p, to, to.inputs[l.toSlot])
	}
	if outer := n.input(p.name); outer != nil && outer.host != nil {
		for _, e := range cohort {
			if e.has {
				outer.host.assign(e.value)
				break
			}
		}
	}
	primitive.props.Set("proxyBypassedToSubgraphInput", p.name)
}

// quarantined returns the values that the front end could not place in an earlier version, by the names of inputs.
func (n *node) quarantined() map[string]any {
	v, _ := n.props.Get("proxyWidgetErrorQuarantine")
	if text, ok := v.(string); ok {
		if parsed, err := pyjson.Unmarshal([]byte(text)); err == nil {
			v = parsed
		}
	}
	out := map[string]any{}
	for _, e := range slices.Backward(list(v)) {
		entry, _ := object(e).Get("originalEntry")
		value, ok := object(e).Get("hostValue")
		if str(at(entry, 0)) == "-1" && ok && value != nil {
			out[str(at(entry, 1))] = value
		}
	}
	return out
}
