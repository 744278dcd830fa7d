package formula

import (
	"fmt"
	"strconv"
	"strings"
)

// atom is a value with what follows it: calls, subscripts and attributes.
func (p *parser) atom() (expr, error) {
	e, err := p.simple()
	for err == nil {
		switch {
		case p.take("(") != "":
			e, err = p.call(e)
		case p.take("[") != "":
			e, err = p.subscript(e)
		case p.take(".") != "":
			name := p.peek()
			if nameLength(name) == 0 || keywords[name] {
				return expr{}, p.unexpected()
			}
			p.at++
			e = attributeOf(e, name)
		default:
			return e, nil
		}
	}
	return expr{}, err
}

// keywords cannot be names.
var keywords = map[string]bool{
	"False": true, "None": true, "True": true, "and": true, "as": true, "assert": true, "async": true, "await": true, "break": true, "class": true,
	"continue": true, "def": true, "del": true, "elif": true, "else": true, "except": true, "finally": true, "for": true, "from": true, "global": true,
	"if": true, "import": true, "in": true, "is": true, "lambda": true, "nonlocal": true, "not": true, "or": true, "pass": true, "raise": true,
	"return": true, "try": true, "while": true, "with": true, "yield": true,
}

func (p *parser) simple() (expr, error) {
	word := p.peek()
	constant := func(v any) (expr, error) {
		p.at++
		return expr{eval: func(*scope) (any, error) { return v, nil }}, nil
	}
	switch {
	case word == "" || word == newline:
		return expr{}, p.unexpected()
	case word == "(":
		return p.display("(", ")", "Tuple")
	case word == "[":
		return p.display("[", "]", "List")
	case word == "{":
		return p.display("{", "}", "Dict")
	case word == "...":
		return constant(ellipsis{})
	case word == "True" || word == "False":
		return constant(word == "True")
	case word == "None":
		return constant(none{})
	case isDigit(word[0]) || word[0] == '.' && len(word) > 1 && isDigit(word[1]):
		v, err := number(word)
		if err != nil {
			return expr{}, err
		}
		return constant(v)
	case nameLength(word) == len(word) && !keywords[word]:
		p.at++
		return expr{kind: plainName, name: word, eval: func(s *scope) (any, error) {
			if v, ok := s.names[word]; ok {
				return v, nil
			}
			if _, ok := functions[word]; ok {
				return function(word), nil
			}
			return nil, fail("NameNotDefined", "%q is not defined", word)
		}}, nil
	}
	if n, _ := textLength(word); n == len(word) {
		return p.text()
	}
	return expr{}, p.unexpected()
}

// text is a string constant; those that follow each other are one.
func (p *parser) text() (expr, error) {
	var b strings.Builder
	formatted, binary := false, false
	for {
		word := p.peek()
		if n, _ := textLength(word); n == 0 || n < len(word) {
			break
		}
		p.at++
		quote := strings.IndexAny(word, `'"`)
		prefix := strings.ToLower(word[:quote])
		formatted = formatted || strings.Contains(prefix, "f")
		binary = binary || strings.Contains(prefix, "b")
		width := 1
		if len(word)-quote >= 6 && word[quote+1] == word[quote] && word[quote+2] == word[quote] {
			width = 3
		}
		body := word[quote+width : len(word)-width]
		if !strings.Contains(prefix, "r") {
			var err error
			if body, err = unescaped(body); err != nil {
				return expr{}, err
			}
		}
		b.WriteString(body)
	}
	if formatted {
		return missing("a formatted text"), nil
	}
	if binary {
		return missing("a text of bytes"), nil
	}
	s := b.String()
	return expr{eval: func(*scope) (any, error) { return s, nil }}, nil
}

// unescaped replaces the escapes of a text constant.
func unescaped(s string) (string, error) {
	var b strings.Builder
	for s != "" {
		if s[0] != '\\' || len(s) < 2 {
			b.WriteByte(s[0])
			s = s[1:]
			continue
		}
		switch c := s[1]; {
		case c == '\n':
			s = s[2:]
		case c == '\'' || c == '"':
			b.WriteByte(c)
			s = s[2:]
		case strings.IndexByte("abfnrtvxuU\\01234567", c) >= 0:
			r, _, tail, err := strconv.UnquoteChar(octal(s), 0)
			if err != nil {
				return "", fmt.Errorf("%w: a text has a wrong escape", ErrSyntax)
			}
			b.WriteRune(r)
			s = tail
		default: // not an escape
			b.WriteString(s[:2])
			s = s[2:]
		}
	}
	return b.String(), nil
}

