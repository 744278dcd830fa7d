package app_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/app"
	"comfygo/cli"
)

func TestFrontendAction(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := app.Command{Stdout: &out, Stderr: &out}.Frontend(t.Context(), cli.Config{}, cli.FrontendOptions{Action: "remove"})
	var exit *cli.ExitError
	if !errors.As(err, &exit) || exit.Code != cli.CodeUsage || !strings.Contains(err.Error(), "install") {
		t.Errorf("got %v", err)
	}
}

// TestPages checks which front end is served.
func TestPages(t *testing.T) {
	t.Parallel()
	dir, release := t.TempDir(), t.TempDir()
	for _, name := range []string{
		"comfyui_frontend_package/static/index.html", "comfyui_frontend_package-1.49.6.dist-info/METADATA",
		"comfyui_embedded_docs/docs/KSampler/en.md", "comfyui_embedded_docs-0.5.10.dist-info/METADATA",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	kept := filepath.Join(release, "web_custom_versions", "o_r", "1.2.3")
	if err := os.MkdirAll(kept, 0o700); err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(dir, "comfyui_frontend_package", "static")
	for _, test := range []struct {
		name string
		cfg  cli.Config
		root string
	}{
		{"packages", cli.Config{FrontEndPackages: dir}, own},
		{"none", cli.Config{FrontEndPackages: "none"}, ""},
		{"a folder", cli.Config{FrontEndPackages: dir, FrontEndRoot: release}, release},
		{"a release", cli.Config{FrontEndPackages: dir, FrontEndVersion: "o/r@v1.2.3"}, kept},
		{"the default release", cli.Config{FrontEndPackages: dir, FrontEndVersion: "comfyanonymous/ComfyUI@latest"}, own},
		{"a bad release", cli.Config{FrontEndPackages: dir, FrontEndVersion: "nonsense"}, own},
	} {
		var log bytes.Buffer
		found := app.FindPages(test.cfg, release, &log)
		if found.Root != test.root {
			t.Errorf("%s: the front end is at %q, want %q", test.name, found.Root, test.root)
		}
		if bad := test.name == "a bad release"; bad != strings.Contains(log.String(), "Failed to initialize frontend") {
			t.Errorf("%s: the log has %q", test.name, log.String())
		}
		if wants := test.name != "none"; wants != (found.Docs != "") {
			t.Errorf("%s: docs at %q", test.name, found.Docs)
		}
	}
}
