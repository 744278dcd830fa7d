package folders_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// byPath are files that write by path, each to a place that no client's name is part of.
var byPath = map[string]string{
	"assets/database.go":     "the catalogue's own file",
	"nodes/python/encode.go": "tensors for the Python process, in the server's own folder",
	"server/disk/disk.go":    "paths below no base folder come from listings",
	"server/users/users.go":  "makes the user folder itself",
	"server/images/spill.go": "the system's temporary folder",
	"server/hub/journal.go":  "the events log",
}

// TestSaveSites holds all code that acts for clients to writing through the handles of this package.
func TestSaveSites(t *testing.T) {
	t.Parallel()
	refused := map[string]bool{"Create": true, "CreateTemp": true, "OpenFile": true, "WriteFile": true, "Rename": true, "Mkdir": true, "MkdirAll": true, "Link": true, "Symlink": true}
	files := 0
	for _, root := range []string{"../nodes", "../server", "../assets", "../executor"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			files++
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			name := filepath.ToSlash(strings.TrimPrefix(path, ".."+string(filepath.Separator)))
			ast.Inspect(file, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok && byPath[name] == "" {
					if pkg, ok := s.X.(*ast.Ident); ok && pkg.Name == "os" && refused[s.Sel.Name] {
						t.Errorf("%s calls os.%s: write through folders.Dir (SavePath, MakeDir, OpenFor), or name the file here with the reason", name, s.Sel.Name)
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 100 {
		t.Errorf("only %d files were read", files)
	}
}
