package onnx

import (
	"fmt"
	"strconv"
)

// parseDim reads an expression: sums and products of numbers, symbols, parentheses and floor(expression/number).
func parseDim(text string) (poly, error) {
	r := dimReader{text: text}
	if isLetter(r.peek()) && text != "floor" && len(r.word()) == len(text) {
		return atom(text), nil // a symbol alone, as most dimensions are
	}
	r.at = 0
	p, err := r.sum(0)
	if err == nil && r.at != len(text) {
		err = r.unexpected()
	}
	return p, err
}

// maxDimDepth bounds the nesting of parentheses.
const maxDimDepth = 100

type dimReader struct {
	text string
	at   int
}

func (r *dimReader) unexpected() error {
	if r.at >= len(r.text) {
		return fmt.Errorf("%q ends too early", r.text)
	}
	return fmt.Errorf("unexpected %q at offset %d of %q", r.text[r.at], r.at, r.text)
}

func (r *dimReader) peek() byte {
	if r.at < len(r.text) {
		return r.text[r.at]
	}
	return 0
}

// take reads c if it comes next.
func (r *dimReader) take(c byte) bool {
	if r.peek() != c {
		return false
	}
	r.at++
	return true
}

func (r *dimReader) sum(depth int) (poly, error) {
	if depth > maxDimDepth {
		return nil, fmt.Errorf("%q is nested too deeply", r.text)
	}
	var sum poly
	sign := 1
	if r.take('-') {
		sign = -1
	}
	for {
		p, err := r.product(depth)
		if err != nil {
			return nil, err
		}
		sum = sum.plus(p.times(number(sign)))
		switch {
		case r.take('+'):
			sign = 1
		case r.take('-'):
			sign = -1
		default:
			return sum, nil
		}
	}
}

func (r *dimReader) product(depth int) (poly, error) {
	product := number(1)
	for {
		p, err := r.factor(depth)
		if err != nil {
			return nil, err
		}
		product = product.times(p)
		if !r.take('*') {
			return product, nil
		}
	}
}

func (r *dimReader) factor(depth int) (poly, error) {
	switch c := r.peek(); {
	case r.take('('):
		p, err := r.sum(depth + 1)
		if err == nil && !r.take(')') {
			err = r.unexpected()
		}
		return p, err
	case isDigit(c):
		n, err := r.number()
		return number(n), err
	case isLetter(c):
		name := r.word()
		if name != "floor" {
			return atom(name), nil
		}
		if !r.take('(') {
			return nil, r.unexpected()
		}
		p, n, err := r.divisionAt(depth + 1)
		if err != nil {
			return nil, err
		}
		return p.floor(n), nil
	}
	return nil, r.unexpected()
}

// division reads the rest of a floor division after its first parenthesis.
func (r *dimReader) division() (poly, int, error) { return r.divisionAt(0) }

func (r *dimReader) divisionAt(depth int) (poly, int, error) {
	p, err := r.sum(depth)
	if err != nil {
		return nil, 0, err
	}
	if !r.take('/') || !isDigit(r.peek()) {
		return nil, 0, r.unexpected()
	}
	n, err := r.number()
	if err == nil && (n == 0 || !r.take(')')) {
		err = r.unexpected()
	}
	return p, n, err
}

func (r *dimReader) number() (int, error) {
	from := r.at
	for isDigit(r.peek()) {
		r.at++
	}
	return strconv.Atoi(r.text[from:r.at])
}

func (r *dimReader) word() string {
	from := r.at
	for isLetter(r.peek()) || isDigit(r.peek()) {
		r.at++
	}
	return r.text[from:r.at]
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }
