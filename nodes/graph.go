package nodes

import (
	"strconv"

	"comfygo/internal/pyjson"
)

// Graph builds the graph that a node expands into. Its ids begin with the node's own id, the call and the number of the graph.
type Graph struct {
	prefix string
	nodes  *pyjson.Object
	next   int
}

// NewGraph starts a graph of this node.
func (c *Context) NewGraph() *Graph {
	prefix := c.ID + "." + strconv.Itoa(c.Call) + "." + strconv.Itoa(c.run.graphs) + "."
	c.run.graphs++
	return &Graph{prefix: prefix, nodes: pyjson.NewObject()}
}

// GraphNode is one node of a graph being built.
type GraphNode struct {
	// ID is the full id.
	ID   string
	data *pyjson.Object
}

// Node adds a node with alternating input names and values. Values are constants, Links, or the outputs of other nodes by Out.
func (g *Graph) Node(class string, inputs ...any) *GraphNode {
	g.next++
	return g.NodeID(strconv.Itoa(g.next), class, inputs...)
}

// NodeID is Node with an id of the caller's choice (after the prefix). A node that is there already is returned as it is.
func (g *Graph) NodeID(id, class string, inputs ...any) *GraphNode {
	id = g.prefix + id
	if old := g.nodes.Object(id); old != nil {
		return &GraphNode{ID: id, data: old}
	}
	n := &GraphNode{ID: id, data: pyjson.NewObject("class_type", class, "inputs", pyjson.NewObject())}
	for i := 0; i+1 < len(inputs); i += 2 {
		n.data.Object("inputs").Set(inputs[i].(string), linkValue(inputs[i+1]))
	}
	g.nodes.Set(id, n.data)
	return n
}

// Lookup returns a node by its id after the prefix.
func (g *Graph) Lookup(id string) (*GraphNode, bool) {
	data := g.nodes.Object(g.prefix + id)
	return &GraphNode{ID: g.prefix + id, data: data}, data != nil
}

// Out returns the link to an output.
func (n *GraphNode) Out(slot int) Link { return Link{ID: n.ID, Slot: slot} }

// Set sets an input; nil removes it.
func (n *GraphNode) Set(name string, v any) {
	inputs := n.data.Object("inputs")
	if v == nil {
		inputs.Delete(name)
		return
	}
	inputs.Set(name, linkValue(v))
}

// Get returns an input's value, links as lists.
func (n *GraphNode) Get(name string) any {
	v, _ := n.data.Object("inputs").Get(name)
	return v
}

// ShowAs makes messages about the node name another node.
func (n *GraphNode) ShowAs(id string) { n.data.Set("override_display_id", id) }

// Finish returns the graph for Result.Expand.
func (g *Graph) Finish() *pyjson.Object { return g.nodes }

func linkValue(v any) any {
	if l, ok := v.(Link); ok {
		return []any{l.ID, int64(l.Slot)}
	}
	return v
}

// AsLink reads a link in its list form [id, slot] or as a Link.
func AsLink(v any) (Link, bool) {
	switch v := v.(type) {
	case Link:
		return v, true
	case []any:
		if len(v) != 2 {
			return Link{}, false
		}
		id, ok := v[0].(string)
		if !ok {
			return Link{}, false
		}
		switch slot := v[1].(type) {
		case int64:
			return Link{id, int(slot)}, true
		case float64:
			return Link{id, int(slot)}, true
		case bool:
			return Link{id, int(boolFloat(slot))}, true
		}
	}
	return Link{}, false
}
