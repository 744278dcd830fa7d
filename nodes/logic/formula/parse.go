// Package formula computes expressions over numbers as Python does: whole numbers of any size, floats, comparisons in a
// row, and/or/not, the conditional expression, and a fixed list of functions.
//
// It must not know nodes. An expression can do nothing but compute: there are no attributes, no strings, and limits on
// its length, its depth and the size of its numbers.
package formula

import (
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// ErrSyntax means that a text is no expression.
var ErrSyntax = errors.New("syntax error")

const (
	maxLength = 64 << 10
	maxDepth  = 200
)

// eval computes a part of an expression.
type eval func(*scope) (any, error)

// scope are the values that names stand for.
type scope struct{ names map[string]any }

type parser struct {
	tokens []string
	at     int
	depth  int
}

// Eval computes an expression. Names have int64, *big.Int, float64, bool or a []any of them as values; the result is a
// *big.Int, a float64, a bool or a []any. Errors wrap ErrSyntax or are *Error.
func Eval(text string, names map[string]any) (any, error) {
	if len(text) > maxLength {
		return nil, fmt.Errorf("reading an expression: %w: it has %d characters, %d are the most", ErrSyntax, len(text), maxLength)
	}
	tokens, err := split(strings.TrimSpace(text))
	if err != nil {
		return nil, fmt.Errorf("reading an expression: %w", err)
	}
	p := &parser{tokens: tokens}
	e, err := p.conditional()
	if err == nil && p.at < len(tokens) {
		err = p.unexpected()
	}
	if err != nil {
		return nil, fmt.Errorf("reading an expression: %w", err)
	}
	s := &scope{names: make(map[string]any, len(names))}
	for k, v := range names {
		s.names[k] = normal(v)
	}
	return e(s)
}

func (p *parser) unexpected() error {
	if p.at >= len(p.tokens) {
		return fmt.Errorf("%w: it ends too early", ErrSyntax)
	}
	return fmt.Errorf("%w at %q", ErrSyntax, p.tokens[p.at])
}

// take steps over a token that is one of the words and returns it, "" when it is none.
func (p *parser) take(words ...string) string {
	if p.at < len(p.tokens) {
		for _, w := range words {
			if p.tokens[p.at] == w {
				p.at++
				return w
			}
		}
	}
	return ""
}

// conditional is `a if condition else b`.
func (p *parser) conditional() (eval, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, fmt.Errorf("%w: it is nested too deep", ErrSyntax)
	}
	defer func() { p.depth-- }()
	yes, err := p.or()
	if err != nil || p.take("if") == "" {
		return yes, err
	}
	condition, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.take("else") == "" {
		return nil, p.unexpected()
	}
	no, err := p.conditional()
	if err != nil {
		return nil, err
	}
	return func(s *scope) (any, error) {
		v, err := condition(s)
		if err != nil {
			return nil, err
		}
		if truth(v) {
			return yes(s)
		}
		return no(s)
	}, nil
}

func (p *parser) or() (eval, error)  { return p.junction("or", p.and, true) }
func (p *parser) and() (eval, error) { return p.junction("and", p.not, false) }

// junction is a row of and or or; its value is the first operand that decides it.
func (p *parser) junction(word string, operand func() (eval, error), decides bool) (eval, error) {
	left, err := operand()
	for err == nil && p.take(word) != "" {
		a := left
		var b eval
		if b, err = operand(); err != nil {
			break
		}
		left = func(s *scope) (any, error) {
			v, err := a(s)
			if err != nil || truth(v) == decides {
				return v, err
			}
			return b(s)
		}
	}
	return left, err
}

func (p *parser) not() (eval, error) {
	negate, given := false, false
	for p.take("not") != "" {
		negate, given = !negate, true
	}
	e, err := p.comparison()
	if err != nil || !given {
		return e, err
	}
	return func(s *scope) (any, error) {
		v, err := e(s)
		if err != nil {
			return nil, err
		}
		return truth(v) != negate, nil
	}, nil
}

// comparison is a row like a < b <= c, which holds when every link does.
func (p *parser) comparison() (eval, error) {
	first, err := p.binary(0)
	if err != nil {
		return nil, err
	}
	var ops []string
	var rest []eval
	for {
		op := p.take("<", "<=", ">", ">=", "==", "!=")
		if op == "" {
			break
		}
		e, err := p.binary(0)
		if err != nil {
			return nil, err
		}
		ops, rest = append(ops, op), append(rest, e)
	}
	if ops == nil {
		return first, nil
	}
	return func(s *scope) (any, error) {
		left, err := first(s)
		if err != nil {
			return nil, err
		}
		for i, op := range ops {
			right, err := rest[i](s)
			if err != nil {
				return nil, err
			}
			holds, err := compare(op, left, right)
			if err != nil || !holds {
				return false, err
			}
			left = right
		}
		return true, nil
	}, nil
}

