package workflow

import "comfygo/internal/pyjson"

// newNode makes a node of a class as it is when it is new: its sockets, then its widgets, each with a socket too.
func (g *graph) newNode(c *class) *node {
	n := &node{typ: c.name, title: c.title, graph: g, class: c, props: pyjson.NewObject(), grow: map[string]*autogrow{}, matches: map[string]map[string]string{}}
	for i := range c.inputs {
		n.addSocket(&c.inputs[i])
	}
	for i := range c.inputs {
		n.addWidgetInput(&c.inputs[i])
	}
	n.addExtras()
	for _, o := range c.outputs {
		n.outputs = append(n.outputs, &output{name: o.name, typ: o.typ})
	}
	return n
}

// addSocket makes the socket of an input that has no widget.
func (n *node) addSocket(s *spec) {
	switch {
	case s.isWidget():
	case s.typ == typeAutogrow:
		n.addAutogrow(s)
	case s.typ == typeMatch:
		n.addMatch(s)
	default:
		n.inputs = append(n.inputs, &input{name: s.name, typ: s.typ})
	}
}

// addWidgetInput makes the widget of an input, and its socket.
func (n *node) addWidgetInput(s *spec) {
	if !s.isWidget() || len(n.widgets) > maxPerNode {
		return
	}
	n.addWidgets(s)
	n.inputs = append(n.inputs, &input{name: s.name, typ: s.typ, widget: s.name})
}

// addInputs makes the sockets and widgets of an input that comes after the node was made.
func (n *node) addInputs(s *spec) {
	if len(n.inputs) > maxPerNode {
		return
	}
	n.addSocket(s)
	n.addWidgetInput(s)
}

// addMatch makes the socket of an input whose type follows that of others in its group.
func (n *node) addMatch(s *spec) {
	template := object(s.option("template", nil))
	group, allowed := template.String("template_id"), template.String("allowed_types")
	if allowed == "" {
		return
	}
	typed := *s
	typed.typ = allowed
	n.addInputs(&typed)
	if n.matches[group] == nil {
		n.matches[group] = map[string]string{}
	}
	n.matches[group][s.name] = allowed
}
