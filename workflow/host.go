package workflow

import "slices"

// newHost makes a node that represents a subgraph.
func (g *graph) newHost(sub *graph) *node {
	n := &node{title: sub.name, graph: g, sub: sub, virtual: true}
	n.takePorts()
	sub.instances = append(sub.instances, n)
	return n
}

// takePorts gives the node a socket for each input and output of the subgraph.
func (n *node) takePorts() {
	n.inputs, n.outputs = nil, nil
	for _, p := range n.sub.inputs {
		n.inputs = append(n.inputs, &input{name: p.name, typ: p.typ, label: p.label, port: p})
	}
	for _, p := range n.sub.outputs {
		n.outputs = append(n.outputs, &output{name: p.name, typ: p.typ})
	}
}

// configureHost puts the saved sockets and values into a node that represents a subgraph.
func (n *node) configureHost(inputs []*input, outputs []*output) {
	n.takePorts()
	for _, in := range n.inputs {
		in.port = nil
	}
	n.inputs, n.outputs = n.mergeInputs(inputs), mergeOutputs(n.outputs, outputs)
	n.bindPorts()
	for _, in := range n.inputs {
		n.show(in)
	}
	values := list(n.saved)
	for i, w := range n.all() {
		if i < len(values) {
			w.assign(values[i])
		}
	}
	kept := n.quarantined()
	for i, w := range n.all() {
		if v, ok := kept[w.name]; ok {
			w.assign(v)
		} else if i < len(values) {
			w.assign(values[i])
		}
	}
}

// bindPorts finds the subgraph's input for each socket, by name and type, else by name. Sockets without one are removed.
func (n *node) bindPorts() {
	taken := map[*port]bool{}
	take := func(match func(*port) bool) *port {
		for _, p := range n.sub.inputs {
			if !taken[p] && match(p) {
				taken[p] = true
				return p
			}
		}
		return nil
	}
	for _, in := range n.inputs {
		in.port = take(func(p *port) bool { return p.name == in.name && p.typ == in.typ })
		if in.port == nil {
			in.port = take(func(p *port) bool { return p.name == in.name })
		}
	}
	n.inputs = slices.DeleteFunc(n.inputs, func(in *input) bool { return in.port == nil })
}

// show finds the inner widget that a socket represents and gives the node a widget like it.
func (n *node) show(in *input) {
	for _, id := range in.port.links {
		l := n.sub.links[id]
		if l == nil {
			continue
		}
		inner := n.sub.byID[l.to]
		if inner == nil {
			continue
		}
		target := inner.linked(id)
		if target == nil {
			continue
		}
		if w := inner.widgetOf(target); w != nil {
			n.setHosted(in, w)
			return
		}
		if inner.sub == nil {
			continue
		}
		if deeper, name := inner.target(target.name); deeper != nil {
			if w := inner.concrete(deeper.id, name); w != nil {
				n.setHosted(in, w)
				return
			}
		}
	}
}

// setHosted gives a socket a widget like an inner one. A value that it has had before stays when the kind is the same.
func (n *node) setHosted(in *input, inner *widget) {
	in.widget = in.port.name
	k := n.id + "\x00" + in.port.name
	w := n.graph.doc.hosted[k]
	if w == nil || w.kind != inner.kind {
		w = &widget{name: in.port.name, kind: inner.kind, value: inner.current(), spec: inner.spec, choices: inner.choices}
		n.graph.doc.hosted[k] = w
	}
	in.host = w
}

// target returns the inner node and its widget or socket that an input of a subgraph's node represents.
func (n *node) target(name string) (*node, string) {
	i := slices.IndexFunc(n.sub.inputs, func(p *port) bool { return p.name == name })
	if i < 0 {
		return nil, ""
	}
	return n.sub.source(n.sub.inputs[i])
}

// source returns the first inner node that has a widget for a port, and the widget's name; of an inner subgraph's node the
// name of the socket.
func (g *graph) source(p *port) (*node, string) {
	for _, id := range p.links {
		l := g.links[id]
		if l == nil {
			continue
		}
		inner := g.byID[l.to]
		if inner == nil {
			continue
		}
		in := inner.linked(id)
		if in == nil {
			continue
		}
		if inner.sub != nil {
			return inner, in.name
		}
		if w := inner.widgetOf(in); w != nil {
			return inner, w.name
		}
	}
	return nil, ""
}

// concrete follows a shown widget through subgraphs within subgraphs to the node that has it.
func (n *node) concrete(id, name string) *widget {
	host := n
	for range maxDepth {
		inner := host.sub.byID[id]
		if inner == nil {
			return nil
		}
		if inner.sub == nil {
			return inner.find(name)
		}
		next, widget := inner.target(name)
		if next == nil {
			return nil
		}
		host, id, name = inner, next.id, widget
	}
	return nil
}

// addPort gives a subgraph another input, and a socket to each node that represents the subgraph.
func (g *graph) addPort(name, typ string) *port {
	unique := name
	for i := 1; slices.ContainsFunc(g.inputs, func(p *port) bool { return p.name == unique }); i++ {
		unique = name + "_" + jsText(int64(i))
	}
	p := &port{name: unique, typ: typ}
	g.inputs = append(g.inputs, p)
	for _, n := range g.instances {
		n.inputs = append(n.inputs, &input{name: unique, typ: typ, port: p})
	}
	return p
}

// connect adds a link from a subgraph's input to the socket of an inner node, and shows its widget on the nodes that
// represent the subgraph.
func (g *graph) connect(p *port, inner *node, in *input) {
	g.unlink(in)
	if w := inner.widgetOf(in); w != nil {
		for _, n := range g.instances {
			for _, outer := range n.inputs {
				if outer.port == p {
					n.setHosted(outer, w)
				}
			}
		}
	}
	at := slices.Index(inner.inputs, in)
	l := g.newLink(inputNodeID, slices.Index(g.inputs, p), inner.id, at, in.typ)
	p.links = append(p.links, l.id)
	in.link = l.id
	if at >= 0 {
		inner.connected(at)
	}
}