// levels are the binary operators, those that bind least first.
var levels = [][]string{{"|"}, {"^"}, {"&"}, {"<<", ">>"}, {"+", "-"}, {"*", "/", "//", "%"}}

func (p *parser) binary(level int) (eval, error) {
	if level == len(levels) {
		return p.unary()
	}
	left, err := p.binary(level + 1)
	for err == nil {
		op := p.take(levels[level]...)
		if op == "" {
			break
		}
		a := left
		var b eval
		if b, err = p.binary(level + 1); err != nil {
			break
		}
		left = both(op, a, b)
	}
	return left, err
}

func both(op string, a, b eval) eval {
	return func(s *scope) (any, error) {
		x, err := a(s)
		if err != nil {
			return nil, err
		}
		y, err := b(s)
		if err != nil {
			return nil, err
		}
		return operate(op, x, y)
	}
}

func (p *parser) unary() (eval, error) {
	op := p.take("-", "+", "~")
	if op == "" {
		return p.power()
	}
	if p.depth++; p.depth > maxDepth {
		return nil, fmt.Errorf("%w: it is nested too deep", ErrSyntax)
	}
	defer func() { p.depth-- }()
	e, err := p.unary()
	if err != nil {
		return nil, err
	}
	return func(s *scope) (any, error) {
		v, err := e(s)
		if err != nil {
			return nil, err
		}
		return sign(op, v)
	}, nil
}

// power binds closer than a sign on its left and less close than one on its right.
func (p *parser) power() (eval, error) {
	base, err := p.atom()
	if err != nil || p.take("**") == "" {
		return base, err
	}
	exponent, err := p.unary()
	if err != nil {
		return nil, err
	}
	return both("**", base, exponent), nil
}

func (p *parser) atom() (eval, error) {
	e, err := p.simple()
	for err == nil && p.take("[") != "" {
		list := e
		var index eval
		if index, err = p.conditional(); err != nil {
			break
		}
		if p.take("]") == "" {
			return nil, p.unexpected()
		}
		e = both("[]", list, index)
	}
	return e, err
}

func (p *parser) simple() (eval, error) {
	if p.at >= len(p.tokens) {
		return nil, p.unexpected()
	}
	word := p.tokens[p.at]
	switch {
	case word == "(":
		p.at++
		e, err := p.conditional()
		if err == nil && p.take(")") == "" {
			err = p.unexpected()
		}
		return e, err
	case isDigit(word[0]) || word[0] == '.':
		p.at++
		v, err := number(word)
		return func(*scope) (any, error) { return v, nil }, err
	case isLetter(word[0]) && !keywords[word]:
		p.at++
		if p.take("(") != "" {
			return p.call(word)
		}
		if word == "True" || word == "False" {
			return func(*scope) (any, error) { return word == "True", nil }, nil
		}
		return func(s *scope) (any, error) {
			if v, ok := s.names[word]; ok {
				return v, nil
			}
			return nil, &Error{Kind: "NameNotDefined", Text: fmt.Sprintf("%q is not defined", word)}
		}, nil
	}
	return nil, p.unexpected()
}

var keywords = map[string]bool{"if": true, "else": true, "and": true, "or": true, "not": true}

func (p *parser) call(name string) (eval, error) {
	f, ok := functions[name]
	if !ok {
		return nil, &Error{Kind: "FunctionNotDefined", Text: fmt.Sprintf("there is no function %q", name)}
	}
	var args []eval
	for p.take(")") == "" {
		if args != nil && p.take(",") == "" {
			return nil, p.unexpected()
		}
		if args != nil && p.take(")") != "" {
			break
		}
		e, err := p.conditional()
		if err != nil {
			return nil, err
		}
		args = append(args, e)
	}
	return func(s *scope) (any, error) {
		values := make([]any, len(args))
		for i, a := range args {
			v, err := a(s)
			if err != nil {
				return nil, err
			}
			values[i] = v
		}
		v, err := f(values)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return v, nil
	}, nil
}

func number(word string) (any, error) {
	plain := strings.ReplaceAll(word, "_", "")
	if n, ok := new(big.Int).SetString(plain, 0); ok && (len(plain) < 2 || plain[0] != '0' || !isDigit(plain[1])) {
		return n, nil
	}
	if f, err := strconv.ParseFloat(plain, 64); (err == nil || f != 0) && !strings.ContainsAny(plain, "xX") && strings.ContainsAny(plain, ".eE") {
		return f, nil
	}
	return nil, fmt.Errorf("%w: %q is no number", ErrSyntax, word)
}
