package server_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// facts are what a handler's code says of its answers: which statuses it can give, which parameters it reads and which
// error codes it knows. They are read from the source, following calls by name, so that nobody has to keep them by hand.
type facts struct {
	query, header, codes map[string]bool
	statuses             map[int]bool
}

// source is the server's code.
type source struct {
	funcs   map[string][]*ast.FuncDecl
	consts  map[string]string // constant texts
	codes   map[string]string // those of type Code
	routes  []tableRow
	statusN map[string]int
}

// tableRow is a line of a table of routes.
type tableRow struct{ method, path, handler string }

func readSource(t *testing.T, dirs ...string) *source {
	t.Helper()
	s := &source{funcs: map[string][]*ast.FuncDecl{}, consts: map[string]string{}, codes: map[string]string{}, statusN: map[string]int{}}
	for code := 100; code < 600; code++ {
		if text := http.StatusText(code); text != "" {
			s.statusN["Status"+strings.NewReplacer(" ", "", "-", "", "'", "").Replace(text)] = code
		}
	}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, text, 0)
			if err != nil {
				t.Fatal(err)
			}
			s.file(file)
		}
	}
	return s
}

func (s *source) file(f *ast.File) {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			s.funcs[d.Name.Name] = append(s.funcs[d.Name.Name], d)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				v, ok := spec.(*ast.ValueSpec)
				if !ok {
					continue
				}
				for i, name := range v.Names {
					if i < len(v.Values) {
						if text, ok := literal(v.Values[i]); ok {
							s.consts[name.Name] = text
							if typ, ok := v.Type.(*ast.Ident); ok && typ.Name == "Code" {
								s.codes[name.Name] = text
							}
						}
					}
				}
			}
		}
	}
}

func literal(e ast.Expr) (string, bool) {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(l.Value)
	return text, err == nil
}

// tables reads all tables of routes: rows of a method, a path and a handler.
func (s *source) tables() []tableRow {
	if s.routes != nil {
		return s.routes
	}
	methods := map[string]string{"get": "GET", "post": "POST", "put": "PUT", "patch": "PATCH", "remove": "DELETE"}
	for _, list := range s.funcs {
		for _, f := range list {
			if f.Body == nil {
				continue
			}
			ast.Inspect(f.Body, func(n ast.Node) bool {
				c, ok := n.(*ast.CompositeLit)
				if !ok || len(c.Elts) < 3 {
					return true
				}
				handler, ok := c.Elts[2].(*ast.SelectorExpr)
				if !ok {
					return true
				}
				var method string
				switch m := c.Elts[0].(type) {
				case *ast.Ident:
					method = methods[m.Name]
				case *ast.SelectorExpr:
					method = strings.ToUpper(strings.TrimPrefix(m.Sel.Name, "Method"))
				}
				path, ok := s.text(c.Elts[1])
				if method != "" && ok {
					s.routes = append(s.routes, tableRow{method, path, handler.Sel.Name})
				}
				return true
			})
		}
	}
	return s.routes
}

// text is the value of a constant expression of texts.
func (s *source) text(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		return literal(e)
	case *ast.Ident:
		v, ok := s.consts[e.Name]
		return v, ok
	case *ast.SelectorExpr:
		v, ok := s.consts[e.Sel.Name]
		return v, ok
	case *ast.BinaryExpr:
		x, okX := s.text(e.X)
		y, okY := s.text(e.Y)
		return x + y, okX && okY
	}
	return "", false
}

// readers are the functions that read a query parameter, with the place of its name among their arguments.
var readers = map[string]int{"query": 1, "intQuery": 1, "QueryParam": 0, "queryNumber": 1}

// of are the facts of a handler.
func (s *source) of(handler string) facts {
	f := facts{query: map[string]bool{}, header: map[string]bool{}, codes: map[string]bool{}, statuses: map[int]bool{}}
	seen := map[*ast.FuncDecl]bool{}
	var walk func(d *ast.FuncDecl)
	walk = func(d *ast.FuncDecl) {
		if seen[d] || d.Body == nil {
			return
		}
		seen[d] = true
		ast.Inspect(d.Body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BinaryExpr:
				if n.Op == token.EQL || n.Op == token.NEQ { // what is compared is not answered
					return false
				}
			case *ast.SelectorExpr:
				if code, ok := s.statusN[n.Sel.Name]; ok {
					f.statuses[code] = true
				}
				if x, ok := n.X.(*ast.Ident); ok && (x.Name == "s" || x.Name == "a") { // also when it is only named: somebody calls it
					for _, next := range s.callees(n) {
						walk(next)
					}
				}
			case *ast.Ident:
				if text, ok := s.codes[n.Name]; ok {
					f.codes[text] = true
				}
			case *ast.CallExpr:
				s.call(n, &f, walk)
			}
			return true
		})
	}
	for _, d := range s.funcs[handler] {
		walk(d)
	}
	return f
}

// stops are functions that many handlers go through and whose answers are the server's, not theirs.
var stops = []string{"handleError", "Error", "run", "begin", "static", "ownFile", "unrouted", "assetProblem", "assetError"}

func (s *source) callees(n *ast.SelectorExpr) []*ast.FuncDecl {
	x, ok := n.X.(*ast.Ident)
	list := slices.DeleteFunc(slices.Clone(s.funcs[n.Sel.Name]), func(d *ast.FuncDecl) bool { return d.Recv == nil })
	if !ok || slices.Contains(stops, n.Sel.Name) || len(list) > 1 && x.Name != "s" && x.Name != "a" {
		return nil
	}
	if x.Name != "s" && x.Name != "a" && x.Name != "f" && x.Name != "u" && x.Name != "r" && x.Name != "n" && x.Name != "q" {
		return nil
	}
	return list
}

func (s *source) call(n *ast.CallExpr, f *facts, walk func(*ast.FuncDecl)) {
	name := ""
	switch fun := n.Fun.(type) {
	case *ast.Ident:
		name = fun.Name
		if !slices.Contains(stops, name) {
			for _, d := range s.funcs[name] {
				if d.Recv == nil {
					walk(d)
				}
			}
		}
	case *ast.SelectorExpr:
		name = fun.Sel.Name
		for _, d := range s.callees(fun) {
			walk(d)
		}
	}
	arg := func(i int) (string, bool) {
		if i >= len(n.Args) {
			return "", false
		}
		return s.text(n.Args[i])
	}
	if at, ok := readers[name]; ok {
		if text, ok := arg(at); ok {
			f.query[text] = true
		}
	}
	switch name {
	case "assetError":
		if text, ok := arg(2); ok {
			f.codes[text] = true
		}
	case "refuse":
		if text, ok := arg(1); ok {
			f.codes[text] = true
			f.statuses[400] = true
		}
	case "trouble", "complain":
		if name == "trouble" {
			f.statuses[400] = true
			f.codes["bad_request"] = true
		}
	case "Refuse":
		if text, ok := arg(2); ok {
			f.codes[text] = true
		}
	case "Get":
		if sel, ok := n.Fun.(*ast.SelectorExpr); ok {
			if in, ok := sel.X.(*ast.SelectorExpr); ok && in.Sel.Name == "Header" {
				if text, ok := arg(0); ok {
					f.header[text] = true
				}
			}
		}
	}
}

func keys[K int | string](m map[K]bool) []K {
	var out []K
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
