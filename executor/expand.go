package executor

import (
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// expand puts the graphs that a node's calls returned in its place. The node waits for the outputs it links to and for the new output nodes.
func (r *run) expand(n *node, parts []expansion) error {
	var children, outputs []string
	var links []nodes.Link
	for _, p := range parts {
		for id, v := range p.graph.All() {
			data, ok := v.(*pyjson.Object)
			if !ok {
				return nodes.Errorf("TypeError", "node %s of an expansion is no object", id)
			}
			display := data.String("override_display_id")
			if display == "" {
				display = n.id
			}
			if err := r.g.add(id, data, n, display); err != nil {
				return err
			}
			r.workers.keys = nil // to be counted again
			children = append(children, id)
			if r.g.nodes[id].class.OutputNode {
				outputs = append(outputs, id)
			}
		}
		if p.graph == nil {
			continue
		}
		for _, v := range p.values {
			if l, ok := nodes.AsLink(v); ok {
				links = append(links, l)
			}
		}
	}
	r.cache.expand(n.id, children)
	for _, id := range outputs {
		if err := r.plan.add(id); err != nil {
			return err
		}
		r.plan.hold(id, n.id)
	}
	for _, l := range links {
		if err := r.plan.link(l.ID, n.id); err != nil {
			return err
		}
	}
	r.parts[n.id] = parts
	return nil
}

// resolve puts the results of the expanded nodes in the place of the links to them.
func (r *run) resolve(n *node, parts []expansion) ([][]any, error) {
	var calls [][]any
	for _, p := range parts {
		if p.graph == nil {
			calls = append(calls, p.values)
			continue
		}
		var values []any
		for i, v := range p.values {
			l, ok := nodes.AsLink(v)
			if !ok {
				values = append(values, v)
				continue
			}
			list, ok := r.linked(n, l)
			if !ok {
				return nil, nodes.Errorf("IndexError", "output %d of node %s has no value", l.Slot, l.ID)
			}
			if n.class.Outputs[i].List {
				values = append(values, list)
				continue
			}
			values = append(values, list...)
		}
		calls = append(calls, values)
	}
	return mergeValues(n.class, calls)
}
