package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strings"
)

// nameWord matches the words of an identifier: those of "savedImages" are saved and Images.
var nameWord = regexp.MustCompile(`[A-Z]?[a-z]+|[A-Z]+`)

// checkNames finds the words of the list in the names that a Go file declares. Names are renamed by a person: -fix leaves them.
func (w *words) checkNames(path, text string) []finding {
	if len(w.names) == 0 {
		return nil
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "", text, parser.SkipObjectResolution)
	if err != nil {
		return nil // the compiler says so
	}
	var found []finding
	for _, id := range declared(file) {
		if w.allowedNames[id.Name] {
			continue
		}
		for _, part := range nameWord.FindAllString(id.Name, -1) {
			if instead, ok := w.names[strings.ToLower(part)]; ok {
				found = append(found, finding{path, files.Position(id.Pos()).Line, id.Name, instead})
				break
			}
		}
	}
	return found
}

// declared returns the identifiers that a file declares: functions, types, constants, variables, fields, parameters.
func declared(file *ast.File) []*ast.Ident {
	var ids []*ast.Ident
	add := func(names ...ast.Expr) {
		for _, n := range names {
			if id, ok := n.(*ast.Ident); ok {
				ids = append(ids, id)
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			add(n.Name)
		case *ast.TypeSpec:
			add(n.Name)
		case *ast.ValueSpec:
			ids = append(ids, n.Names...)
		case *ast.Field:
			ids = append(ids, n.Names...)
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				add(n.Lhs...)
			}
		case *ast.RangeStmt:
			if n.Tok == token.DEFINE {
				add(n.Key, n.Value)
			}
		}
		return true
	})
	return ids
}
