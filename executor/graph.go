package executor

import (
	"fmt"
	"strings"
	"sync"

	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// graph is the prompt of a run with the nodes that expansion adds.
type graph struct {
	mu       sync.RWMutex // nodes that run in the background look at the graph while it grows
	prompt   Prompt
	registry *nodes.Registry
	nodes    map[string]*node
	order    []string
}

// node is one node of a graph.
type node struct {
	id     string
	class  *nodes.Class
	data   *pyjson.Object
	inputs *pyjson.Object
	links  []inputLink
	// parent is the node whose expansion added this one, or nil for a node of the prompt.
	parent *node
	// display is the id in messages: the node's own, or that of the node that it was expanded from.
	display string

	fingerprint    any
	fingerprinted  bool
	key            cacheKey
	keyed, working bool
	// unique: no other run makes this key again.
	unique bool
}

// inputLink is an input that is a link.
type inputLink struct {
	input string
	from  nodes.Link
	lazy  bool
}

func newGraph(prompt Prompt, registry *nodes.Registry) (*graph, error) {
	g := &graph{prompt: prompt, registry: registry, nodes: make(map[string]*node, prompt.Len())}
	for id, v := range prompt.All() {
		data, ok := v.(*pyjson.Object)
		if !ok {
			return nil, fmt.Errorf("reading node %s: it is no object", id)
		}
		if err := g.add(id, data, nil, ""); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// add puts a node in, in place of one with the same id.
func (g *graph) add(id string, data *pyjson.Object, parent *node, display string) error {
	class, ok := g.registry.Get(data.String("class_type"))
	if !ok {
		return nodes.Errorf("KeyError", "'%s'", data.String("class_type"))
	}
	inputs := data.Object("inputs")
	if inputs == nil {
		inputs = pyjson.NewObject()
	}
	n := &node{id: id, class: class, data: data, inputs: inputs, parent: parent, display: id}
	if display != "" {
		n.display = g.displayID(display)
	}
	for name, v := range inputs.All() {
		link, ok := nodes.AsLink(v)
		if !ok {
			continue
		}
		in, _ := class.Input(name)
		n.links = append(n.links, inputLink{input: name, from: link, lazy: in != nil && in.Lazy})
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, there := g.nodes[id]; !there {
		g.order = append(g.order, id)
	}
	g.nodes[id] = n
	return nil
}

// get returns a node, or upstream's error for a missing one.
func (g *graph) get(id string) (*node, error) {
	if n, ok := g.nodes[id]; ok {
		return n, nil
	}
	return nil, nodes.Errorf("comfy_execution.graph.NodeNotFoundError", "Node %s not found", id)
}

// realID is the id of the prompt's node that a node comes from.
func (n *node) realID() string {
	for n.parent != nil {
		n = n.parent
	}
	return n.id
}

// displayID is the id under which the client shows a node.
func (g *graph) displayID(id string) string {
	if n, ok := g.nodes[id]; ok {
		return n.display
	}
	return id
}

func (n *node) parentID() any {
	if n.parent == nil {
		return nil
	}
	return n.parent.id
}

// dynPrompt shows a graph to nodes.
type dynPrompt struct{ g *graph }

var _ nodes.DynPrompt = dynPrompt{}

func (d dynPrompt) find(id string) *node {
	d.g.mu.RLock()
	defer d.g.mu.RUnlock()
	return d.g.nodes[id]
}

// Node implements nodes.DynPrompt.
func (d dynPrompt) Node(id string) *pyjson.Object {
	if n := d.find(id); n != nil {
		return n.data
	}
	return nil
}

// ParentID implements nodes.DynPrompt.
func (d dynPrompt) ParentID(id string) string {
	if n := d.find(id); n != nil && n.parent != nil {
		return n.parent.id
	}
	return ""
}

// DisplayID implements nodes.DynPrompt.
func (d dynPrompt) DisplayID(id string) string {
	if n := d.find(id); n != nil {
		return n.display
	}
	return id
}

// RealID implements nodes.DynPrompt.
func (d dynPrompt) RealID(id string) string {
	if n := d.find(id); n != nil {
		return n.realID()
	}
	return id
}

// IDs implements nodes.DynPrompt.
func (d dynPrompt) IDs() []string {
	d.g.mu.RLock()
	defer d.g.mu.RUnlock()
	return append([]string(nil), d.g.order...)
}

// Original implements nodes.DynPrompt.
func (d dynPrompt) Original() *pyjson.Object { return d.g.prompt }

// typeName is a link type as messages show it.
func typeName(t any) string {
	if s, ok := t.(string); ok {
		return s
	}
	return pyjson.Str(t)
}

// typesMatch reports whether an output of one type may be connected to an input of another. Types are strings such as "INT,FLOAT", or lists
// of choices.
func typesMatch(received, wanted any) bool {
	r, rIsText := received.(string)
	w, wIsText := wanted.(string)
	switch {
	case rIsText && wIsText && r == w, !rIsText && !wIsText && pyEqual(received, wanted):
		return true
	case r == "*" || w == "*" || r == "COMFY_MATCHTYPE_V3" || w == "COMFY_MATCHTYPE_V3":
		return true
	case !rIsText && w == "COMBO":
		return true
	case !rIsText || !wIsText:
		return false
	}
	wants := map[string]bool{}
	for _, t := range strings.Split(w, ",") {
		wants[strings.TrimSpace(t)] = true
	}
	for _, t := range strings.Split(r, ",") {
		t = strings.TrimSpace(t)
		if t == "*" || wants[t] || wants["*"] {
			return true
		}
	}
	return false
}
