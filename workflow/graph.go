package workflow

import (
	"errors"
	"slices"
	"strconv"

	"comfygo/internal/pyjson"
)

// Modes of nodes.
const (
	modeMuted  = 2
	modeBypass = 4
)

// Ids of the two nodes that represent a subgraph's own inputs and outputs.
const (
	inputNodeID  = "-10"
	outputNodeID = "-20"
)

// Bounds on what is made of a workflow, so that a small hostile one cannot fill the memory.
const (
	maxDepth    = 64     // subgraphs within subgraphs
	maxExpanded = 50_000 // nodes of the prompt, subgraphs written out
	maxPerNode  = 4096   // inputs or widgets of one node
)

// ErrTooLarge is returned for workflows beyond the bounds.
var ErrTooLarge = errors.New("the workflow has too many nodes or too deep subgraphs")

// document is a workflow that is being converted.
type document struct {
	classes *classes
	root    *graph
	byType  map[string]*graph // subgraphs by id
	hosted  map[string]*widget
	groups  *pyjson.Object // definitions of group nodes, nil without
	links   int
	now     clock
}

// graph is the workflow's own graph or that of a subgraph.
type graph struct {
	id        string // "" for the root
	doc       *document
	name      string
	nodes     []*node
	byID      map[string]*node
	links     map[string]*link
	order     []string // link ids in their order
	inputs    []*port
	outputs   []*port
	instances []*node // nodes that stand for the subgraph
	raw       *pyjson.Object
}

// port is one input or output of a subgraph.
type port struct {
	name, typ, label string
	links            []string
}

// link runs from an output to an input.
type link struct {
	id       string
	from     string
	fromSlot int
	to       string
	toSlot   int
	typ      string
}

// node is one node of a graph.
type node struct {
	id      string
	typ     string
	title   string
	mode    int
	graph   *graph
	class   *class // nil for virtual, unknown and subgraph nodes
	sub     *graph // of a node that stands for a subgraph
	group   *group // of an old group node
	virtual bool
	inputs  []*input
	outputs []*output
	widgets []*widget
	props   *pyjson.Object
	saved   any // widgets_values
	raw     *pyjson.Object
	grow    map[string]*autogrow
	matches map[string]map[string]string // group to input to allowed types
}

type input struct {
	name, typ, label string
	link             string  // "" when nothing is connected
	widget           string  // name of the widget that the input belongs to
	host             *widget // of a subgraph's node: what it shows of an inner widget
	port             *port
}

type output struct {
	name, typ string
	links     []string
}

func (n *node) off() bool { return n.mode == modeMuted || n.mode == modeBypass }

// input returns the first input of a name, nil without.
func (n *node) input(name string) *input {
	if i := n.index(name); i >= 0 {
		return n.inputs[i]
	}
	return nil
}

func (n *node) index(name string) int {
	return slices.IndexFunc(n.inputs, func(in *input) bool { return in.name == name })
}

// linked returns the input that a link ends in.
func (n *node) linked(id string) *input {
	for _, in := range n.inputs {
		if in.link == id {
			return in
		}
	}
	return nil
}

// all returns the node's widgets: of a subgraph's node those of inner nodes that it shows.
func (n *node) all() []*widget {
	if n.sub == nil {
		return n.widgets
	}
	var out []*widget
	for _, in := range n.inputs {
		if in.host != nil {
			out = append(out, in.host)
		}
	}
	return out
}

// find returns the first widget of a name, nil without.
func (n *node) find(name string) *widget {
	for _, w := range n.all() {
		if w.name == name {
			return w
		}
	}
	return nil
}

// widgetOf returns the widget that an input belongs to, nil without.
func (n *node) widgetOf(in *input) *widget {
	if in.host != nil {
		return in.host
	}
	if in.widget == "" {
		return nil
	}
	return n.find(in.widget)
}

// slotOf returns the input of a widget, nil without.
func (n *node) slotOf(w *widget) *input {
	for _, in := range n.inputs {
		if in.host == w && w != nil {
			return in
		}
	}
	for _, in := range n.inputs {
		if in.widget != "" && in.widget == w.name {
			return in
		}
	}
	return nil
}

// newLink adds a link of the converter's own.
func (g *graph) newLink(from string, fromSlot int, to string, toSlot int, typ string) *link {
	g.doc.links++
	l := &link{id: "+" + strconv.Itoa(g.doc.links), from: from, fromSlot: fromSlot, to: to, toSlot: toSlot, typ: typ}
	g.addLink(l)
	return l
}

func (g *graph) addLink(l *link) {
	if _, ok := g.links[l.id]; !ok {
		g.order = append(g.order, l.id)
	}
	g.links[l.id] = l
}

// unlink takes the link off an input and out of the graph.
func (g *graph) unlink(in *input) {
	id := in.link
	in.link = ""
	l := g.links[id]
	if id == "" || l == nil {
		return
	}
	delete(g.links, id)
	drop := func(ids []string) []string { return slices.DeleteFunc(ids, func(s string) bool { return s == id }) }
	if l.from == inputNodeID {
		if l.fromSlot >= 0 && l.fromSlot < len(g.inputs) {
			p := g.inputs[l.fromSlot]
			p.links = drop(p.links)
		}
		return
	}
	if origin := g.byID[l.from]; origin != nil && l.fromSlot >= 0 && l.fromSlot < len(origin.outputs) {
		o := origin.outputs[l.fromSlot]
		o.links = drop(o.links)
	}
}

// removeInput takes an input off a node.
func (n *node) removeInput(i int) {
	n.graph.unlink(n.inputs[i])
	n.inputs = slices.Delete(n.inputs, i, i+1)
	for j := i; j < len(n.inputs); j++ {
		if l := n.graph.links[n.inputs[j].link]; l != nil {
			l.toSlot--
		}
	}
}