// octal pads an octal escape to the three digits that Go wants.
func octal(s string) string {
	n := 0
	for n < 3 && 1+n < len(s) && s[1+n] >= '0' && s[1+n] <= '7' {
		n++
	}
	if n == 0 || n == 3 {
		return s
	}
	return `\` + strings.Repeat("0", 3-n) + s[1:]
}

// display reads the content of brackets: an expression, or a tuple, list, set, dictionary or comprehension, which are not
// available.
func (p *parser) display(open, shut, what string) (expr, error) {
	up, err := p.deeper()
	if err != nil {
		return expr{}, err
	}
	defer up()
	p.at++
	var first expr
	n, comma, starred := 0, false, false
	for p.take(shut) == "" {
		if n > 0 && !comma {
			return expr{}, p.unexpected()
		}
		item, kind, err := p.item(open)
		if err != nil {
			return expr{}, err
		}
		switch kind {
		case "*":
			starred = true
		case "for":
			if comprehension := map[string]string{"(": "GeneratorExp", "[": "ListComp", "{": "SetComp"}[open]; p.take(shut) != "" {
				return missing(comprehension), nil
			}
			return expr{}, p.unexpected()
		case ":":
		case "":
			if open == "{" {
				what = "Set"
			}
		}
		first, n = item, n+1
		comma = p.take(",") != ""
	}
	if open == "(" && n == 1 && !comma {
		if starred {
			return expr{}, fmt.Errorf("%w: a starred expression cannot stand here", ErrSyntax)
		}
		return first, nil
	}
	e := missing(what)
	e.kind = display
	return e, nil
}

// item is one element in brackets; kind is "*" for a starred one, ":" for a pair, "for" when a comprehension follows.
func (p *parser) item(open string) (e expr, kind string, err error) {
	if star := p.take("*", "**"); star != "" {
		if e, err = p.binary(0); err == nil && star == "**" && open != "{" {
			err = p.unexpected()
		}
		return e, "*", err
	}
	if e, err = p.named(); err != nil {
		return e, "", err
	}
	if open == "{" && p.take(":") != "" {
		if _, err = p.conditional(); err != nil {
			return e, "", err
		}
		kind = ":"
	}
	if p.peek() == "for" || p.peek() == "async" {
		return e, "for", p.comprehension()
	}
	return e, kind, nil
}

// named reads an expression, or one with an assignment (:=), which is not available.
func (p *parser) named() (expr, error) {
	if p.take("yield") != "" {
		return p.yield()
	}
	e, err := p.conditional()
	if err != nil || p.peek() != ":=" {
		return e, err
	}
	if e.kind != plainName {
		return expr{}, p.unexpected()
	}
	p.at++
	if _, err := p.conditional(); err != nil {
		return expr{}, err
	}
	return missing("NamedExpr"), nil
}

// comprehension is `for a, b in c if d` and so on.
func (p *parser) comprehension() error {
	for {
		p.take("async")
		if p.take("for") == "" {
			return nil
		}
		for {
			p.take("*")
			if _, err := p.binary(0); err != nil {
				return err
			}
			if p.take(",") == "" || p.peek() == "in" {
				break
			}
		}
		if err := p.need("in"); err != nil {
			return err
		}
		if _, err := p.or(); err != nil {
			return err
		}
		for p.take("if") != "" {
			if _, err := p.or(); err != nil {
				return err
			}
		}
	}
}

// lambda reads a function without a name; its keyword has been read.
func (p *parser) lambda() (expr, error) {
	for p.take(":") == "" {
		if p.take("*", "**", ",", "/") != "" {
			continue
		}
		if name := p.peek(); nameLength(name) == 0 || keywords[name] {
			return expr{}, p.unexpected()
		}
		p.at++
		if p.take("=") != "" {
			if _, err := p.conditional(); err != nil {
				return expr{}, err
			}
		}
	}
	_, err := p.conditional()
	return missing("Lambda"), err
}

func (p *parser) yield() (expr, error) {
	p.take("from")
	if next := p.peek(); next == ")" || next == "" || next == newline || next == ";" {
		return missing("Yield"), nil
	}
	_, err := p.list()
	return missing("Yield"), err
}
