package workflow

import (
	"slices"
	"strings"
)

// mostPasses bounds how often types are handed on from node to node.
const mostPasses = 32

// matchTypes sets the types of sockets that follow others once all links are in place.
func (d *document) matchTypes() {
	var nodes []*node
	d.root.walk(map[*graph]bool{}, func(n *node) {
		if len(n.matches) > 0 {
			nodes = append(nodes, n)
		}
	})
	for range mostPasses {
		changed := false
		for _, n := range nodes {
			changed = n.match() || changed
		}
		if !changed {
			return
		}
	}
}

// match updates the types of the node's groups: an input has the common type of what it allows and all others of the
// group, an output that of all connected inputs. It reports whether something changed.
func (n *node) match() bool {
	changed := false
	set := func(to *string, typ string, ok bool) {
		if ok && *to != typ {
			*to, changed = typ, true
		}
	}
	for name, allowed := range n.matches {
		var group []*input
		var types []string
		for _, in := range n.inputs {
			if _, ok := allowed[in.name]; ok {
				group = append(group, in)
				types = append(types, n.graph.originType(in))
			}
		}
		whole, ok := commonType(types)
		if !ok {
			continue // the links do not fit together
		}
		for i, in := range group {
			others := append(slices.Delete(slices.Clone(types), i, i+1), allowed[in.name])
			typ, ok := commonType(others)
			set(&in.typ, typ, ok)
		}
		for i, o := range n.outputs {
			if i < len(n.class.outputs) && n.class.outputs[i].matches == name {
				set(&o.typ, whole, true)
			}
		}
	}
	return changed
}

// originType is the type of what an input is connected with, any without.
func (g *graph) originType(in *input) string {
	l := g.links[in.link]
	if in.link == "" || l == nil {
		return anyType
	}
	if l.from == inputNodeID && l.fromSlot >= 0 && l.fromSlot < len(g.inputs) {
		return g.inputs[l.fromSlot].typ
	}
	if from := g.byID[l.from]; from != nil && l.fromSlot >= 0 && l.fromSlot < len(from.outputs) {
		return from.outputs[l.fromSlot].typ
	}
	return anyType
}

// commonType returns the common part of types, each one or several separated by commas; it returns false if there is
// none.
func commonType(types []string) (string, bool) {
	var common []string
	bound := false
	for _, t := range types {
		if t == anyType {
			continue
		}
		own := strings.Split(t, ",")
		if !bound {
			common, bound = own, true
			continue
		}
		common = slices.DeleteFunc(common, func(s string) bool { return !slices.Contains(own, s) })
	}
	if !bound {
		return anyType, true
	}
	return strings.Join(common, ","), len(common) > 0
}
