// Package chromium finds what pages are tested with: the browser, and ComfyUI's front end. It knows nothing of tests.
package chromium

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// Env names the browser to use instead of the one in the PATH.
const Env = "COMFYGO_CHROMIUM"

// ErrMissing is wrapped by Find when no browser is installed.
var ErrMissing = errors.New("no Chromium is installed (Debian: apt install chromium; $" + Env + " names another one)")

// Find returns the path of the browser.
func Find() (string, error) {
	if p := os.Getenv(Env); p != "" {
		path, err := exec.LookPath(p)
		if err != nil {
			return "", fmt.Errorf("finding the browser given by %s: %w: %w", Env, ErrMissing, err)
		}
		return path, nil
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("looking for a browser: %w", ErrMissing)
}
