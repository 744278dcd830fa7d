package workflow

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// placed is a node in its place: a node of a subgraph is placed once for each node that represents the subgraph.
type placed struct {
	*node
	id   string   // the ids of the way to it with colons between them, as in 12:5
	path []string // the way without the node itself
	host *node    // the node that stands for the subgraph it is in; nil at the top
	in   *expansion
}

// expansion is the workflow with its subgraphs written out.
type expansion struct {
	byID  map[string]*placed
	order []*placed
}

// expand writes out the subgraphs.
func (d *document) expand() (*expansion, error) {
	x := &expansion{byID: map[string]*placed{}}
	for _, n := range d.root.sorted() {
		p := x.place(n, nil, nil)
		if n.off() || n.sub == nil {
			continue
		}
		if err := x.enter(p, 0); err != nil {
			return nil, err
		}
	}
	return x, nil
}

func (x *expansion) place(n *node, path []string, host *node) *placed {
	p := &placed{node: n, path: path, host: host, id: strings.Join(append(slices.Clone(path), n.id), ":"), in: x}
	if x.byID[p.id] == nil {
		x.order = append(x.order, p)
	}
	x.byID[p.id] = p
	return p
}

// enter places the nodes of the subgraph that a node represents.
func (x *expansion) enter(p *placed, depth int) error {
	if depth > maxDepth || len(x.order) > maxExpanded {
		return ErrTooLarge
	}
	path := append(slices.Clone(p.path), p.node.id)
	for _, n := range p.sub.nodes {
		inner := x.place(n, path, p.node)
		if n.sub == nil {
			continue
		}
		if err := x.enter(inner, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// sorted returns the nodes in the order in which they can run: each behind those that feed it.
func (g *graph) sorted() []*node {
	waits := map[*node]int{}
	var ready, out []*node
	for _, n := range g.nodes {
		for _, in := range n.inputs {
			if in.link != "" {
				waits[n]++
			}
		}
		if waits[n] == 0 {
			ready = append(ready, n)
		}
	}
	done := map[*node]bool{}
	visited := map[string]bool{}
	for len(ready) > 0 {
		n := ready[0]
		ready, out, done[n] = ready[1:], append(out, n), true
		for _, o := range n.outputs {
			for _, id := range o.links {
				l := g.links[id]
				if l == nil || visited[id] {
					continue
				}
				visited[id] = true
				target := g.byID[l.to]
				if target == nil {
					continue
				}
				if waits[target]--; waits[target] == 0 {
					ready = append(ready, target)
				}
			}
		}
	}
	var rest []*node
	for _, n := range g.nodes {
		if !done[n] {
			rest = append(rest, n)
		}
	}
	slices.SortStableFunc(rest, func(a, b *node) int { return compareIDs(a.id, b.id) })
	return append(out, rest...)
}

// compareIDs orders ids as JavaScript orders the keys of objects: whole numbers first, the rest as they came.
func compareIDs(a, b string) int {
	x, okX := wholeID(a)
	y, okY := wholeID(b)
	switch {
	case okX && okY:
		return int(min(max(x-y, -1), 1))
	case okX:
		return -1
	case okY:
		return 1
	}
	return 0
}

func wholeID(id string) (int64, bool) {
	n, err := strconv.ParseInt(id, 10, 64)
	return n, err == nil && n >= 0 && n < 1<<32-1 && strconv.FormatInt(n, 10) == id
}

// origin is the source of an input: an output of a node, or a value.
type origin struct {
	id    string
	slot  int
	value any
	fixed bool // the value counts
}

// trail guards against links in a circle.
type trail map[string]bool

func (t trail) step(kind byte, p *placed, slot int) error {
	k := fmt.Sprintf("%c%s/%d", kind, p.id, slot)
	if t[k] {
		return fmt.Errorf("resolving the links of node %s: they run in a circle", p.id)
	}
	t[k] = true
	return nil
}

// resolveInput follows the link of an input to its source, or returns nil. typ is the requested type, ""
// for the input's own.
func (p *placed) resolveInput(slot int, t trail, typ string) (*origin, error) {
	if err := t.step('I', p, slot); err != nil {
		return nil, err
	}
	if slot < 0 || slot >= len(p.inputs) {
		return nil, nil
	}
	in := p.inputs[slot]
	l := p.graph.links[in.link]
	if in.link == "" || l == nil {
		return nil, nil
	}
	if p.host != nil && l.from == inputNodeID {
		return p.resolveOutside(l, t)
	}
	from := p.in.byID[strings.Join(append(slices.Clone(p.path), l.from), ":")]
	if from == nil {
		return nil, nil
	}
	if typ == "" {
		typ = in.typ
	}
	return from.resolveOutput(l.fromSlot, typ, t)
}

// resolveOutside follows a link that comes from outside the subgraph.
func (p *placed) resolveOutside(l *link, t trail) (*origin, error) {
	if l.fromSlot < 0 || l.fromSlot >= len(p.host.inputs) {
		return nil, nil
	}
	outer := p.host.inputs[l.fromSlot]
	if outer.link == "" {
		if outer.host == nil {
			return nil, nil
		}
		return &origin{id: p.id, slot: -1, value: outer.host.current(), fixed: true}, nil
	}
	ol := p.host.graph.links[outer.link]
	host := p.in.byID[strings.Join(p.path, ":")]
	if ol == nil || host == nil {
		return nil, nil
	}
	return host.resolveInput(ol.toSlot, t, "")
}

// resolveOutput returns the source of an output: itself, or the source behind a bypassed node, a reroute or a subgraph.
func (p *placed) resolveOutput(slot int, typ string, t trail) (*origin, error) {
	if err := t.step('O', p, slot); err != nil {
		return nil, err
	}
	switch {
	case p.mode == modeMuted:
		return nil, nil
	case p.mode == modeBypass:
		i := p.through(slot, typ)
		if i < 0 {
			return nil, nil
		}
		return p.resolveInput(i, t, "")
	case p.sub != nil:
		return p.resolveInside(slot, typ, t)
	case p.virtual:
		if slot < 0 || slot >= len(p.inputs) || p.graph.links[p.inputs[slot].link] == nil {
			return nil, nil
		}
		return p.resolveInput(slot, t, typ)
	}
	return &origin{id: p.id, slot: slot}, nil
}

// through finds the input that a bypassed node passes to an output: the one of the same place if its type fits, else the
// first of exactly the requested type, else the first that fits; -1 if none does.
func (p *placed) through(slot int, typ string) int {
	if typ == anyType || typ == "" {
		if len(p.inputs) > slot {
			return slot
		}
		return 0
	}
	own := anyType
	if slot >= 0 && slot < len(p.outputs) {
		own = p.outputs[slot].typ
	}
	fits := func(in *input) bool { return connects(in.typ, own) && connects(in.typ, typ) }
	if slot >= 0 && slot < len(p.inputs) && fits(p.inputs[slot]) {
		return slot
	}
	if i := slices.IndexFunc(p.inputs, func(in *input) bool { return in.typ == typ }); i >= 0 {
		return i
	}
	return slices.IndexFunc(p.inputs, fits)
}

// resolveInside follows an output of a subgraph's node into the subgraph.
func (p *placed) resolveInside(slot int, typ string, t trail) (*origin, error) {
	if slot < 0 || slot >= len(p.sub.outputs) || len(p.sub.outputs[slot].links) == 0 {
		return nil, nil
	}
	l := p.sub.links[p.sub.outputs[slot].links[0]]
	if l == nil {
		return nil, nil
	}
	inner := p.in.byID[p.id+":"+l.from]
	if inner == nil {
		return nil, nil
	}
	return inner.resolveOutput(l.fromSlot, typ, t)
}
