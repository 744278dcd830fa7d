package workflow

import (
	"slices"
	"strconv"
	"strings"

	"comfygo/internal/pyjson"
)

// groupPrefix stands before the name of a group node in its type.
const groupPrefix = "workflow>"

// group is a group node of an old workflow: several nodes shown as one, before there were subgraphs.
type group struct {
	doc     *document
	nodes   []*pyjson.Object
	links   [][]any
	config  *pyjson.Object
	class   *class
	feeds   []feed         // outer inputs and widgets
	outputs []place        // inner outputs by outer ones
	seen    map[string]int // names that are taken, and how often
}

// feed is an input of an inner node that the group node shows under a name.
type feed struct {
	node         int
	inner, outer string
	widget       bool
}

// place is an output of an inner node.
type place struct{ node, slot int }

// groupNamed returns the group of a node's type, or nil if it is unknown or one of its nodes is unknown.
func (d *document) groupNamed(typ string) *group {
	name, ok := strings.CutPrefix(legacyType(typ), groupPrefix)
	data := d.groups.Object(name)
	if !ok || data == nil {
		return nil
	}
	g := &group{doc: d, config: data.Object("config"), class: &class{name: groupPrefix + name, title: name}, seen: map[string]int{}}
	g.nodes = nodesOf(data)
	links, _ := data.Get("links")
	for _, l := range list(links) {
		if parts := list(l); g.within(whole(at(parts, 0))) && g.within(whole(at(parts, 2))) {
			g.links = append(g.links, parts)
		}
	}
	for _, n := range g.nodes {
		typ := n.String("type")
		if d.classes.get(typ) == nil && !slices.Contains([]string{"PrimitiveNode", "Reroute", "Note", "MarkdownNote"}, typ) {
			return nil
		}
	}
	external, _ := data.Get("external")
	g.read(list(external))
	return g
}

func (g *group) within(i int) bool { return i >= 0 && i < len(g.nodes) }

// read finds what the group node shows of its inner nodes: their widgets, the sockets that are not linked within, and last
// the widgets that were turned into sockets.
func (g *group) read(external []any) {
	var late []func()
	for i, n := range g.nodes {
		specs, outputs := g.definition(i)
		saved := slotNames(n)
		var sockets []spec
		for _, s := range specs {
			converted := slices.Index(saved, s.name)
			switch {
			case s.isWidget() && converted >= 0:
				late = append(late, func() { g.show(i, s, g.linkedWithin(i, s.name)) })
			case s.isWidget():
				g.show(i, s, false)
			default:
				sockets = append(sockets, s)
			}
		}
		for _, s := range sockets {
			g.show(i, s, g.linkedWithin(i, s.name))
		}
		for slot, o := range outputs {
			if g.visible(i, slot, external) {
				g.outputs = append(g.outputs, place{i, slot})
				g.class.outputs = append(g.class.outputs, o)
			}
		}
	}
	for _, f := range late {
		f()
	}
}

// definition returns the definition of an inner node: that of its class, and for primitives and reroutes that of their
// link.
func (g *group) definition(i int) ([]spec, []outputSpec) {
	n := g.nodes[i]
	switch n.String("type") {
	case "PrimitiveNode":
		for _, l := range g.links {
			if whole(l[0]) == i {
				return g.primitive(l)
			}
		}
		return nil, nil
	case "Reroute":
		typ, in, out := anyType, false, false
		for _, l := range g.links {
			in, out = in || whole(l[2]) == i, out || whole(l[0]) == i
			if whole(l[2]) == i || whole(l[0]) == i {
				typ = typeText(at(l, 5))
			}
		}
		if in && out {
			return nil, nil
		}
		return []spec{{typ: typ, options: pyjson.NewObject("forceInput", true)}}, []outputSpec{{typ: typ}}
	}
	c := g.doc.classes.get(n.String("type"))
	if c == nil {
		return nil, nil
	}
	return c.inputs, c.outputs
}

// primitive returns the widget of an inner primitive: that of its target.
func (g *group) primitive(l []any) ([]spec, []outputSpec) {
	target := g.nodes[whole(l[2])]
	name := ""
	if names := slotNames(target); whole(l[3]) >= 0 && whole(l[3]) < len(names) {
		name = names[whole(l[3])]
	}
	c := g.doc.classes.get(target.String("type"))
	if c == nil {
		return nil, nil
	}
	for _, s := range c.inputs {
		if s.name == name && s.isWidget() {
			s.name, s.options = "value", s.options.Clone()
			s.options.Set("control_after_generate", true)
			return []spec{s}, nil
		}
	}
	return nil, nil
}

// slotNames are the names of a saved node's sockets.
func slotNames(n *pyjson.Object) []string {
	inputs, _ := n.Get("inputs")
	var names []string
	for _, in := range list(inputs) {
		names = append(names, object(in).String("name"))
	}
	return names
}

// linkedWithin reports whether a link within the group ends in an input.
func (g *group) linkedWithin(i int, name string) bool {
	names := slotNames(g.nodes[i])
	return slices.ContainsFunc(g.links, func(l []any) bool {
		slot := whole(l[3])
		return whole(l[2]) == i && slot >= 0 && slot < len(names) && names[slot] == name
	})
}

// visible reports whether the group node shows an output.
func (g *group) visible(i, slot int, external []any) bool {
	if v, ok := g.config.Object(strconv.Itoa(i)).Object("output").Object(strconv.Itoa(slot)).Get("visible"); ok {
		return truthy(v)
	}
	if slices.ContainsFunc(external, func(e any) bool { return whole(at(e, 0)) == i && whole(at(e, 1)) == slot && at(e, 2) != nil }) {
		return true
	}
	return !slices.ContainsFunc(g.links, func(l []any) bool { return whole(l[0]) == i && whole(l[1]) == slot })
}

