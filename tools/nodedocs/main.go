// Command nodedocs writes docs/nodes.md, the table of ComfyUI's core node classes with what is built of them, docs/node-calls.md, the
// recorded calls of classes that need no model, and the part of README.md that says what works:
//
//	go run ./tools/nodedocs
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"comfygo/internal/readme"
	"comfygo/nodes"
	_ "comfygo/nodes/all"
	"comfygo/nodes/catalog"
	"comfygo/tests/nodecalls"
)

func main() {
	page := catalog.Page(func(class string) bool {
		_, ok := nodes.Default().Get(class)
		return ok
	})
	if err := os.WriteFile(filepath.Join("docs", "nodes.md"), []byte(page), 0o644); err != nil { //nolint:gosec // a page for everyone
		fmt.Fprintln(os.Stderr, "nodedocs: writing the table of nodes:", err)
		os.Exit(1)
	}
	for _, write := range []func() error{writeCalls, func() error { return readme.Update("README.md") }} {
		if err := write(); err != nil {
			fmt.Fprintln(os.Stderr, "nodedocs:", err)
			os.Exit(1)
		}
	}
}

// writeCalls writes docs/node-calls.md.
func writeCalls() error {
	recorded, err := nodecalls.Count("nodes")
	if err != nil {
		return err
	}
	list, err := os.ReadFile(filepath.Join("nodes", "all", "testdata", "without_model.txt"))
	if err != nil {
		return fmt.Errorf("reading the list of classes: %w", err)
	}
	page := nodecalls.Page(recorded, strings.Split(strings.TrimSpace(string(list)), "\n"))
	if err := os.WriteFile(filepath.Join("docs", "node-calls.md"), []byte(page), 0o644); err != nil { //nolint:gosec // a page for everyone
		return fmt.Errorf("writing the table of calls: %w", err)
	}
	return nil
}
