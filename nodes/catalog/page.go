package catalog

import (
	"fmt"
	"strings"
)

// Page returns docs/nodes.md: every class of the core with its module and whether it is built.
func Page(built func(class string) bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Node classes\n\nEvery core node class of ComfyUI %s (%d, partner nodes that call web services left out), in the order of `/object_info`. "+
		"*native*: built into comfygo, with the same inputs and outputs. *planned*: not built yet, with what the class waits for; a workflow that has it gets an error that says "+
		"so. Custom node packs are not listed.\n\nThis page is generated: `go run ./tools/nodedocs` writes it after a class was added, and a test compares it.\n",
		Version, len(Classes()))
	module := ""
	for _, c := range Classes() {
		if c.Module != module {
			module = c.Module
			fmt.Fprintf(&b, "\n## %s\n\n| class | status |\n|---|---|\n", module)
		}
		status := "native"
		if !built(c.Name) {
			status = "planned: " + c.Uses
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", c.Name, status)
	}
	return b.String()
}
