package testnodes

import (
	"strconv"

	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// flowSockets is the number of values that loops carry.
const flowSockets = 5

// carried are the values that loops carry.
type carried struct {
	Value0 any `in:"initial_value0" optional:"true"`
	Value1 any `in:"initial_value1" optional:"true"`
	Value2 any `in:"initial_value2" optional:"true"`
	Value3 any `in:"initial_value3" optional:"true"`
	Value4 any `in:"initial_value4" optional:"true"`
}

func (c *carried) values() []any { return []any{c.Value0, c.Value1, c.Value2, c.Value3, c.Value4} }

func initial(i int) string { return "initial_value" + strconv.Itoa(i) }

// named makes outputs called value0, value1, … of any type.
func named(from, to int) []nodes.Output {
	var out []nodes.Output
	for i := from; i < to; i++ {
		out = append(out, nodes.Output{Type: "*", Name: "value" + strconv.Itoa(i)})
	}
	return out
}

type whileLoopOpen struct {
	Condition bool `in:"condition" default:"true"`
	carried
}

var _ nodes.Validator = (*whileLoopOpen)(nil)

// Spec implements nodes.Node.
func (*whileLoopOpen) Spec() nodes.Spec {
	s := byTypes(pack("TestWhileLoopOpen", "While Loop Open", "Testing/Flow"))
	s.Outputs = append([]nodes.Output{{Type: "FLOW_CONTROL", Name: "FLOW_CONTROL"}}, named(0, flowSockets)...)
	return s
}

// ValidateInputs implements nodes.Validator.
func (*whileLoopOpen) ValidateInputs(ctx *nodes.Context) error {
	return variant(ctx, "condition", "BOOLEAN")
}

// Run implements nodes.Node.
func (n *whileLoopOpen) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(append([]any{"stub"}, n.values()...)...), nil
}

// whileLoopClose puts a copy of all nodes between the two ends of the loop after itself, as long as the condition holds.
type whileLoopClose struct {
	Flow      any             `in:"flow_control" type:"FLOW_CONTROL" rawLink:"true"`
	Condition bool            `in:"condition" forceInput:"true"`
	Graph     nodes.DynPrompt `in:"dynprompt" hidden:"DYNPROMPT"`
	UniqueID  string          `in:"unique_id" hidden:"UNIQUE_ID"`
	carried
}

var _ nodes.Validator = (*whileLoopClose)(nil)

// Spec implements nodes.Node.
func (*whileLoopClose) Spec() nodes.Spec {
	s := byTypes(pack("TestWhileLoopClose", "While Loop Close", "Testing/Flow"))
	s.Outputs = named(0, flowSockets)
	return s
}

// ValidateInputs implements nodes.Validator.
func (*whileLoopClose) ValidateInputs(ctx *nodes.Context) error {
	return variant(ctx, "flow_control", "FLOW_CONTROL", "condition", "BOOLEAN")
}

// Run implements nodes.Node.
func (n *whileLoopClose) Run(ctx *nodes.Context) (nodes.Result, error) {
	if !n.Condition {
		return nodes.Out(n.values()...), nil
	}
	open, ok := nodes.AsLink(n.Flow)
	if !ok {
		return nodes.Result{}, nodes.Errorf("TypeError", "the flow control is no link")
	}
	l := loop{dyn: n.Graph, after: map[string][]string{}, in: map[string]bool{}}
	l.explore(n.UniqueID)
	l.collect(open.ID)
	l.add(n.UniqueID)
	l.add(open.ID)

	g := ctx.NewGraph()
	name := func(id string) string {
		if id == n.UniqueID {
			return "Recurse"
		}
		return id
	}
	for _, id := range l.order {
		g.NodeID(name(id), n.Graph.Node(id).String("class_type")).ShowAs(id)
	}
	for _, id := range l.order {
		copied, _ := g.Lookup(name(id))
		for key, v := range n.Graph.Node(id).Object("inputs").All() {
			if link, ok := nodes.AsLink(v); ok && l.in[link.ID] {
				from, _ := g.Lookup(name(link.ID))
				v = from.Out(link.Slot)
			}
			copied.Set(key, v)
		}
	}
	first, _ := g.Lookup(name(open.ID))
	for i, v := range n.values() {
		first.Set(initial(i), v)
	}
	again, _ := g.Lookup("Recurse")
	var out []any
	for i := range flowSockets {
		out = append(out, again.Out(i))
	}
	return nodes.Result{Values: out, Expand: g.Finish()}, nil
}

// loop finds the nodes between the two ends of a loop.
type loop struct {
	dyn   nodes.DynPrompt
	after map[string][]string // the nodes behind a node
	in    map[string]bool
	order []string
}

func (l *loop) explore(id string) {
	data := l.dyn.Node(id)
	for _, v := range data.Object("inputs").All() {
		link, ok := nodes.AsLink(v)
		if !ok {
			continue
		}
		if _, seen := l.after[link.ID]; !seen {
			l.after[link.ID] = nil
			l.explore(link.ID)
		}
		l.after[link.ID] = append(l.after[link.ID], id)
	}
}

func (l *loop) add(id string) {
	if !l.in[id] {
		l.in[id] = true
		l.order = append(l.order, id)
	}
}

