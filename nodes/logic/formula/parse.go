// Package formula computes expressions over numbers as Python and simpleeval, which ComfyUI uses, do: whole numbers of any size, floats,
// text constants, comparisons in a row, and/or/not, the conditional expression, slices, the attributes of numbers, and a fixed list of
// functions. What is valid Python and not offered is an error of its own kind (FeatureNotAvailable).
//
// It must not know nodes. An expression can do nothing but compute: there are limits on its length, its depth and the size of its values.
package formula

import (
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// ErrSyntax means that a text is not an expression; ErrIndentation, that a line begins with white space it must not have.
var (
	ErrSyntax      = errors.New("syntax error")
	ErrIndentation = errors.New("unexpected indent")
)

const (
	maxLength = 64 << 10
	maxDepth  = 200
)

// eval computes a part of an expression.
type eval func(*scope) (any, error)

// scope holds the values of names.
type scope struct{ names map[string]any }

// expr is a part of an expression with its place in the text.
type expr struct {
	eval
	kind kind
	name string // of a plain name
}

type kind int

const (
	other kind = iota
	plainName
	attribute
	subscript
	display // a tuple, list or starred expression
)

// assignable reports whether the expression may be on the left of an equals sign.
func (e expr) assignable() bool { return e.kind != other }

type parser struct {
	tokens []string
	at     int
	depth  int
}

// Eval computes an expression, the first where there are several. Names have int64, *big.Int, float64, bool or a []any of them as
// values; the result is a *big.Int, a float64, a bool, or a value that is not a number: a string, nil in None, a list. Errors wrap ErrSyntax
// or ErrIndentation, or are *Error.
func Eval(text string, names map[string]any) (any, error) {
	if len(text) > maxLength {
		return nil, fmt.Errorf("reading an expression: %w: it has %d characters, %d are the most", ErrSyntax, len(text), maxLength)
	}
	tokens, err := split(trimmed(text))
	if err != nil {
		return nil, fmt.Errorf("reading an expression: %w", err)
	}
	p := &parser{tokens: tokens}
	e, err := p.program()
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

// peek is the next token, "" at the end.
func (p *parser) peek() string {
	if p.at < len(p.tokens) {
		return p.tokens[p.at]
	}
	return ""
}

// take steps over a token that is one of the words and returns it, or "".
func (p *parser) take(words ...string) string {
	next := p.peek()
	for _, w := range words {
		if next == w && next != "" {
			p.at++
			return w
		}
	}
	return ""
}

// need is take for a token that must come.
func (p *parser) need(word string) error {
	if p.take(word) == "" {
		return p.unexpected()
	}
	return nil
}

// deeper counts a level of nesting; the function that it returns ends it.
func (p *parser) deeper() (func(), error) {
	if p.depth++; p.depth > maxDepth {
		return nil, fmt.Errorf("%w: it is nested too deep", ErrSyntax)
	}
	return func() { p.depth-- }, nil
}

// missing is the evaluation of something that is valid Python and not offered.
func missing(what string) expr {
	return expr{eval: func(*scope) (any, error) {
		return nil, fail("FeatureNotAvailable", "%s is not available in expressions", what)
	}}
}

// conditional is `a if condition else b`, or a lambda.
func (p *parser) conditional() (expr, error) {
	up, err := p.deeper()
	if err != nil {
		return expr{}, err
	}
	defer up()
	if p.take("lambda") != "" {
		return p.lambda()
	}
	yes, err := p.or()
	if err != nil || p.take("if") == "" {
		return yes, err
	}
	condition, err := p.or()
	if err != nil {
		return expr{}, err
	}
	if err := p.need("else"); err != nil {
		return expr{}, err
	}
	no, err := p.conditional()
	if err != nil {
		return expr{}, err
	}
	return expr{eval: func(s *scope) (any, error) {
		v, err := condition.eval(s)
		if err != nil {
			return nil, err
		}
		if truth(v) {
			return yes.eval(s)
		}
		return no.eval(s)
	}}, nil
}

func (p *parser) or() (expr, error)  { return p.junction("or", p.and, true) }
func (p *parser) and() (expr, error) { return p.junction("and", p.not, false) }

// junction is a row of and or or; its value is the first operand that decides it.
func (p *parser) junction(word string, operand func() (expr, error), decides bool) (expr, error) {
	left, err := operand()
	for err == nil && p.take(word) != "" {
		a := left
		var b expr
		if b, err = operand(); err != nil {
			break
		}
		left = expr{eval: func(s *scope) (any, error) {
			v, err := a.eval(s)
			if err != nil || truth(v) == decides {
				return v, err
			}
			return b.eval(s)
		}}
	}
	return left, err
}

func (p *parser) not() (expr, error) {
	negate, given := false, false
	for p.take("not") != "" {
		negate, given = !negate, true
	}
	e, err := p.comparison()
	if err != nil || !given {
		return e, err
	}
	return expr{eval: func(s *scope) (any, error) {
		v, err := e.eval(s)
		if err != nil {
			return nil, err
		}
		return truth(v) != negate, nil
	}}, nil
}

// comparator takes the next comparison; "in" and "is" may be two words.
func (p *parser) comparator() string {
	op := p.take("<", "<=", ">", ">=", "==", "!=", "in", "is")
	if op == "is" && p.take("not") != "" {
		return "is not"
	}
	if op == "" && p.peek() == "not" && p.at+1 < len(p.tokens) && p.tokens[p.at+1] == "in" {
		p.at += 2
		return "not in"
	}
	return op
}

// comparison is a row like a < b <= c, which holds when every link does.
func (p *parser) comparison() (expr, error) {
	first, err := p.binary(0)
	if err != nil {
		return expr{}, err
	}
	var ops []string
	var rest []expr
	for op := p.comparator(); op != ""; op = p.comparator() {
		e, err := p.binary(0)
		if err != nil {
			return expr{}, err
		}
		ops, rest = append(ops, op), append(rest, e)
	}
	if ops == nil {
		return first, nil
	}
	return expr{eval: func(s *scope) (any, error) {
		left, err := first.eval(s)
		if err != nil {
			return nil, err
		}
		for i, op := range ops {
			right, err := rest[i].eval(s)
			if err != nil {
				return nil, err
			}
			holds, err := compare(op, left, right)
			if err != nil {
				return nil, err
			}
			if !holds {
				return false, nil
			}
			left = right
		}
		return true, nil
	}}, nil
}

// levels are the binary operators, those that bind least first.
var levels = [][]string{{"|"}, {"^"}, {"&"}, {"<<", ">>"}, {"+", "-"}, {"*", "/", "//", "%", "@"}}

func (p *parser) binary(level int) (expr, error) {
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
		var b expr
		if b, err = p.binary(level + 1); err != nil {
			break
		}
		left = both(op, a.eval, b.eval)
	}
	return left, err
}

func both(op string, a, b eval) expr {
	if op == "@" {
		return expr{eval: func(*scope) (any, error) {
			return nil, fail("OperatorNotDefined", "the operator @ is not available in expressions")
		}}
	}
	return expr{eval: func(s *scope) (any, error) {
		x, err := a(s)
		if err != nil {
			return nil, err
		}
		y, err := b(s)
		if err != nil {
			return nil, err
		}
		return operate(op, x, y)
	}}
}

func (p *parser) unary() (expr, error) {
	op := p.take("-", "+", "~")
	if op == "" {
		return p.power()
	}
	up, err := p.deeper()
	if err != nil {
		return expr{}, err
	}
	defer up()
	e, err := p.unary()
	if err != nil {
		return expr{}, err
	}
	return expr{eval: func(s *scope) (any, error) {
		v, err := e.eval(s)
		if err != nil {
			return nil, err
		}
		return sign(op, v)
	}}, nil
}

// power binds closer than a sign on its left and less close than one on its right.
func (p *parser) power() (expr, error) {
	await := p.take("await") != ""
	base, err := p.atom()
	if err != nil {
		return expr{}, err
	}
	if await {
		base = missing("await")
	}
	if p.take("**") == "" {
		return base, nil
	}
	exponent, err := p.unary()
	if err != nil {
		return expr{}, err
	}
	return both("**", base.eval, exponent.eval), nil
}

func number(word string) (any, error) {
	plain := strings.ReplaceAll(word, "_", "")
	if strings.Contains(word, "__") || strings.HasSuffix(word, "_") {
		return nil, fmt.Errorf("%w: %q is no number", ErrSyntax, word)
	}
	if n, ok := new(big.Int).SetString(plain, 0); ok && (len(plain) < 2 || plain[0] != '0' || !isDigit(plain[1]) || strings.Trim(plain, "0") == "") {
		return n, nil
	}
	if f, err := strconv.ParseFloat(plain, 64); (err == nil || f != 0) && !strings.ContainsAny(plain, "xXpPnN") && strings.ContainsAny(plain, ".eE") {
		return f, nil
	}
	if imaginary := strings.TrimRight(plain, "jJ"); len(imaginary) == len(plain)-1 {
		if _, err := strconv.ParseFloat(imaginary, 64); err == nil && !strings.ContainsAny(plain, "xXpPnN") {
			return complexNumber{}, nil
		}
	}
	return nil, fmt.Errorf("%w: %q is no number", ErrSyntax, word)
}
