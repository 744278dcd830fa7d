package onnx

// Interface is the interface of a graph for its caller: the shapes of its inputs, parameters and outputs. Unlike the graph it refers to
// no weights.
type Interface struct {
	inputs, outputs map[string]Shape
}

// Interface returns the graph's.
func (g *Graph) Interface() Interface {
	i := Interface{inputs: map[string]Shape{}, outputs: map[string]Shape{}}
	for _, v := range g.inputs {
		i.inputs[v.Name] = v.Shape.Clone()
	}
	for _, p := range g.params {
		i.inputs[p.Name] = p.Shape.Clone()
	}
	for _, v := range g.outputs {
		i.outputs[v.Name] = v.Shape.Clone()
	}
	return i
}

// Symbols returns the values of the symbols for inputs of the given shapes, as far as they determine them: a symbol has a value where
// a size of an input is k*symbol+c. It is false for shapes that do not belong together.
func (i Interface) Symbols(inputs map[string][]int) (map[string]int, bool) {
	symbols := map[string]int{}
	for input, sizes := range inputs {
		have := i.inputs[input]
		if len(have) != len(sizes) {
			return nil, false
		}
		for k, d := range have {
			symbol, value, known := d.solve(sizes[k])
			if before, twice := symbols[symbol]; known && twice && before != value {
				return nil, false // the run reports invalid inputs
			}
			if known {
				symbols[symbol] = value
			}
		}
	}
	return symbols, true
}

// Output returns the shape of an output for inputs of the given shapes, and false if they do not determine it.
func (i Interface) Output(name string, inputs map[string][]int) ([]int, bool) {
	shape, ok := i.outputs[name]
	if !ok {
		return nil, false
	}
	symbols, ok := i.Symbols(inputs)
	if !ok {
		return nil, false
	}
	return shape.Eval(symbols)
}

// Eval returns the sizes for the given values of the symbols, or false if a symbol has none.
func (s Shape) Eval(symbols map[string]int) ([]int, bool) {
	out := make([]int, len(s))
	for k, d := range s {
		var err error
		if out[k], err = d.Eval(symbols); err != nil {
			return nil, false
		}
	}
	return out, true
}

// solve returns the value of the only symbol of d, of the form k*symbol+c, when d is size.
func (d Dim) solve(size int) (symbol string, value int, ok bool) {
	if d.Known() {
		return "", 0, false
	}
	p := d.poly()
	if len(p) == 0 || len(p) > 2 || len(p[0].atoms) != 1 || p[0].coef < 1 || len(p) == 2 && len(p[1].atoms) > 0 {
		return "", 0, false
	}
	symbol = p[0].atoms[0]
	if _, _, divided := division(symbol); divided {
		return "", 0, false
	}
	if len(p) == 2 {
		size -= p[1].coef
	}
	return symbol, size / p[0].coef, size%p[0].coef == 0 && size > 0
}
