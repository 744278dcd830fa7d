package testnodes

import (
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// accumulation is the value of ACCUMULATION links.
type accumulation struct{ list []any }

// String shows it as upstream's dictionary.
func (a *accumulation) String() string { return pyjson.Repr(pyjson.NewObject("accum", a.list)) }

func (a *accumulation) at(i int) (int, error) {
	if i < 0 {
		i += len(a.list)
	}
	if i < 0 || i >= len(a.list) {
		return 0, nodes.Errorf("IndexError", "list index out of range")
	}
	return i, nil
}

func lists(name, display string, outputs ...string) nodes.Spec {
	return pack(name, display, "Testing/Lists", outputs...)
}

type accumulateNode struct {
	ToAdd any           `in:"to_add"`
	Accum *accumulation `in:"accumulation" type:"ACCUMULATION" optional:"true"`
}

var _ nodes.Validator = (*accumulateNode)(nil)

// Spec implements nodes.Node.
func (*accumulateNode) Spec() nodes.Spec {
	return byTypes(lists("TestAccumulateNode", "Accumulate", "ACCUMULATION"))
}

// ValidateInputs implements nodes.Validator.
func (*accumulateNode) ValidateInputs(ctx *nodes.Context) error {
	return variant(ctx, "accumulation", "ACCUMULATION")
}

// Run implements nodes.Node.
func (n *accumulateNode) Run(*nodes.Context) (nodes.Result, error) {
	var list []any
	if n.Accum != nil {
		list = append(list, n.Accum.list...)
	}
	return nodes.Out(&accumulation{append(list, n.ToAdd)}), nil
}

// accumulated is the input that most of these nodes have.
type accumulated struct {
	Accum *accumulation `in:"accumulation" type:"ACCUMULATION"`
}

// ValidateInputs checks the link's type.
func (*accumulated) ValidateInputs(ctx *nodes.Context) error {
	return variant(ctx, "accumulation", "ACCUMULATION")
}

type accumulationHead struct{ accumulated }

// Spec implements nodes.Node.
func (*accumulationHead) Spec() nodes.Spec {
	return byTypes(lists("TestAccumulationHeadNode", "Accumulation Head", "ACCUMULATION", "*"))
}

// Run implements nodes.Node.
func (n *accumulationHead) Run(*nodes.Context) (nodes.Result, error) {
	if len(n.Accum.list) == 0 {
		return nodes.Out(n.Accum, nil), nil
	}
	return nodes.Out(&accumulation{n.Accum.list[1:]}, n.Accum.list[0]), nil
}

type accumulationTail struct {
	Accum *accumulation `in:"accumulation" type:"ACCUMULATION"`
}

// Spec implements nodes.Node.
func (*accumulationTail) Spec() nodes.Spec {
	return lists("TestAccumulationTailNode", "Accumulation Tail", "ACCUMULATION", "*")
}

// Run implements nodes.Node.
func (n *accumulationTail) Run(*nodes.Context) (nodes.Result, error) {
	last := len(n.Accum.list) - 1
	if last < 0 {
		return nodes.Out(nil, n.Accum), nil
	}
	return nodes.Out(&accumulation{n.Accum.list[:last:last]}, n.Accum.list[last]), nil
}

type accumulationToList struct{ accumulated }

// Spec implements nodes.Node.
func (*accumulationToList) Spec() nodes.Spec {
	s := byTypes(lists("TestAccumulationToListNode", "Accumulation to List", "*"))
	s.Outputs[0].List = true
	return s
}

// Run implements nodes.Node.
func (n *accumulationToList) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(nodes.List(n.Accum.list)), nil
}

type listToAccumulation struct {
	List []any `in:"list" type:"*"`
}

var _ nodes.Validator = (*listToAccumulation)(nil)

// Spec implements nodes.Node.
func (*listToAccumulation) Spec() nodes.Spec {
	s := byTypes(lists("TestListToAccumulationNode", "List to Accumulation", "ACCUMULATION"))
	s.InputIsList = true
	return s
}

// ValidateInputs implements nodes.Validator.
func (*listToAccumulation) ValidateInputs(*nodes.Context) error { return nil }

// Run implements nodes.Node.
func (n *listToAccumulation) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(&accumulation{n.List}), nil
}

type accumulationLength struct{ accumulated }

// Spec implements nodes.Node.
func (*accumulationLength) Spec() nodes.Spec {
	return byTypes(lists("TestAccumulationGetLengthNode", "Accumulation Get Length", "INT"))
}

// Run implements nodes.Node.
func (n *accumulationLength) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(int64(len(n.Accum.list))), nil
}

type accumulationGet struct {
	accumulated
	Index int `in:"index" default:"0" step:"1"`
}

// Spec implements nodes.Node.
func (*accumulationGet) Spec() nodes.Spec {
	return byTypes(lists("TestAccumulationGetItemNode", "Accumulation Get Item", "*"))
}

// Run implements nodes.Node.
func (n *accumulationGet) Run(*nodes.Context) (nodes.Result, error) {
	i, err := n.Accum.at(n.Index)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(n.Accum.list[i]), nil
}

type accumulationSet struct {
	accumulated
	Index int `in:"index" default:"0" step:"1"`
	Value any `in:"value"`
}

// Spec implements nodes.Node.
func (*accumulationSet) Spec() nodes.Spec {
	return byTypes(lists("TestAccumulationSetItemNode", "Accumulation Set Item", "ACCUMULATION"))
}

// Run implements nodes.Node.
func (n *accumulationSet) Run(*nodes.Context) (nodes.Result, error) {
	i, err := n.Accum.at(n.Index)
	if err != nil {
		return nodes.Result{}, err
	}
	list := append([]any(nil), n.Accum.list...)
	list[i] = n.Value
	return nodes.Out(&accumulation{list}), nil
}

// makeList gathers the values that are given.
type makeList struct {
	Value1 any `in:"value1"`
	Value2 any `in:"value2" optional:"true"`
	Value3 any `in:"value3" optional:"true"`
	Value4 any `in:"value4" optional:"true"`
	Value5 any `in:"value5" optional:"true"`
	Value6 any `in:"value6" optional:"true"`
	Value7 any `in:"value7" optional:"true"`
	Value8 any `in:"value8" optional:"true"`
	Value9 any `in:"value9" optional:"true"`
}

var _ nodes.Validator = (*makeList)(nil)

// Spec implements nodes.Node.
func (*makeList) Spec() nodes.Spec {
	s := byTypes(lists("TestMakeListNode", "Make List", "*"))
	s.Outputs[0].List = true
	return s
}

// ValidateInputs implements nodes.Validator.
func (*makeList) ValidateInputs(*nodes.Context) error { return nil }

// Run implements nodes.Node.
func (n *makeList) Run(ctx *nodes.Context) (nodes.Result, error) {
	list := nodes.List{}
	for i := range 10 {
		if v, given := ctx.Input("value" + pyjson.Str(i)); given {
			list = append(list, v)
		}
	}
	return nodes.Out(list), nil
}
