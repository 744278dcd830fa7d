package all_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/tests/golden"
	"comfygo/tests/nodecalls"
)

// TestClassesWithoutModelHaveGoldens counts the recorded calls of each class that needs no model: calls and saved files that upstream's class
// gave, in the packages' testdata. docs/node-calls.md lists them.
func TestClassesWithoutModelHaveGoldens(t *testing.T) {
	t.Parallel()
	root, err := golden.Root()
	if err != nil {
		t.Fatal(err)
	}
	recorded, err := nodecalls.Count(filepath.Join(root, "nodes"))
	if err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadFile("testdata/without_model.txt")
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Split(strings.TrimSpace(string(list)), "\n")
	if len(names) != 198 {
		t.Errorf("%d classes are listed", len(names))
	}
	for _, name := range names {
		want := 20
		if name == "LotusConditioning" {
			want = 2 // it has no inputs
		}
		r := recorded[name]
		if r == nil {
			t.Errorf("%s has no recorded calls", name)
		} else if r.Calls < want || r.Calls-r.Errors < 2 {
			t.Errorf("%s has %d recorded calls, %d of them errors; want %d at least, 2 of them results", name, r.Calls, r.Errors, want)
		}
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "node-calls.md"))
	if err != nil {
		t.Fatal(err)
	}
	if string(page) != nodecalls.Page(recorded, names) {
		t.Error("docs/node-calls.md is not of these recordings: go run ./tools/nodedocs")
	}
}
