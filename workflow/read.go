package workflow

import (
	"fmt"
	"slices"
	"strings"

	"comfygo/internal/pyjson"
)

// IsWorkflow reports whether a value is a workflow as the front end saves it, rather than a prompt: it has a list of
// nodes.
func IsWorkflow(v any) bool {
	o, ok := v.(*pyjson.Object)
	if !ok {
		return false
	}
	nodes, ok := o.Get("nodes")
	if !ok {
		return false
	}
	_, ok = nodes.([]any)
	links, given := o.Get("links")
	if _, isList := links.([]any); given && links != nil && !isList {
		return false
	}
	return ok
}

// newDocument makes the graphs of a workflow with their nodes, subgraphs before those that use them.
func (c Converter) newDocument(workflow *pyjson.Object) (*document, error) {
	workflow = pyjson.CloneValue(workflow).(*pyjson.Object)
	d := &document{
		classes: &classes{source: c.Definitions, known: map[string]*class{}},
		byType:  map[string]*graph{},
		hosted:  map[string]*widget{},
		groups:  workflow.Object("extra").Object("groupNodes"),
		now:     c.clock(),
	}
	d.root = d.newGraph(workflow)
	definitions, _ := workflow.Object("definitions").Get("subgraphs")
	subgraphs := flatten(list(definitions), 0)
	dedupe(workflow, subgraphs)
	for _, s := range subgraphs {
		g := d.newGraph(s)
		g.id = key(idOf(s))
		g.name = s.String("name")
		if g.id == "" || d.byType[g.id] != nil {
			continue
		}
		d.byType[g.id] = g
		g.readPorts()
	}
	for _, s := range leavesFirst(subgraphs) {
		g := d.byType[key(idOf(s))]
		if g == nil || g.raw != s {
			continue
		}
		if err := g.configure(); err != nil {
			return nil, err
		}
		g.readPorts()
	}
	return d, d.root.configure()
}

// flatten lists subgraphs and those defined within them.
func flatten(definitions []any, depth int) []*pyjson.Object {
	var out []*pyjson.Object
	for _, v := range definitions {
		s, ok := v.(*pyjson.Object)
		if !ok {
			continue
		}
		out = append(out, s)
		if inner, _ := s.Object("definitions").Get("subgraphs"); inner != nil && depth < maxDepth {
			out = append(out, flatten(list(inner), depth+1)...)
		}
	}
	return out
}

func idOf(o *pyjson.Object) any {
	v, _ := o.Get("id")
	return v
}

func (d *document) newGraph(raw *pyjson.Object) *graph {
	return &graph{doc: d, raw: raw, byID: map[string]*node{}, links: map[string]*link{}}
}

// readPorts reads a subgraph's own inputs and outputs.
func (g *graph) readPorts() {
	read := func(name string) []*port {
		var out []*port
		slots, _ := g.raw.Get(name)
		for _, v := range list(slots) {
			s := object(v)
			t, _ := s.Get("type")
			p := &port{name: s.String("name"), typ: typeText(t), label: s.String("label")}
			ids, _ := s.Get("linkIds")
			for _, id := range list(ids) {
				p.links = append(p.links, key(id))
			}
			out = append(out, p)
		}
		return out
	}
	g.inputs, g.outputs = read("inputs"), read("outputs")
	repair := func(ports []*port, at string, slot func(*link) (string, int)) {
		for i, p := range ports {
			for j, id := range p.links {
				if g.links[id] != nil {
					continue
				}
				for _, other := range g.order {
					if l := g.links[other]; l != nil {
						if end, n := slot(l); end == at && n == i {
							p.links[j] = other
							break
						}
					}
				}
			}
		}
	}
	repair(g.inputs, inputNodeID, func(l *link) (string, int) { return l.from, l.fromSlot })
	repair(g.outputs, outputNodeID, func(l *link) (string, int) { return l.to, l.toSlot })
}

// readLinks reads the links: lists in schema 0.4, objects in later ones and in subgraphs.
func (g *graph) readLinks() {
	links, _ := g.raw.Get("links")
	for _, v := range list(links) {
		l := &link{typ: anyType}
		var id, from, fromSlot, to, toSlot, typ any
		switch v := v.(type) {
		case []any:
			id, from, fromSlot, to, toSlot, typ = at(v, 0), at(v, 1), at(v, 2), at(v, 3), at(v, 4), at(v, 5)
		case *pyjson.Object:
			id, _ = v.Get("id")
			from, _ = v.Get("origin_id")
			fromSlot, _ = v.Get("origin_slot")
			to, _ = v.Get("target_id")
			toSlot, _ = v.Get("target_slot")
			typ, _ = v.Get("type")
		default:
			continue
		}
		l.id, l.from, l.to, l.fromSlot, l.toSlot, l.typ = key(id), key(from), key(to), slot(fromSlot), slot(toSlot), typeText(typ)
		if l.id != "" {
			g.addLink(l)
		}
	}
}

