package app

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/cli"
	"comfygo/folders"
)

func TestWantedHosts(t *testing.T) {
	t.Parallel()
	two := []string{"a", "b"}
	for name, c := range map[string]struct {
		plan    pythonPlan
		isolate bool
		want    []string
	}{
		"nothing":              {pythonPlan{}, false, nil},
		"nothing, isolated":    {pythonPlan{}, true, nil},
		"packs":                {pythonPlan{packs: two}, false, []string{""}},
		"packs apart":          {pythonPlan{packs: two}, true, two},
		"packs and a checkout": {pythonPlan{packs: two, core: true, checkout: "c"}, true, []string{"", "a", "b"}},
		"a checkout":           {pythonPlan{core: true, checkout: "c"}, true, []string{""}},
	} {
		if got := wantedHosts(c.plan, c.isolate); !slices.Equal(got, c.want) {
			t.Errorf("%s: hosts %q, want %q", name, got, c.want)
		}
	}
}

// TestPythonChoice looks for the interpreter: the flag's, that of the packs' environment, another one.
func TestPythonChoice(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	touch := func(parts ...string) string {
		path := filepath.Join(append([]string{base}, parts...)...)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o700); err != nil { //nolint:gosec // it stands for a program
			t.Fatal(err)
		}
		return path
	}
	touch("custom_nodes", "a", "__init__.py")
	plain, named := touch("venv", "bin", "python"), touch("named")
	dirs, err := folders.New(folders.Config{Base: base, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	choose := func(cfg cli.Config) string {
		t.Helper()
		plan, err := planPython(cfg, dirs)
		if err != nil {
			t.Fatal(err)
		}
		return plan.interpreter
	}
	if got := choose(cli.Config{}); got != plain {
		t.Errorf("the interpreter is %s, want %s", got, plain)
	}
	packs := touch(packsVenv, "bin", "python")
	if got := choose(cli.Config{}); got != packs {
		t.Errorf("with an environment of packs the interpreter is %s, want %s", got, packs)
	}
	if got := choose(cli.Config{Python: named}); got != named {
		t.Errorf("with --python the interpreter is %s, want %s", got, named)
	}
	if f := checkPython(cli.Config{HostUser: "comfygo-is-no-user"}, dirs); f.verdict == good || !strings.Contains(f.text, "no such user") {
		t.Errorf("doctor says %+v of a user that is not there", f)
	}
}
