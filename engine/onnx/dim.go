package onnx

import (
	"fmt"
	"strconv"
)

// Dim is one dimension of a shape: a number, or an integer expression over symbols such as "H" whose values are known
// only at run time. Expressions are sums of products of symbols and of floor divisions, kept in one canonical form:
// dimensions that are equal as polynomials are equal under ==, however they were made, so that
// Sym("H").Times(D(2)).Plus(Sym("H")) == Sym("3*H"). Every symbol is at least one.
type Dim struct {
	// N is the number, when the dimension is Known.
	N    int
	expr string // canonical text, "" for a number
}

// D returns a known dimension.
func D(n int) Dim { return Dim{N: n} }

// Sym returns the dimension that text describes: a symbol ("H"), or an expression over symbols, such as "8*H+1",
// "H*W" or "floor((H+1)/2)". It panics with a *BuildError if text is not a valid expression.
func Sym(text string) Dim {
	p, err := parseDim(text)
	if err != nil {
		panic(&BuildError{Op: "Sym", Message: fmt.Sprintf("reading the dimension %q: %v", text, err)})
	}
	return p.dim()
}

// Known reports whether the dimension is a number.
func (d Dim) Known() bool { return d.expr == "" }

// Is reports whether the dimension is the number n.
func (d Dim) Is(n int) bool { return d == D(n) }

// String returns the number, or the expression in its canonical form.
func (d Dim) String() string {
	if d.Known() {
		return strconv.Itoa(d.N)
	}
	return d.expr
}

// Plus returns d+o.
func (d Dim) Plus(o Dim) Dim {
	switch {
	case d.Known() && o.Known():
		return D(d.N + o.N)
	case o.Is(0):
		return d
	}
	return d.poly().plus(o.poly()).dim()
}

// Minus returns d-o.
func (d Dim) Minus(o Dim) Dim { return d.Plus(o.Times(D(-1))) }

// Times returns d*o.
func (d Dim) Times(o Dim) Dim {
	if d.Known() && o.Known() {
		return D(d.N * o.N)
	}
	return d.poly().times(o.poly()).dim()
}

// Div returns d/n rounded down; n must be positive.
func (d Dim) Div(n int) Dim {
	if n <= 0 {
		panic(&BuildError{Op: "Div", Message: fmt.Sprintf("dividing the dimension %v by %d", d, n)})
	}
	if n == 1 {
		return d
	}
	return d.poly().floor(n).dim()
}

// CeilDiv returns d/n rounded up; n must be positive.
func (d Dim) CeilDiv(n int) Dim { return d.Plus(D(n - 1)).Div(n) }

// Quotient returns d/o, and false when o does not divide d for every value of the symbols.
func (d Dim) Quotient(o Dim) (Dim, bool) {
	q, ok := d.poly().quotient(o.poly())
	return q.dim(), ok
}

// AtLeast reports that d >= o for every value of the symbols, as far as that shows in the signs of d-o; false means that
// it is not known.
func (d Dim) AtLeast(o Dim) bool {
	least, ok := d.Minus(o).poly().least()
	return ok && least >= 0
}

// Differs reports that d and o are different for every value of the symbols.
func (d Dim) Differs(o Dim) bool {
	diff := d.Minus(o)
	return diff.Known() && diff.N != 0
}

// Eval returns the value of d for the given values of its symbols.
func (d Dim) Eval(symbols map[string]int) (int, error) {
	if d.Known() {
		return d.N, nil
	}
	n, err := d.poly().eval(symbols)
	if err != nil {
		return 0, fmt.Errorf("computing the dimension %v: %w", d, err)
	}
	return n, nil
}

// poly returns the expression of d. The text is canonical, so that reading it cannot fail.
func (d Dim) poly() poly {
	if d.Known() {
		return number(d.N)
	}
	p, err := parseDim(d.expr)
	if err != nil {
		panic(&BuildError{Op: "Dim", Message: err.Error()})
	}
	return p
}

// Shape is a list of dimensions, outermost first.
type Shape []Dim

// Dims makes a shape of known dimensions.
func Dims(n ...int) Shape {
	s := make(Shape, len(n))
	for i, v := range n {
		s[i] = D(v)
	}
	return s
}

// Equal reports whether both shapes have the same dimensions.
func (s Shape) Equal(o Shape) bool {
	if len(s) != len(o) {
		return false
	}
	for i := range s {
		if s[i] != o[i] {
			return false
		}
	}
	return true
}

// Clone returns a copy.
func (s Shape) Clone() Shape { return append(Shape(nil), s...) }

// Size returns the number of elements, the product of all dimensions.
func (s Shape) Size() Dim {
	n := D(1)
	for _, d := range s {
		n = n.Times(d)
	}
	return n
}

// Known reports whether all dimensions are numbers.
func (s Shape) Known() bool {
	for _, d := range s {
		if !d.Known() {
			return false
		}
	}
	return true
}
