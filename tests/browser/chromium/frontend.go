package chromium

import (
	"os"
	"path/filepath"

	"comfygo/frontend"
)

// FrontendDir is where `make test` puts ComfyUI's front end for the tests, below the module's root: what the user has
// installed stays as it is.
const FrontendDir = "bin/frontend"

// Frontend finds the front end that tests use: the user's choice, else what `make test` has fetched, else what is installed.
func Frontend(root string) frontend.Found {
	if os.Getenv(frontend.EnvDir) == "" {
		if found := frontend.Find([]string{filepath.Join(root, filepath.FromSlash(FrontendDir))}); found.Root != "" {
			return found
		}
	}
	return frontend.Find(frontend.Places("", os.Getenv))
}
