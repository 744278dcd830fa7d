package onnx

import (
	"crypto/sha256"
	"strconv"

	"comfygo/engine/dtype"
)

// Part is one of the graphs that compute, one after another, what a graph computes.
type Part struct {
	// Graph has weights as inputs, except those of operators that need initializers. Its names follow from its form, so that the parts for
	// equal blocks of a network are equal graphs; Form identifies the graph.
	*Graph
	Form [sha256.Size]byte
	// Weights are the weights of the whole graph by their names in the part.
	Weights []PartWeight
	// Reads and Writes are the names in the whole graph of the other inputs and of the outputs, by their names in the part.
	Reads, Writes map[string]string
}

// PartWeight is a weight of a part.
type PartWeight struct {
	// Input is its name in the part, Bound reports that it is an initializer there.
	Input string
	Bound bool
	Initializer
}

// needsInitializer reports that CUDA's provider computes an operator only if the operand k is an initializer.
func needsInitializer(op string, k int) bool { return op == "NhwcConv" && k == 1 }

// Cut cuts a graph into parts at the operators with which another group of weights begins, such as those of the next block of a network;
// group names a weight's group. Computed sizes and what follows from constants alone are computed in each part that reads them.
func (g *Graph) Cut(group func(Initializer) string) ([]Part, error) {
	g = g.resolved()
	c := &cutter{g: g, weights: map[*Value]Initializer{}, given: map[*Value]bool{}, makers: map[*Value]int{}, varies: map[*Value]bool{}, home: make([]int, len(g.nodes))}
	for _, in := range g.inits {
		c.weights[g.byInit[in.Name]] = in
	}
	for _, v := range g.inputs {
		c.given[v], c.varies[v] = true, true
	}
	for _, p := range g.params {
		c.given[p.Value], c.varies[p.Value] = true, true
	}
	last := ""
	parts := 0
	for i, n := range g.nodes {
		for _, v := range n.in {
			in, weight := c.weights[v]
			if weight {
				if now := group(in); now != last || parts == 0 {
					last = now
					parts++
				}
				break
			}
		}
		c.home[i] = max(parts-1, 0)
		for _, v := range n.out {
			c.makers[v] = i
			for _, in := range n.in {
				_, weight := c.weights[in]
				c.varies[v] = c.varies[v] || weight || c.varies[in]
			}
		}
	}
	nodes, reads := make([][]int, max(parts, 1)), make([]map[*Value]bool, max(parts, 1))
	read := map[*Value]int{} // the last part that reads a value
	for p := range nodes {
		nodes[p], reads[p] = c.collect(p)
		for v := range reads[p] {
			read[v] = p
		}
	}
	out := make([]Part, 0, len(nodes))
	for p := range nodes {
		part, err := c.part(p, nodes[p], reads[p], read)
		if err != nil {
			return nil, err
		}
		out = append(out, part)
	}
	return out, nil
}

// resolved returns the graph with operands that are the very values which operators made: an image that exists in channels-last form alone
// has a Value of its own under the name of its Transpose's result.
func (g *Graph) resolved() *Graph {
	made := map[string]*Value{}
	for _, n := range g.nodes {
		for _, v := range n.out {
			if v != nil {
				made[v.Name] = v
			}
		}
	}
	r := *g
	r.nodes = make([]node, len(g.nodes))
	for i, n := range g.nodes {
		in := make([]*Value, len(n.in))
		for k, v := range n.in {
			in[k] = v
			if v != nil && made[v.Name] != nil {
				in[k] = made[v.Name]
			}
		}
		n.in = in
		r.nodes[i] = n
	}
	return &r
}

// cutter cuts one graph.
type cutter struct {
	g       *Graph
	weights map[*Value]Initializer
	// given are the inputs of the graph; varies reports values that follow from inputs or weights.
	given, varies map[*Value]bool
	makers        map[*Value]int
	// home is the part of each operator.
	home []int
}

