// Command untested says which tests cannot run on this machine, and what to install for them. `make test` ends with it:
// a skipped test is silent in go test's summary.
package main

import (
	"fmt"
	"io"
	"os"

	"comfygo/frontend"
	"comfygo/tests/browser/chromium"
)

func main() {
	report(os.Stdout, chromium.Find, func() frontend.Found { return frontend.Find(frontend.Places("", os.Getenv)) })
}

// report prints a paragraph for each thing that is missing, nothing when all is there.
func report(out io.Writer, browser func() (string, error), pages func() frontend.Found) {
	if _, err := browser(); err != nil {
		fmt.Fprintf(out, "\n*** NOT TESTED: the pages in a browser (our own, ComfyUI's frontend, the conversion of workflows against it).\n*** %v\n", err)
	}
	switch found := pages(); {
	case found.Root == "":
		fmt.Fprintln(out, "\n*** NOT TESTED: ComfyUI's own frontend against the server: it is not installed. `bin/comfygo frontend install` fetches it (42 MB).")
	case len(found.Templates) == 0:
		fmt.Fprintln(out, "\n*** NOT TESTED: the conversion of the workflow templates: they are not installed. `bin/comfygo frontend install` fetches them.")
	}
}
