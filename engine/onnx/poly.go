package onnx

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// poly is a polynomial with integer coefficients: terms in descending order (degree, then atoms), none zero, no two over
// the same atoms. The zero polynomial has no terms.
type poly []term

// term is a coefficient times atoms, which are sorted. An atom is a symbol or the canonical text of a floor division
// "floor(P/n)", in which all coefficients of P lie in [0,n) and have no common divisor with n.
type term struct {
	coef  int
	atoms []string
}

func number(n int) poly {
	if n == 0 {
		return nil
	}
	return poly{{coef: n}}
}

func atom(name string) poly { return poly{{coef: 1, atoms: []string{name}}} }

// order compares terms by degree, larger ones first, then by their atoms: a monomial order, as quotient needs it.
func order(a, b term) int {
	if len(a.atoms) != len(b.atoms) {
		return len(b.atoms) - len(a.atoms)
	}
	return slices.Compare(a.atoms, b.atoms)
}

// collect sorts terms into the canonical form; it may reorder its argument.
func collect(ts poly) poly {
	slices.SortFunc(ts, order)
	var out poly
	for _, t := range ts {
		if n := len(out); n > 0 && order(out[n-1], t) == 0 {
			out[n-1].coef += t.coef
			continue
		}
		out = append(out, t)
	}
	return slices.DeleteFunc(out, func(t term) bool { return t.coef == 0 })
}

func (p poly) plus(o poly) poly { return collect(slices.Concat(p, o)) }

func (p poly) times(o poly) poly {
	var out poly
	for _, a := range p {
		for _, b := range o {
			atoms := slices.Concat(a.atoms, b.atoms)
			slices.Sort(atoms)
			out = append(out, term{a.coef * b.coef, atoms})
		}
	}
	return collect(out)
}

// constant returns the polynomial's value when it is a number.
func (p poly) constant() (int, bool) {
	switch {
	case len(p) == 0:
		return 0, true
	case len(p) == 1 && len(p[0].atoms) == 0:
		return p[0].coef, true
	}
	return 0, false
}

// floor returns floor(p/n). What n divides is taken out of the division; the rest is reduced by common divisors, and a
// division of a division becomes one.
func (p poly) floor(n int) poly {
	var whole, rest poly
	for _, t := range p {
		q := floorDiv(t.coef, n)
		whole = append(whole, term{q, t.atoms})
		rest = append(rest, term{t.coef - q*n, t.atoms})
	}
	whole, rest = collect(whole), collect(rest)
	offset := 0
	common := n
	for _, t := range rest {
		if len(t.atoms) == 0 {
			offset = t.coef
			continue
		}
		common = gcd(common, t.coef)
	}
	if common == n { // no atoms are left: 0 <= offset < n
		return whole
	}
	for i := range rest {
		rest[i].coef = floorDiv(rest[i].coef, common)
	}
	rest = collect(rest)
	n, offset = n/common, offset/common
	if inner := rest[0]; inner.coef == 1 && len(inner.atoms) == 1 && len(rest) == len(number(offset))+1 {
		if arg, m, ok := division(inner.atoms[0]); ok {
			return whole.plus(arg.plus(number(offset * m)).floor(n * m))
		}
	}
	form := "floor(%v/%d)"
	if len(rest) > 1 {
		form = "floor((%v)/%d)"
	}
	return whole.plus(atom(fmt.Sprintf(form, rest, n)))
}

// division takes the text of a floor division apart.
func division(text string) (arg poly, n int, ok bool) {
	if !strings.HasPrefix(text, "floor(") {
		return nil, 0, false
	}
	r := dimReader{text: text, at: len("floor(")}
	arg, n, err := r.division()
	return arg, n, err == nil
}

// quotient returns p/o when o divides p.
func (p poly) quotient(o poly) (poly, bool) {
	if len(o) == 0 {
		return nil, false
	}
	var q poly
	lead := o[0]
	for len(p) > 0 {
		atoms, ok := without(p[0].atoms, lead.atoms)
		if !ok || p[0].coef%lead.coef != 0 {
			return nil, false
		}
		t := term{p[0].coef / lead.coef, atoms}
		q = append(q, t)
		p = p.plus(poly{t}.times(o).times(number(-1)))
	}
	return collect(q), true
}

// without returns the sorted atoms a with those of b taken out once each, or false if some are not there.
func without(a, b []string) ([]string, bool) {
	out := slices.Clone(a)
	for _, s := range b {
		i := slices.Index(out, s)
		if i < 0 {
			return nil, false
		}
		out = slices.Delete(out, i, i+1)
	}
	return out, true
}

// least returns the least value of p for symbols of at least one, or false if a term is negative.
func (p poly) least() (int, bool) {
	sum := 0
	for _, t := range p {
		n := t.coef
		if len(t.atoms) > 0 && n < 0 {
			return 0, false
		}
		for _, a := range t.atoms {
			if arg, m, ok := division(a); ok {
				l, ok := arg.least()
				if !ok {
					return 0, false
				}
				n *= floorDiv(l, m)
			}
		}
		sum += n
	}
	return sum, true
}

func (p poly) eval(symbols map[string]int) (int, error) {
	sum := 0
	for _, t := range p {
		n := t.coef
		for _, a := range t.atoms {
			v, ok := symbols[a]
			if arg, m, is := division(a); is {
				inner, err := arg.eval(symbols)
				if err != nil {
					return 0, err
				}
				v, ok = floorDiv(inner, m), true
			}
			if !ok {
				return 0, fmt.Errorf("the value of %s is not given", a)
			}
			n *= v
		}
		sum += n
	}
	return sum, nil
}

func (p poly) dim() Dim {
	if n, ok := p.constant(); ok {
		return D(n)
	}
	return Dim{expr: p.String()}
}

// String writes the polynomial as parseDim reads it, such as "8*H*W-H+3".
func (p poly) String() string {
	if len(p) == 0 {
		return "0"
	}
	var b strings.Builder
	for i, t := range p {
		if t.coef >= 0 && i > 0 {
			b.WriteByte('+')
		}
		switch {
		case len(t.atoms) == 0:
			b.WriteString(strconv.Itoa(t.coef))
			continue
		case t.coef == -1:
			b.WriteByte('-')
		case t.coef != 1:
			b.WriteString(strconv.Itoa(t.coef) + "*")
		}
		b.WriteString(strings.Join(t.atoms, "*"))
	}
	return b.String()
}

func floorDiv(a, n int) int {
	q := a / n
	if a%n != 0 && (a < 0) != (n < 0) {
		q--
	}
	return q
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
