package formula

import (
	"fmt"
	"math/big"
)

// argument is one of a call: a value, or one with a name.
type argument struct {
	name string
	eval
}

// call reads a call of e; its opening bracket has been read.
func (p *parser) call(e expr) (expr, error) {
	up, err := p.deeper()
	if err != nil {
		return expr{}, err
	}
	defer up()
	var args []argument
	named := false
	for n, comma := 0, false; p.take(")") == ""; n++ {
		if n > 0 && !comma {
			return expr{}, p.unexpected()
		}
		a, err := p.argument(named)
		if err != nil {
			return expr{}, err
		}
		named = named || a.name != ""
		args = append(args, a)
		comma = p.take(",") != ""
	}
	return expr{eval: func(s *scope) (any, error) {
		f, err := e.callee(s)
		if err != nil {
			return nil, err
		}
		var values []any
		keys := map[string]any{}
		for _, a := range args {
			v, err := a.eval(s)
			if err != nil {
				return nil, err
			}
			if a.name == "" {
				values = append(values, v)
			} else {
				keys[a.name] = v
			}
		}
		return f(values, keys)
	}}, nil
}

func (p *parser) argument(named bool) (argument, error) {
	if star := p.take("*", "**"); star != "" {
		_, err := p.conditional()
		e := missing("Starred")
		if star == "**" {
			e.eval = func(*scope) (any, error) { return nil, fail("TypeError", "named arguments come from no dictionary") }
		}
		return argument{eval: e.eval}, err
	}
	if name := p.peek(); nameLength(name) > 0 && !keywords[name] && p.at+1 < len(p.tokens) && p.tokens[p.at+1] == "=" {
		p.at += 2
		e, err := p.conditional()
		return argument{name, e.eval}, err
	}
	if named {
		return argument{}, fmt.Errorf("%w: a positional argument follows a named one", ErrSyntax)
	}
	e, err := p.named()
	if err == nil && (p.peek() == "for" || p.peek() == "async") {
		err = p.comprehension()
		e = missing("GeneratorExp")
	}
	return argument{eval: e.eval}, err
}

// callee returns the function that the expression calls. Only functions by name and methods can be called, as in simpleeval.
func (e expr) callee(s *scope) (func([]any, map[string]any) (any, error), error) {
	switch e.kind {
	case plainName:
		f, ok := functions[e.name]
		if !ok {
			return nil, fail("FunctionNotDefined", "there is no function %q", e.name)
		}
		return func(args []any, keys map[string]any) (any, error) {
			args, err := placed(e.name, args, keys)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", e.name, err)
			}
			v, err := f(args)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", e.name, err)
			}
			return v, nil
		}, nil
	case attribute:
		v, err := e.eval(s)
		if err != nil {
			return nil, err
		}
		m, ok := v.(method)
		if !ok {
			return nil, fail("TypeError", "a %s cannot be called", typeName(v))
		}
		return func(args []any, keys map[string]any) (any, error) {
			if len(keys) > 0 {
				return nil, fail("TypeError", "the method takes no named arguments")
			}
			return m(args)
		}, nil
	}
	return nil, fail("FeatureNotAvailable", "a value cannot be called")
}

// parameters are the names of arguments, by place, of the functions that take them by name.
var parameters = map[string][]string{"round": {"number", "ndigits"}, "pow": {"base", "exp"}}

// placed puts named arguments in their places. min and max, which take "key" and "default" beside any number of values, get them as an
// options value at the end, and int its "base".
func placed(name string, args []any, keys map[string]any) ([]any, error) {
	if len(keys) == 0 {
		return args, nil
	}
	switch name {
	case "min", "max", "int":
		for k := range keys {
			if name == "int" && k != "base" || name != "int" && k != "key" && k != "default" {
				return nil, fail("TypeError", "there is no argument %q", k)
			}
		}
		return append(args, options(keys)), nil
	}
	known := parameters[name]
	for i := len(args); i < len(known); i++ {
		if v, ok := keys[known[i]]; ok {
			args = append(args, v)
			delete(keys, known[i])
		}
	}
	if len(keys) > 0 {
		return nil, fail("TypeError", "named arguments do not fit")
	}
	return args, nil
}

// options are the named arguments of a function that takes any number of others.
type options map[string]any

// subscript reads e[…]; its opening bracket has been read.
func (p *parser) subscript(e expr) (expr, error) {
	up, err := p.deeper()
	if err != nil {
		return expr{}, err
	}
	defer up()
	index, err := p.index()
	if err != nil {
		return expr{}, err
	}
	for p.take(",") != "" { // a tuple
		if p.peek() != "]" {
			if _, err := p.index(); err != nil {
				return expr{}, err
			}
		}
		index = missing("Tuple").eval
	}
	if err := p.need("]"); err != nil {
		return expr{}, err
	}
	out := both("[]", e.eval, index)
	out.kind = subscript
	return out, nil
}

// index reads the content of square brackets: an expression or a slice.
func (p *parser) index() (eval, error) {
	var parts [3]eval
	isSlice := false
	for i := range parts {
		if next := p.peek(); next != ":" && next != "]" && next != "," {
			e, err := p.named()
			if err != nil {
				return nil, err
			}
			parts[i] = e.eval
		}
		if i == len(parts)-1 || p.take(":") == "" {
			break
		}
		isSlice = true
	}
	if !isSlice {
		if parts[0] == nil {
			return nil, p.unexpected()
		}
		return parts[0], nil
	}
	return func(s *scope) (any, error) {
		var out slice
		for i, f := range parts {
			out[i] = none{}
			if f == nil {
				continue
			}
			v, err := f(s)
			if err != nil {
				return nil, err
			}
			out[i] = v
		}
		return out, nil
	}, nil
}

// slice holds the start, stop and step of a slice; nil if omitted.
type slice [3]any

// places lists the places that the slice takes of n.
func (s slice) places(n int) ([]int, error) {
	bound := func(v any, def, low, high int) (int, error) {
		if _, ok := v.(none); ok {
			return def, nil
		}
		w, ok := whole(v)
		if !ok {
			return 0, fail("TypeError", "a slice has whole numbers, not a %s", typeName(v))
		}
		i := high
		if w.IsInt64() && w.CmpAbs(big.NewInt(1<<40)) < 0 {
			i = int(w.Int64())
		} else if w.Sign() < 0 {
			i = low - n
		}
		if i < 0 {
			i += n
		}
		return min(max(i, low), high), nil
	}
	step := 1
	if _, ok := s[2].(none); !ok {
		w, ok := whole(s[2])
		if !ok {
			return nil, fail("TypeError", "a slice has whole numbers, not a %s", typeName(s[2]))
		}
		if w.Sign() == 0 {
			return nil, fail("ValueError", "slice step cannot be zero")
		}
		step = max(n, 1) * w.Sign()
		if w.IsInt64() && w.CmpAbs(big.NewInt(int64(n))) < 0 {
			step = int(w.Int64())
		}
	}
	low, high, first, last := 0, n, 0, n
	if step < 0 {
		low, high, first, last = -1, n-1, n-1, -1
	}
	from, err := bound(s[0], first, low, high)
	if err != nil {
		return nil, err
	}
	to, err := bound(s[1], last, low, high)
	if err != nil {
		return nil, err
	}
	var out []int
	for i := from; step > 0 && i < to || step < 0 && i > to; i += step {
		out = append(out, i)
	}
	return out, nil
}
