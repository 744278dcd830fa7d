package chromium

import (
	"os"
	"path/filepath"

	"comfygo/frontend"
)

// FrontendDir is the folder in which `make test` puts ComfyUI's front end for the tests, below the module's root: the user's
// installation is not changed.
const FrontendDir = "bin/frontend"

// Frontend finds the front end that tests use: the user's choice, else the one that `make test` has fetched, else the
// installed one.
func Frontend(root string) frontend.Found {
	if os.Getenv(frontend.EnvDir) == "" {
		if found := frontend.Find([]string{filepath.Join(root, filepath.FromSlash(FrontendDir))}); found.Root != "" {
			return found
		}
	}
	return frontend.Find(frontend.Places("", os.Getenv))
}