// show gives the group node an input for one of an inner node, unless it is fed from within.
func (g *group) show(i int, s spec, fed bool) {
	if fed {
		return
	}
	n := g.nodes[i]
	custom := g.config.Object(strconv.Itoa(i)).Object("input").Object(s.name)
	name := custom.String("name")
	if name == "" {
		name = g.label(n, s.name)
	}
	k, prefix := name, ""
	if n.String("type") == "PrimitiveNode" && n.String("title") != "" || g.seen[name] > 0 {
		prefix = n.String("title")
		if prefix == "" {
			prefix = n.String("type")
		}
		prefix += " "
		k = prefix + s.name
		if name = k; g.seen[k] > 0 {
			name = prefix + strconv.Itoa(g.seen[k]) + " " + s.name
		}
	}
	g.seen[k] = max(g.seen[k], 1) + 1
	widget := s.isWidget()
	if v, ok := custom.Get("visible"); ok && !truthy(v) && !widget {
		return
	}
	g.feeds = append(g.feeds, feed{i, s.name, name, widget})
	if s.name == "seed" || s.name == "noise_seed" {
		s.options = s.options.Clone()
		s.options.Set("control_after_generate", prefix+"control_after_generate")
	}
	s.name = name
	g.class.inputs = append(g.class.inputs, s)
}

// label returns the new name of a saved socket, or its name.
func (g *group) label(n *pyjson.Object, name string) string {
	inputs, _ := n.Get("inputs")
	for _, in := range list(inputs) {
		if o := object(in); o.String("name") == name && o.String("label") != "" {
			return o.String("label")
		}
	}
	return name
}

// expandGroups puts the inner nodes of group nodes in their place. Their ids are the group node's id and their place
// within it, as in 12:0.
func (d *document) expandGroups() error {
	found := false
	for _, n := range slices.Clone(d.root.nodes) {
		if n.group == nil {
			continue
		}
		found = true
		if len(d.root.nodes) > maxExpanded {
			return ErrTooLarge
		}
		inner := d.root.unpack(n)
		n.group.join(d.root, inner)
		n.group.move(n, inner)
		d.root.nodes = slices.DeleteFunc(d.root.nodes, func(o *node) bool { return o == n })
		delete(d.root.byID, n.id)
	}
	if found {
		d.primitives()
	}
	return nil
}

// unpack makes the inner nodes of a group node.
func (g *graph) unpack(n *node) []*node {
	var inner []*node
	for i, raw := range n.group.nodes {
		raw = pyjson.CloneValue(raw).(*pyjson.Object)
		raw.Set("id", n.id+":"+strconv.Itoa(i))
		made := g.make(raw)
		made.configure()
		for _, in := range made.inputs {
			in.link = ""
		}
		for _, o := range made.outputs {
			o.links = nil
		}
		if n.off() {
			made.mode = n.mode
		}
		g.nodes = append(g.nodes, made)
		g.byID[made.id] = made
		inner = append(inner, made)
	}
	return inner
}

// join links inner nodes with each other.
func (g *group) join(root *graph, inner []*node) {
	for _, l := range g.links {
		from, to := inner[whole(l[0])], inner[whole(l[2])]
		names := slotNames(g.nodes[whole(l[2])])
		slot := whole(l[3])
		if slot >= 0 && slot < len(names) && to.class != nil {
			slot = to.index(names[slot])
		}
		root.tie(from, whole(l[1]), to, slot, typeText(at(l, 5)))
	}
}

// tie links an output with an input.
func (g *graph) tie(from *node, fromSlot int, to *node, toSlot int, typ string) {
	if fromSlot < 0 || fromSlot >= len(from.outputs) || toSlot < 0 || toSlot >= len(to.inputs) {
		return
	}
	l := g.newLink(from.id, fromSlot, to.id, toSlot, typ)
	from.outputs[fromSlot].links = append(from.outputs[fromSlot].links, l.id)
	to.inputs[toSlot].link = l.id
}

// move gives the inner nodes the links and the values of the group node.
func (g *group) move(n *node, inner []*node) {
	root := n.graph
	for _, f := range g.feeds {
		to := inner[f.node]
		if in := n.input(f.outer); in != nil && in.link != "" {
			if l := root.links[in.link]; l != nil && root.byID[l.from] != nil {
				root.tie(root.byID[l.from], l.fromSlot, to, to.index(f.inner), l.typ)
			}
		}
		at := slices.IndexFunc(n.widgets, func(w *widget) bool { return w.name == f.outer })
		switch {
		case !f.widget || at < 0:
		case to.typ == "PrimitiveNode":
			values := []any{}
			for _, w := range n.widgets[at:min(at+3, len(n.widgets))] {
				values = append(values, w.current())
			}
			to.saved = values
		default:
			if w := to.find(f.inner); w != nil {
				w.assign(n.widgets[at].current())
			}
		}
	}
	for i, p := range g.outputs {
		if i >= len(n.outputs) {
			break
		}
		for _, id := range slices.Clone(n.outputs[i].links) {
			l := root.links[id]
			from := inner[p.node]
			if l == nil || p.slot >= len(from.outputs) {
				continue
			}
			l.from, l.fromSlot = from.id, p.slot
			from.outputs[p.slot].links = append(from.outputs[p.slot].links, id)
		}
	}
}
