// Command nodedocs writes docs/nodes.md, the table of ComfyUI's core node classes with what is built of them, and the part of
// README.md that says what works:
//
//	go run ./tools/nodedocs
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"comfygo/internal/readme"
	"comfygo/nodes"
	_ "comfygo/nodes/all"
	"comfygo/nodes/catalog"
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
	if err := readme.Update("README.md"); err != nil {
		fmt.Fprintln(os.Stderr, "nodedocs:", err)
		os.Exit(1)
	}
}
