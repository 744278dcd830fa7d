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

// TestPythonClasses takes classes from a checkout in place of comfygo's own.
func TestPythonClasses(t *testing.T) {
	t.Parallel()
	checkout, python := t.TempDir(), filepath.Join(t.TempDir(), "python")
	for _, name := range []string{"nodes.py", "execution.py", "folder_paths.py", filepath.Join("comfy", "model_management.py")} {
		path := filepath.Join(checkout, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(python, []byte("#!/bin/sh\n"), 0o700); err != nil { //nolint:gosec // it stands for a program
		t.Fatal(err)
	}
	dirs, err := folders.New(folders.Config{Base: t.TempDir(), Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	base := cli.Config{Python: python, ComfyUI: checkout, PythonClasses: []string{"ImageInvert"}}
	for name, c := range map[string]struct {
		change func(*cli.Config)
		fails  string
	}{
		"a class":          {func(*cli.Config) {}, ""},
		"no classes":       {func(c *cli.Config) { c.PythonClasses = nil }, ""},
		"an unknown class": {func(c *cli.Config) { c.PythonClasses = []string{"ImageInvert", "ImageInverts"} }, "ImageInverts: comfygo has no class"},
		"no checkout":      {func(c *cli.Config) { c.ComfyUI = "" }, "--comfyui DIR"},
		"no core classes":  {func(c *cli.Config) { c.NoCore = true }, "--no-python-core"},
		"no Python":        {func(c *cli.Config) { c.Python = noPython }, "--python none"},
		"no interpreter":   {func(c *cli.Config) { c.Python = "comfygo-is-no-program" }, "no Python interpreter"},
	} {
		cfg := base
		c.change(&cfg)
		registry, err := nativeClasses(cfg, dirs)
		if c.fails != "" {
			if err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%s: %v, want an error with %q", name, err, c.fails)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_, inverts := registry.Get("ImageInvert")
		_, blends := registry.Get("ImageBlend")
		if inverts != (len(cfg.PythonClasses) == 0) || !blends {
			t.Errorf("%s: native are ImageInvert %v, ImageBlend %v", name, inverts, blends)
		}
		says := checkPython(cfg, dirs)
		if told := strings.Contains(says.text, "in place of comfygo's own: ImageInvert"); says.verdict != good || told == inverts || !strings.Contains(says.text, "partner nodes") {
			t.Errorf("%s: doctor says %+v", name, says)
		}
	}
}
