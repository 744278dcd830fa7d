package onnx

import (
	"maps"
	"slices"

	"comfygo/engine/dtype"
)

// products are the operators whose work is worth a session of its own.
var products = map[string]bool{"FusedMatMul": true, "MatMul": true, "Gemm": true, "Conv": true, "NhwcConv": true, "MultiHeadAttention": true}

// CutSteady removes the part of the graph that depends only on weights and on the inputs that steady reports, which stay the same from
// run to run, such as a prompt's encoding. It returns that part as a separate graph; its outputs become inputs of g under their names.
// If that part contains no matrix product, it returns nil and leaves g unchanged.
//
// What depends on parameters stays, and so do computed sizes, which are read on the host.
func (g *Graph) CutSteady(steady func(input string) bool) *Graph {
	moving, fixed := map[*Value]bool{}, map[*Value]bool{} // values that are neither are weights, constants and what follows from them
	for _, v := range g.inputs {
		if steady(v.Name) {
			fixed[v] = true
		} else {
			moving[v] = true
		}
	}
	for _, p := range g.params {
		moving[p.Value] = true
	}
	results := map[*Value]bool{}
	for _, v := range g.outputs {
		results[v] = true
	}
	var once, rest []int // operators by where they go; those of constants alone go where they are read
	worth := false
	for i, n := range g.nodes {
		switch kind := g.kindOf(n, moving, fixed, results); kind {
		case kindFixed:
			worth = worth || products[n.op]
			once = append(once, i)
			for _, v := range n.out {
				fixed[v] = true
			}
		case kindMoving:
			rest = append(rest, i)
			for _, v := range n.out {
				moving[v] = true
			}
		}
	}
	if !worth {
		return nil
	}
	cut := g.readBy(rest, once)
	part := g.part(g.Name+" prompt", once, nil)
	part.outputs = cut
	left := g.part(g.Name, rest, cut)
	g.nodes, g.inputs, g.inits, g.consts, g.domains = left.nodes, left.inputs, left.inits, left.consts, left.domains
	return part
}

type nodeKind int

const (
	kindConstant nodeKind = iota
	kindFixed
	kindMoving
)

// kindOf returns the kind of values on which an operator's results depend.
func (g *Graph) kindOf(n node, moving, fixed, results map[*Value]bool) nodeKind {
	kind := kindConstant
	for _, v := range n.in {
		switch {
		case moving[v]:
			return kindMoving
		case v != nil && fixed[v]:
			kind = kindFixed
		}
	}
	for _, v := range n.out {
		if v != nil && (results[v] || kind == kindFixed && v.DType == dtype.I64) {
			return kindMoving
		}
	}
	return kind
}

// readBy lists the results of operators that others read, in order.
func (g *Graph) readBy(readers, makers []int) []*Value {
	read := map[*Value]bool{}
	for _, i := range readers {
		for _, v := range g.nodes[i].in {
			read[v] = true
		}
	}
	var out []*Value
	for _, i := range makers {
		for _, v := range g.nodes[i].out {
			if v != nil && read[v] {
				out = append(out, v)
			}
		}
	}
	return out
}

// part is a graph of some operators of g and of those, of constants alone, that they need. more are its inputs beside those of g
// that it reads; the ones that are not weights, constants or results of its operators have to be among them.
func (g *Graph) part(name string, nodes []int, more []*Value) *Graph {
	makers := map[*Value]int{}
	for i, n := range g.nodes {
		for _, v := range n.out {
			makers[v] = i
		}
	}
	given := map[*Value]bool{}
	for _, v := range more {
		given[v] = true
	}
	wanted := map[int]bool{}
	used := map[string]bool{}
	var want func(i int)
	want = func(i int) {
		if wanted[i] {
			return
		}
		wanted[i] = true
		for _, v := range g.nodes[i].in {
			if v == nil {
				continue
			}
			used[v.Name] = true
			if from, made := makers[v]; made && !given[v] {
				want(from)
			}
		}
	}
	for _, i := range nodes {
		want(i)
	}
	p := &Graph{Name: name, opset: g.opset, byConst: map[string]*Value{}, byInit: map[string]*Value{}, byDim: map[Dim]*Value{}, byMask: map[string]*Value{}, domains: map[string]bool{}}
	for _, i := range slices.Sorted(maps.Keys(wanted)) {
		p.nodes = append(p.nodes, g.nodes[i])
		p.domains[g.nodes[i].domain] = true
	}
	for _, v := range g.inputs {
		if used[v.Name] {
			p.inputs = append(p.inputs, v)
		}
	}
	p.inputs = append(p.inputs, more...)
	for _, in := range g.inits {
		if used[in.Name] {
			p.inits = append(p.inits, in)
			p.byInit[in.Name] = g.byInit[in.Name]
		}
	}
	for _, c := range g.consts {
		if used[c.name] {
			p.consts = append(p.consts, c)
		}
	}
	return p
}
