package server_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// TestMethodsPerType keeps handlers from growing back into one type that reaches everything: at most 40 methods each.
func TestMethodsPerType(t *testing.T) {
	t.Parallel()
	const most = 40
	count := map[string]int{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Recv == nil {
				continue
			}
			typ := f.Recv.List[0].Type
			if star, ok := typ.(*ast.StarExpr); ok {
				typ = star.X
			}
			if name, ok := typ.(*ast.Ident); ok {
				count[filepath.ToSlash(filepath.Dir(path))+": "+name.Name]++
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if count[".: Server"] == 0 {
		t.Fatal("the methods of Server were not counted")
	}
	for typ, n := range count {
		if n > most {
			t.Errorf("%s has %d methods, at most %d are allowed: give a group of them a type with the fields it needs", typ, n, most)
		}
	}
}
