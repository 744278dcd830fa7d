package onnx

import "comfygo/engine/dtype"

// Retype replaces one element type by another throughout the graph, so that a graph that is written for a device can be
// checked on one that lacks the type's kernels. source returns the source of an initializer in its new type.
func (g *Graph) Retype(from, to dtype.DType, source func(any) any) {
	change := func(vs []*Value) {
		for _, v := range vs {
			if v != nil && v.DType == from {
				v.DType = to
			}
		}
	}
	change(g.inputs)
	change(g.outputs)
	for i := range g.nodes {
		n := &g.nodes[i]
		change(n.in)
		change(n.out)
		for j, a := range n.attrs {
			if n.op == "Cast" && a.name == "to" && a.val == int64(elemType(from)) {
				n.attrs[j].val = int64(elemType(to))
			}
		}
	}
	for i := range g.inits {
		if in := &g.inits[i]; in.DType == from {
			in.DType, in.Source = to, source(in.Source)
		}
	}
}