// slot reads the index of a slot; some old workflows have it as text.
func slot(v any) int {
	if s, ok := v.(string); ok {
		var n int
		if _, err := fmt.Sscanf(s, "%d", &n); err == nil {
			return n
		}
	}
	return whole(v)
}

// configure makes the graph's nodes and puts what was saved into them.
func (g *graph) configure() error {
	g.readLinks()
	saved, _ := g.raw.Get("nodes")
	for _, v := range list(saved) {
		raw, ok := v.(*pyjson.Object)
		if !ok {
			continue
		}
		n := g.make(raw)
		if n.id == "" {
			return fmt.Errorf("reading the workflow: a %s has no id", n.typ)
		}
		if g.byID[n.id] != nil {
			return fmt.Errorf("reading the workflow: two nodes have the id %s", n.id)
		}
		g.nodes = append(g.nodes, n)
		g.byID[n.id] = n
	}
	for _, n := range g.nodes {
		n.configure()
	}
	g.dropDuplicates()
	for _, n := range g.nodes {
		if n.sub != nil {
			n.promote()
		}
	}
	return nil
}

// make makes one node as it is when it is new.
func (g *graph) make(raw *pyjson.Object) *node {
	typ := key(first(raw.Get("type")))
	var n *node
	switch c := g.doc.classes.get(typ); {
	case g.doc.byType[typ] != nil:
		n = g.newHost(g.doc.byType[typ])
	case typ == "Reroute" || typ == "PrimitiveNode" || typ == "Note" || typ == "MarkdownNote":
		n = &node{virtual: true, title: map[string]string{"PrimitiveNode": "Primitive"}[typ]}
	case c != nil:
		n = g.newNode(c)
	default:
		if old := g.doc.groupNamed(typ); old != nil && g == g.doc.root {
			n = g.newNode(old.class)
			n.group = old
			break
		}
		n = &node{title: typ}
	}
	n.typ, n.graph, n.raw, n.id = typ, g, raw, key(idOf(raw))
	if n.props == nil {
		n.props = pyjson.NewObject()
	}
	return n
}

func first(v any, _ bool) any { return v }

// dropDuplicates keeps one of several links between the same slots: the one that an input has.
func (g *graph) dropDuplicates() {
	groups := map[string][]string{}
	for _, id := range g.order {
		if l := g.links[id]; l != nil {
			k := fmt.Sprint(l.from, "\x00", l.fromSlot, "\x00", l.to, "\x00", l.toSlot)
			groups[k] = append(groups[k], id)
		}
	}
	for _, ids := range groups {
		if len(ids) < 2 {
			continue
		}
		target := g.byID[g.links[ids[0]].to]
		keep := ids[0]
		if target != nil {
			for _, in := range target.inputs {
				if slices.Contains(ids, in.link) {
					keep = in.link
					break
				}
			}
		}
		g.dropExcept(ids, keep, target)
	}
}

func (g *graph) dropExcept(ids []string, keep string, target *node) {
	for _, id := range ids {
		if id == keep {
			continue
		}
		l := g.links[id]
		if origin := g.byID[l.from]; origin != nil && l.fromSlot >= 0 && l.fromSlot < len(origin.outputs) {
			o := origin.outputs[l.fromSlot]
			o.links = slices.DeleteFunc(o.links, func(s string) bool { return s == id })
		}
		delete(g.links, id)
		if target != nil {
			for _, in := range target.inputs {
				if in.link == id {
					in.link = keep
				}
			}
		}
	}
}

// walk calls f for each node of the graph and of the subgraphs that its nodes represent, once for each graph that
// uses the subgraph, but no deeper than the bound.
func (g *graph) walk(seen map[*graph]bool, f func(*node)) {
	if seen[g] {
		return
	}
	seen[g] = true
	for _, n := range slices.Clone(g.nodes) {
		f(n)
		if n.sub != nil {
			n.sub.walk(seen, f)
		}
	}
}

// legacyType turns the old name of a group node's type into the newer one.
func legacyType(typ string) string {
	if rest, ok := strings.CutPrefix(typ, "workflow/"); ok {
		return "workflow>" + rest
	}
	return typ
}
