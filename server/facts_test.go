package server_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// facts are what a handler's code says of its answers: which statuses it can give, which parameters it reads and which
// error codes it knows. They are read from the source, following calls, so that the list is not kept by hand.
type facts struct {
	query, header, codes map[string]bool
	statuses             map[int]bool
}

// source is the server's code: functions by folder and name, methods by folder, type and name.
type source struct {
	funcs   map[string]*ast.FuncDecl
	methods map[string][]*ast.FuncDecl // by folder and name, of whatever type
	fields  map[string]string          // the folder and type of a struct's field: "jobs.Service.Reply" is "reply.Service"
	where   map[*ast.FuncDecl]*place
	consts  map[string]string // constant texts
	codes   map[string]string // those of type Code, by folder and name
	statusN map[string]int
}

// place is the file of a function: its folder and the folders below server that it imports, by name.
type place struct {
	dir     string
	imports map[string]string
}

// tableRow is a line of a table of routes.
type tableRow struct {
	method, path string
	handler      *ast.FuncDecl
}

func readSource(t *testing.T) *source {
	t.Helper()
	s := &source{
		funcs: map[string]*ast.FuncDecl{}, methods: map[string][]*ast.FuncDecl{}, fields: map[string]string{}, where: map[*ast.FuncDecl]*place{},
		consts: map[string]string{}, codes: map[string]string{}, statusN: map[string]int{},
	}
	for code := 100; code < 600; code++ {
		if text := http.StatusText(code); text != "" {
			s.statusN["Status"+strings.NewReplacer(" ", "", "-", "", "'", "").Replace(text)] = code
		}
	}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err == nil {
			s.file(filepath.ToSlash(filepath.Dir(name)), file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *source) file(dir string, f *ast.File) {
	at := &place{dir, map[string]string{}}
	for _, i := range f.Imports {
		full, _ := strconv.Unquote(i.Path.Value)
		below, ok := strings.CutPrefix(full, "comfygo/server/")
		if !ok {
			continue
		}
		name := path.Base(below)
		if i.Name != nil {
			name = i.Name.Name
		}
		at.imports[name] = below
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			s.where[d] = at
			if d.Recv == nil {
				s.funcs[dir+"."+d.Name.Name] = d
				continue
			}
			s.funcs[dir+"."+bareName(d.Recv.List[0].Type)+"."+d.Name.Name] = d
			s.methods[dir+"."+d.Name.Name] = append(s.methods[dir+"."+d.Name.Name], d)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				s.spec(at, spec)
			}
		}
	}
}

func (s *source) spec(at *place, spec ast.Spec) {
	switch v := spec.(type) {
	case *ast.TypeSpec:
		fields, ok := v.Type.(*ast.StructType)
		if !ok {
			return
		}
		for _, f := range fields.Fields.List {
			of := typeOf(at, f.Type)
			names := f.Names
			if names == nil { // embedded: its fields are the struct's
				names = []*ast.Ident{{Name: bareName(f.Type)}}
			}
			for _, name := range names {
				s.fields[at.dir+"."+v.Name.Name+"."+name.Name] = of
			}
		}
	case *ast.ValueSpec:
		for i, name := range v.Names {
			if i >= len(v.Values) {
				continue
			}
			if text, ok := literal(v.Values[i]); ok {
				s.consts[name.Name] = text
				if typ, ok := v.Type.(*ast.Ident); ok && typ.Name == "Code" {
					s.codes[at.dir+"."+name.Name] = text
				}
			}
		}
	}
}

// bareName is the name of a type without star and package.
func bareName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return bareName(e.X)
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// typeOf is the folder and name of a type of the server, "" for others.
func typeOf(at *place, e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return typeOf(at, e.X)
	case *ast.SelectorExpr:
		if x, ok := e.X.(*ast.Ident); ok && at.imports[x.Name] != "" {
			return at.imports[x.Name] + "." + e.Sel.Name
		}
	case *ast.Ident:
		return at.dir + "." + e.Name
	}
	return ""
}

func literal(e ast.Expr) (string, bool) {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(l.Value)
	return text, err == nil
}