func (l *loop) collect(id string) {
	for _, child := range l.after[id] {
		if !l.in[child] {
			l.add(child)
			l.collect(child)
		}
	}
}

type executionBlocker struct {
	Input   any  `in:"input"`
	Block   bool `in:"block"`
	Verbose bool `in:"verbose" default:"false"`
}

var _ nodes.Validator = (*executionBlocker)(nil)

// Spec implements nodes.Node.
func (*executionBlocker) Spec() nodes.Spec {
	s := byTypes(pack("TestExecutionBlocker", "Execution Blocker", "Testing/Flow"))
	s.Outputs = []nodes.Output{{Type: "*", Name: "output"}}
	return s
}

// ValidateInputs implements nodes.Validator.
func (*executionBlocker) ValidateInputs(ctx *nodes.Context) error {
	return variant(ctx, "block", "BOOLEAN", "verbose", "BOOLEAN")
}

// Run implements nodes.Node.
func (n *executionBlocker) Run(*nodes.Context) (nodes.Result, error) {
	switch {
	case n.Block && n.Verbose:
		return nodes.Out(nodes.Block("Blocked Execution")), nil
	case n.Block:
		return nodes.Out(nodes.Block("")), nil
	}
	return nodes.Out(n.Input), nil
}

type forLoopOpen struct {
	Remaining any `in:"remaining" type:"INT" default:"1" min:"0" max:"100000" step:"1"`
	Value0    any `in:"initial_value0" hidden:"*"`
	Value1    any `in:"initial_value1" optional:"true"`
	Value2    any `in:"initial_value2" optional:"true"`
	Value3    any `in:"initial_value3" optional:"true"`
	Value4    any `in:"initial_value4" optional:"true"`
}

var _ nodes.Validator = (*forLoopOpen)(nil)

// Spec implements nodes.Node.
func (*forLoopOpen) Spec() nodes.Spec {
	s := byTypes(pack("TestForLoopOpen", "For Loop Open", "Testing/Flow"))
	s.Outputs = append([]nodes.Output{{Type: "FLOW_CONTROL", Name: "flow_control"}, {Type: "INT", Name: "remaining"}}, named(1, flowSockets)...)
	return s
}

// ValidateInputs implements nodes.Validator.
func (*forLoopOpen) ValidateInputs(ctx *nodes.Context) error {
	return variant(ctx, "remaining", "INT")
}

// Run implements nodes.Node.
func (n *forLoopOpen) Run(ctx *nodes.Context) (nodes.Result, error) {
	remaining := n.Remaining
	if v, given := ctx.Input("initial_value0"); given {
		remaining = v
	}
	values := []any{n.Value1, n.Value2, n.Value3, n.Value4}
	g := ctx.NewGraph()
	inputs := []any{"condition", remaining, "initial_value0", remaining}
	for i, v := range values {
		inputs = append(inputs, initial(i+1), v)
	}
	g.Node("TestWhileLoopOpen", inputs...)
	return nodes.Result{Values: append([]any{"stub", remaining}, values...), Expand: g.Finish()}, nil
}

type forLoopClose struct {
	Flow   any `in:"flow_control" type:"FLOW_CONTROL" rawLink:"true"`
	Value1 any `in:"initial_value1" optional:"true" rawLink:"true"`
	Value2 any `in:"initial_value2" optional:"true" rawLink:"true"`
	Value3 any `in:"initial_value3" optional:"true" rawLink:"true"`
	Value4 any `in:"initial_value4" optional:"true" rawLink:"true"`
}

var _ nodes.Validator = (*forLoopClose)(nil)

// Spec implements nodes.Node.
func (*forLoopClose) Spec() nodes.Spec {
	s := byTypes(pack("TestForLoopClose", "For Loop Close", "Testing/Flow"))
	s.Outputs = named(1, flowSockets)
	return s
}

// ValidateInputs implements nodes.Validator.
func (*forLoopClose) ValidateInputs(ctx *nodes.Context) error {
	return variant(ctx, "flow_control", "FLOW_CONTROL")
}

// Run implements nodes.Node.
func (n *forLoopClose) Run(ctx *nodes.Context) (nodes.Result, error) {
	open, ok := nodes.AsLink(n.Flow)
	if !ok {
		return nodes.Result{}, nodes.Errorf("TypeError", "the flow control is no link, it is %s", pyjson.TypeName(n.Flow))
	}
	g := ctx.NewGraph()
	sub := g.Node("TestIntMathOperation", "operation", "subtract", "a", nodes.Link{ID: open.ID, Slot: 1}, "b", 1)
	cond := g.Node("TestToBoolNode", "value", sub.Out(0))
	inputs := []any{"flow_control", n.Flow, "condition", cond.Out(0), "initial_value0", sub.Out(0)}
	for i, v := range []any{n.Value1, n.Value2, n.Value3, n.Value4} {
		inputs = append(inputs, initial(i+1), v)
	}
	end := g.Node("TestWhileLoopClose", inputs...)
	var out []any
	for i := 1; i < flowSockets; i++ {
		out = append(out, end.Out(i))
	}
	return nodes.Result{Values: out, Expand: g.Finish()}, nil
}
