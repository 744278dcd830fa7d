package onnx

import "comfygo/engine/dtype"

// DimValue returns d as an int64 value [1]: a constant, or computed at run time from the shapes of the inputs declared so
// far. It fails when they do not determine d.
func (g *Graph) DimValue(d Dim) *Value {
	if d.Known() {
		return g.Ints(d.N)
	}
	if v, ok := g.byDim[d]; ok {
		return v
	}
	v := g.dimFromInput(d)
	if v == nil {
		v = g.polyValue(d.poly())
	}
	g.byDim[d] = v
	return v
}

// dimFromInput reads d off an axis of an input that has exactly this size, or nil.
func (g *Graph) dimFromInput(d Dim) *Value {
	for _, in := range g.inputs {
		for i, have := range in.Shape {
			if have == d {
				return g.ShapeOf(in, i, i+1)
			}
		}
	}
	return nil
}

func (g *Graph) polyValue(p poly) *Value {
	var sum *Value
	for _, t := range p {
		var product *Value
		if t.coef != 1 || len(t.atoms) == 0 {
			product = g.Ints(t.coef)
		}
		for _, a := range t.atoms {
			v := g.atomValue(a)
			if product != nil {
				v = g.Mul(product, v)
			}
			product = v
		}
		if sum != nil {
			product = g.Add(sum, product)
		}
		sum = product
	}
	return sum
}

// atomValue computes a floor division, or solves an input's axis of size k*symbol+c for the symbol.
func (g *Graph) atomValue(a string) *Value {
	if arg, n, ok := division(a); ok {
		return g.Div(g.DimValue(arg.dim()), g.Ints(n)) // both are positive, where integer division rounds down
	}
	d := Dim{expr: a}
	if v, ok := g.byDim[d]; ok {
		return v
	}
	v := g.dimFromInput(d)
	for _, in := range g.inputs {
		for i, have := range in.Shape {
			if v != nil || have.Known() {
				continue
			}
			p := have.poly()
			if len(p) > 2 || len(p[0].atoms) != 1 || p[0].atoms[0] != a || p[0].coef < 1 || len(p) == 2 && len(p[1].atoms) > 0 {
				continue
			}
			v = g.ShapeOf(in, i, i+1)
			if len(p) == 2 {
				v = g.Sub(v, g.Ints(p[1].coef))
			}
			if p[0].coef > 1 {
				v = g.Div(v, g.Ints(p[0].coef))
			}
		}
	}
	if v == nil {
		g.fail("DimValue", "no input's shape tells the size %s at run time", a)
	}
	g.byDim[d] = v
	return v
}

// sizes returns dimensions as an int64 value [len(s)]: a constant when all are known. Numbers may have a meaning of
// their own, such as -1.
func (g *Graph) sizes(s Shape) *Value {
	var parts []*Value
	var run []int
	flush := func() {
		if len(run) > 0 {
			parts = append(parts, g.Ints(run...))
			run = nil
		}
	}
	for _, d := range s {
		if d.Known() {
			run = append(run, d.N)
			continue
		}
		flush()
		parts = append(parts, g.DimValue(d))
	}
	if len(parts) == 0 {
		return g.Ints(run...)
	}
	flush()
	if len(parts) == 1 {
		return parts[0]
	}
	return g.op(DomainONNX, "Concat", dtype.I64, Dims(len(s)), parts, attr{"axis", int64(0)})
}