// field is the type of a field of a type, also of one that it embeds.
func (s *source) field(of, name string) string {
	if t := s.fields[of+"."+name]; t != "" {
		return t
	}
	if of == "..Server" {
		return s.fields["..handlers."+name]
	}
	return ""
}

// receiver is the name and type of a method's receiver.
func (s *source) receiver(d *ast.FuncDecl) (name, typ string) {
	if d.Recv == nil || len(d.Recv.List[0].Names) == 0 {
		return "", ""
	}
	return d.Recv.List[0].Names[0].Name, s.where[d].dir + "." + bareName(d.Recv.List[0].Type)
}

// tables reads all tables of routes: rows of a method, a path and a handler.
func (s *source) tables() []tableRow {
	var rows []tableRow
	methods := map[string]string{"get": "GET", "post": "POST", "put": "PUT", "patch": "PATCH", "remove": "DELETE"}
	for d := range s.where {
		if d.Body == nil {
			continue
		}
		ast.Inspect(d.Body, func(n ast.Node) bool {
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
			if list := s.callees(d, handler); method != "" && ok && len(list) == 1 {
				rows = append(rows, tableRow{method, path, list[0]})
			}
			return true
		})
	}
	return rows
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
var readers = map[string]int{"query": 1, "Query": 1, "IntQuery": 1, "QueryParam": 0, "queryNumber": 1}

// of are the facts of a handler.
func (s *source) of(handler *ast.FuncDecl) facts {
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
				for _, next := range s.callees(d, n) { // also when it is only named: it may be called
					walk(next)
				}
			case *ast.Ident:
				if text, ok := s.codes[s.where[d].dir+"."+n.Name]; ok {
					f.codes[text] = true
				}
			case *ast.CallExpr:
				if fun, ok := n.Fun.(*ast.Ident); ok && !slices.Contains(stops, fun.Name) {
					if next := s.funcs[s.where[d].dir+"."+fun.Name]; next != nil {
						walk(next)
					}
				}
				s.call(n, &f)
			}
			return true
		})
	}
	walk(handler)
	return f
}

// stops are functions that many handlers share and whose answers are the server's own.
var stops = []string{"handleError", "Error", "run", "begin", "static", "ownFile", "Unrouted", "assetProblem", "assetError"}

// callees are the functions of the server that a selector in d may mean.
func (s *source) callees(d *ast.FuncDecl, n *ast.SelectorExpr) []*ast.FuncDecl {
	if slices.Contains(stops, n.Sel.Name) {
		return nil
	}
	at := s.where[d]
	self, own := s.receiver(d)
	one := func(key string) []*ast.FuncDecl {
		if f := s.funcs[key]; f != nil {
			return []*ast.FuncDecl{f}
		}
		return nil
	}
	switch x := n.X.(type) {
	case *ast.SelectorExpr: // s.Reply.JSON
		if in, ok := x.X.(*ast.Ident); ok && in.Name == self {
			if typ := s.field(own, x.Sel.Name); typ != "" {
				return one(typ + "." + n.Sel.Name)
			}
		}
	case *ast.Ident:
		switch {
		case x.Name == self:
			return one(own + "." + n.Sel.Name)
		case at.imports[x.Name] != "":
			return one(at.imports[x.Name] + "." + n.Sel.Name)
		}
	}
	if list := s.methods[at.dir+"."+n.Sel.Name]; len(list) == 1 && !ast.IsExported(n.Sel.Name) { // of a value that the function has made
		return list
	}
	return nil
}

func (s *source) call(n *ast.CallExpr, f *facts) {
	name := bareName(n.Fun)
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
	case "Trouble":
		f.statuses[400] = true
		f.codes["bad_request"] = true
	case "Refuse":
		for i := range 3 { // reply.Refuse and Service.Refuse name the code second, middleware.Refuse third
			if text, ok := arg(i); ok {
				f.codes[text] = true
				if i == 1 && bareName(n.Args[0]) == "c" {
					f.statuses[400] = true
				}
				break
			}
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
