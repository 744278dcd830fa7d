package formula

import "strings"

// program is one statement or several; the first is computed. All have to be valid.
func (p *parser) program() (eval, error) {
	var first eval
	for {
		for p.take(newline) != "" { // empty lines
		}
		if p.at >= len(p.tokens) {
			break
		}
		e, err := p.statement()
		if err != nil {
			return nil, err
		}
		if first == nil {
			first = e.eval
		}
		if p.at < len(p.tokens) && p.take(newline, ";") == "" {
			return nil, p.unexpected()
		}
	}
	if first == nil {
		return func(*scope) (any, error) { return nil, fail("InvalidExpression", "there is nothing to compute") }, nil
	}
	return first, nil
}

// unavailable are statements that are not available; their parts are not read. Their names are those of Python's syntax tree.
var unavailable = map[string]string{
	"import": "import", "from": "ImportFrom", "del": "Delete", "pass": "Pass", "return": "Return", "assert": "Assert", "raise": "Raise",
	"global": "Global", "nonlocal": "Nonlocal", "break": "Break", "continue": "Continue",
	"if": "If", "for": "For", "while": "While", "def": "FunctionDef", "class": "ClassDef", "with": "With", "async": "AsyncFunctionDef",
}

// alone are those that may stand alone, heads those with a colon.
var (
	alone = map[string]bool{"pass": true, "return": true, "raise": true, "break": true, "continue": true}
	heads = map[string]bool{"if": true, "for": true, "while": true, "def": true, "class": true, "with": true, "async": true}
)

// skip steps over a statement that is not available.
func (p *parser) skip() (expr, error) {
	word := p.peek()
	p.at++
	from, colon := p.at, false
	for p.at < len(p.tokens) && p.peek() != newline && p.peek() != ";" {
		colon = colon || p.peek() == ":"
		p.at++
	}
	if from == p.at && !alone[word] || heads[word] && !colon {
		return expr{}, p.unexpected()
	}
	return missing(unavailable[word]), nil
}

// statement reads an expression, or an assignment, whose value is computed but not assigned.
func (p *parser) statement() (expr, error) {
	if unavailable[p.peek()] != "" {
		return p.skip()
	}
	e, err := p.list()
	if err != nil {
		return expr{}, err
	}
	if p.peek() == ":" && e.assignable() { // a name with its type
		p.at++
		if _, err := p.conditional(); err != nil {
			return expr{}, err
		}
		if p.take("=") != "" {
			_, err = p.list()
		}
		return missing("AnnAssign"), err
	}
	if op := p.peek(); strings.HasSuffix(op, "=") && len(op) > 1 && !strings.ContainsAny(op[:1], "<>=!:") || op == "<<=" || op == ">>=" {
		if !e.assignable() || e.kind == display {
			return expr{}, p.unexpected()
		}
		p.at++
		return p.list()
	}
	for p.peek() == "=" {
		if !e.assignable() {
			return expr{}, p.unexpected()
		}
		p.at++
		if e, err = p.list(); err != nil {
			return expr{}, err
		}
	}
	return expr{eval: e.eval}, nil
}

// list is an expression, or several with commas, which are a tuple.
func (p *parser) list() (expr, error) {
	var e expr
	for n := 0; ; n++ {
		starred := p.take("*") != ""
		var item expr
		var err error
		if p.take("yield") != "" {
			item, err = p.yield()
		} else {
			item, err = p.conditional()
		}
		if err != nil {
			return expr{}, err
		}
		comma := p.take(",") != ""
		if n == 0 && !comma {
			if starred {
				return expr{eval: missing("Starred").eval, kind: display}, nil
			}
			return item, nil
		}
		e = expr{eval: missing("Tuple").eval, kind: display}
		if next := p.peek(); !comma || next == "" || next == newline || next == ";" || next == "=" || next == ")" {
			return e, nil
		}
	}
}