// collect returns the operators of a part, with those whose results it computes again, and the values that it reads from inputs and
// from other parts.
func (c *cutter) collect(p int) (nodes []int, reads map[*Value]bool) {
	reads = map[*Value]bool{}
	wanted := map[int]bool{}
	var want func(i int)
	want = func(i int) {
		if wanted[i] {
			return
		}
		wanted[i] = true
		for _, v := range c.g.nodes[i].in {
			if v == nil {
				continue
			}
			from, made := c.makers[v]
			switch {
			case c.given[v]:
				reads[v] = true
			case made && (c.home[from] == p || !c.varies[v] || v.DType == dtype.I64):
				want(from)
			case made:
				reads[v] = true
			}
		}
	}
	for i := range c.g.nodes {
		if c.home[i] == p {
			want(i)
		}
	}
	for i := range c.g.nodes {
		if wanted[i] {
			nodes = append(nodes, i)
		}
	}
	return nodes, reads
}

// part writes the graph of a part with names by the order in which it reads and makes values.
func (c *cutter) part(p int, nodes []int, reads map[*Value]bool, read map[*Value]int) (Part, error) {
	g := &Graph{Name: c.g.Name, opset: c.g.opset, byConst: map[string]*Value{}, byInit: map[string]*Value{}, byDim: map[Dim]*Value{}, byMask: map[string]*Value{}, domains: map[string]bool{DomainONNX: true}}
	part := Part{Graph: g, Reads: map[string]string{}, Writes: map[string]string{}}
	constants := map[string]constant{}
	for _, k := range c.g.consts {
		constants[k.name] = k
	}
	results := map[*Value]bool{}
	for _, v := range c.g.outputs {
		results[v] = true
	}
	known := map[*Value]*Value{}
	named := func(v *Value, kind string) *Value {
		w := &Value{Name: kind + strconv.Itoa(len(known)), DType: v.DType, Shape: v.Shape}
		known[v] = w
		return w
	}
	for _, i := range nodes {
		n := c.g.nodes[i]
		in, out := make([]*Value, len(n.in)), make([]*Value, len(n.out))
		for k, v := range n.in {
			if v == nil {
				continue
			}
			if w := known[v]; w != nil {
				in[k] = w
				continue
			}
			init, weight := c.weights[v]
			switch {
			case weight:
				in[k] = named(v, "w")
				bound := needsInitializer(n.op, k)
				if bound {
					g.inits = append(g.inits, Initializer{Name: in[k].Name, DType: init.DType, Shape: init.Shape})
				} else {
					g.inputs = append(g.inputs, in[k])
				}
				part.Weights = append(part.Weights, PartWeight{in[k].Name, bound, init})
			case reads[v]:
				in[k] = named(v, "i")
				g.inputs = append(g.inputs, in[k])
				part.Reads[in[k].Name] = v.Name
			default: // a constant: all others have been made
				in[k] = named(v, "k")
				constant := constants[v.Name]
				constant.name = in[k].Name
				g.consts = append(g.consts, constant)
			}
		}
		for k, v := range n.out {
			if v == nil {
				continue
			}
			out[k] = named(v, "v")
			later, isRead := read[v]
			if c.home[i] == p && (results[v] || isRead && later > p) {
				g.outputs = append(g.outputs, out[k])
				part.Writes[out[k].Name] = v.Name
			}
		}
		g.nodes = append(g.nodes, node{op: n.op, domain: n.domain, in: in, out: out, attrs: n.attrs})
		g.domains[n.domain] = true
	}
	g.next = len(known) // operators that are added have other names
	form := *g
	form.inputs = c.unnamed(part)
	model, err := form.Marshal(func(Initializer) (Placement, error) { return Placement{Location: "-"}, nil })
	part.Form = sha256.Sum256(model)
	return part, err
}

// unnamed returns the inputs of a part with other symbols in the shapes of parameters: those of equal blocks have a symbol for each, such as the
// ranks of their LoRA factors, and no operator depends on its name.
func (c *cutter) unnamed(part Part) []*Value {
	parameters := map[string]bool{}
	for _, p := range c.g.params {
		parameters[p.Name] = true
	}
	symbols := map[Dim]Dim{}
	out := make([]*Value, len(part.inputs))
	for i, v := range part.inputs {
		out[i] = v
		if !parameters[part.Reads[v.Name]] {
			continue
		}
		w := *v
		w.Shape = v.Shape.Clone()
		for k, d := range w.Shape {
			if d.Known() {
				continue
			}
			if _, ok := symbols[d]; !ok {
				symbols[d] = Sym("parameter" + strconv.Itoa(len(symbols)))
			}
			w.Shape[k] = symbols[d]
		}
		out[i] = &w
	}
	return out
}
