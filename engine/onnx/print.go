package onnx

import (
	"fmt"
	"io"
	"strings"
)

// Print writes the graph, one operator a line: outputs with type and shape, operator, inputs, attributes.
func (g *Graph) Print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "graph %s: %d operators, %d weights\n", g.Name, len(g.nodes), len(g.inits))
	for _, v := range g.inputs {
		fmt.Fprintf(&b, "in   %s\n", v)
	}
	for _, p := range g.params {
		fmt.Fprintf(&b, "para %s\n", p)
	}
	for i := range g.nodes {
		n := &g.nodes[i]
		outs := make([]string, len(n.out))
		for j, v := range n.out {
			outs[j] = v.String()
		}
		ins := make([]string, len(n.in))
		for j, v := range n.in {
			ins[j] = nameOf(v)
		}
		op := n.op
		if n.domain != "" {
			op = n.domain + "." + op
		}
		fmt.Fprintf(&b, "%s = %s(%s)", strings.Join(outs, ", "), op, strings.Join(ins, ", "))
		for _, a := range n.attrs {
			fmt.Fprintf(&b, " %s=%v", a.name, a.val)
		}
		b.WriteByte('\n')
	}
	for _, v := range g.outputs {
		fmt.Fprintf(&b, "out  %s\n", v)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// String returns the value as name, type and shape, such as "x F32[B 4 H W]".
func (v *Value) String() string {
	if v == nil { // an output that is left out
		return "-"
	}
	return fmt.Sprintf("%s %s%v", v.Name, v.DType, v.Shape)
}
