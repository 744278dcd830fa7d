package testnodes

import (
	"time"

	"comfygo/nodes"
)

// confExpand expands into a chain of additions.
type confExpand struct {
	N     int64 `in:"n" default:"3" min:"1" max:"20"`
	Start int64 `in:"start" default:"0"`
}

// Spec implements nodes.Node.
func (*confExpand) Spec() nodes.Spec { return conf("ConfExpand", "INT") }

// Run implements nodes.Node.
func (n *confExpand) Run(ctx *nodes.Context) (nodes.Result, error) {
	g := ctx.NewGraph()
	last := g.Node("ConfInt", "value", n.Start)
	for k := range n.N {
		last = g.Node("ConfAdd", "a", last.Out(0), "b", k)
	}
	return nodes.Result{Values: []any{last.Out(0)}, Expand: g.Finish()}, nil
}

// confExpandUI expands into a graph with an output node and shows something itself.
type confExpandUI struct {
	N int64 `in:"n" default:"1"`
}

// Spec implements nodes.Node.
func (*confExpandUI) Spec() nodes.Spec { return confOutput("ConfExpandUI", "INT") }

// Run implements nodes.Node.
func (n *confExpandUI) Run(ctx *nodes.Context) (nodes.Result, error) {
	g := ctx.NewGraph()
	i := g.Node("ConfInt", "value", n.N)
	g.Node("ConfSink", "value", i.Out(0))
	return nodes.Result{Values: []any{i.Out(0)}, Expand: g.Finish()}.AddUI("text", text("outer")), nil
}

// confLazy computes only the input that it gives.
type confLazy struct {
	UseB bool `in:"use_b" default:"false"`
	A    any  `in:"a" lazy:"true"`
	B    any  `in:"b" lazy:"true"`
}

var _ nodes.LazyInputs = (*confLazy)(nil)

// Spec implements nodes.Node.
func (*confLazy) Spec() nodes.Spec { return conf("ConfLazy", "*") }

// CheckLazy implements nodes.LazyInputs.
func (n *confLazy) CheckLazy(*nodes.Context) ([]string, error) {
	if n.UseB {
		return []string{"b"}, nil
	}
	return []string{"a"}, nil
}

// Run implements nodes.Node.
func (n *confLazy) Run(*nodes.Context) (nodes.Result, error) {
	if n.UseB {
		return nodes.Out(n.B), nil
	}
	return nodes.Out(n.A), nil
}

type confBlock struct {
	Value   any    `in:"value" opts:"{}"`
	Block   bool   `in:"block" default:"true"`
	Message string `in:"message" default:""`
}

// Spec implements nodes.Node.
func (*confBlock) Spec() nodes.Spec { return conf("ConfBlock", "*") }

// Run implements nodes.Node.
func (n *confBlock) Run(*nodes.Context) (nodes.Result, error) {
	if n.Block {
		return nodes.Out(nodes.Block(n.Message)), nil
	}
	return nodes.Out(n.Value), nil
}

type confProgressText struct {
	Text     string `in:"text" default:"working"`
	Value    int64  `in:"value" default:"0"`
	UniqueID string `in:"unique_id" hidden:"UNIQUE_ID"`
}

// Spec implements nodes.Node.
func (*confProgressText) Spec() nodes.Spec { return conf("ConfProgressText", "INT") }

// Run implements nodes.Node.
func (n *confProgressText) Run(ctx *nodes.Context) (nodes.Result, error) {
	ctx.SendText(n.Text)
	return nodes.Out(n.Value), nil
}

type confAsync struct {
	Value int64 `in:"value" default:"0"`
	MS    int64 `in:"ms" default:"50"`
}

// Spec implements nodes.Node.
func (*confAsync) Spec() nodes.Spec {
	s := conf("ConfAsync", "INT")
	s.Async = true
	return s
}

// Run implements nodes.Node.
func (n *confAsync) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := ctx.Sleep(time.Duration(n.MS) * time.Millisecond); err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(n.Value), nil
}
