package all_test

import (
	"os"
	"path/filepath"
	"testing"

	"comfygo/nodes"
	"comfygo/nodes/catalog"
	"comfygo/tests/golden"
)

// TestNodesPage holds docs/nodes.md to the classes that are built, and what classes wait for to those that are not.
func TestNodesPage(t *testing.T) {
	t.Parallel()
	root, err := golden.Root()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "nodes.md"))
	if err != nil {
		t.Fatal(err)
	}
	built := func(class string) bool {
		_, ok := nodes.Default().Get(class)
		return ok
	}
	if string(page) != catalog.Page(built) {
		t.Error("docs/nodes.md is not of these classes: go run ./tools/nodedocs")
	}
	for _, c := range catalog.Classes() {
		if !built(c.Name) && c.Uses == "" {
			t.Errorf("%s is not built, and nodes/catalog/classes.txt does not say what it uses", c.Name)
		}
	}
}
