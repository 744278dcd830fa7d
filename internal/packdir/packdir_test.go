package packdir_test

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/internal/packdir"
)

// write fills a folder with files.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func names(t *testing.T, d *packdir.Dir) (out []string) {
	t.Helper()
	list, err := d.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list {
		state := "-"
		if p.Enabled {
			state = "+"
		}
		out = append(out, state+p.Name)
	}
	return out
}

// danger would leave a trace if it were run.
const danger = "open(__file__ + '.ran', 'w')\n"

func TestPacks(t *testing.T) {
	t.Parallel()
	root, source := t.TempDir(), filepath.Join(t.TempDir(), "one")
	write(t, source, map[string]string{"__init__.py": danger, "install.py": danger, "pyproject.toml": "[tool.x]\nversion = \"9\"\n[project]\nname='one'\nversion = \"1.2\"\n"})
	write(t, root, map[string]string{"two.disabled/__init__.py": danger, "no-pack/readme": "", ".hidden/__init__.py": "", "__pycache__/__init__.py": "", "alone.py": danger})
	d := &packdir.Dir{Roots: []string{root, filepath.Join(root, "missing")}, Output: io.Discard}
	p, err := d.Install(t.Context(), source, "", true)
	if err != nil {
		t.Fatal(err)
	}
	if p.Name != "one" || p.Version != "1.2" || !p.Enabled || !p.Installer || p.Requirements {
		t.Errorf("the pack is %+v", p)
	}
	if got, want := names(t, d), []string{"+alone.py", "+one", "-two"}; !slices.Equal(got, want) {
		t.Errorf("the packs are %v, want %v", got, want)
	}
	for _, step := range []struct {
		name string
		on   bool
	}{{"two", true}, {"two", true}, {"one", false}, {"alone.py", false}} {
		if err := d.Enable(step.name, step.on); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := names(t, d), []string{"-alone.py", "-one", "+two"}; !slices.Equal(got, want) {
		t.Errorf("after switching the packs are %v, want %v", got, want)
	}
	if left, _ := filepath.Glob(filepath.Join(root, "*", "*.ran")); len(left) > 0 {
		t.Errorf("code of packs was run: %v", left)
	}
	write(t, root, map[string]string{"one/__init__.py": ""})
	empty := filepath.Join(t.TempDir(), "empty")
	write(t, empty, map[string]string{"readme": ""})
	for want, f := range map[string]func() error{
		"there already; packs update one":    func() error { _, err := d.Install(t.Context(), source, "", true); return err },
		"is there already":                   func() error { return d.Enable("one", false) },
		"neither a folder nor a git address": func() error { _, err := d.Install(t.Context(), "ext::sh -c id", "", true); return err },
		"does not end in a name":             func() error { _, err := d.Install(t.Context(), "https://example.org/.git", "", true); return err },
		"is no node pack":                    func() error { _, err := d.Install(t.Context(), empty, "", true); return err },
		"--ref is for git addresses":         func() error { _, err := d.Install(t.Context(), source, "v1", true); return err },
		"there is no node pack":              func() error { return d.Enable("nothing", true) },
		"git has not cloned it":              func() error { _, err := d.Update(t.Context(), "two", true); return err },
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want one with %q", err, want)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(root, ".comfygo-install-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestGit(t *testing.T) {
	t.Parallel()
	source := filepath.Join(t.TempDir(), "cloned.git")
	git := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", source, "-c", "user.name=t", "-c", "user.email=t@example.org"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	write(t, source, map[string]string{"__init__.py": ""})
	git("init", "-q")
	git("add", ".")
	git("commit", "-qm", "one")
	d := &packdir.Dir{Roots: []string{t.TempDir()}, Output: io.Discard}
	p, err := d.Install(t.Context(), "file://"+source, "", true)
	if err != nil {
		t.Fatal(err)
	}
	if p.Name != "cloned" || len(p.Commit) != 40 || p.Source != "file://"+source {
		t.Errorf("the pack is %+v", p)
	}
	write(t, source, map[string]string{"new.py": ""})
	git("add", ".")
	git("commit", "-qm", "two")
	now, err := d.Update(t.Context(), "cloned", true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(now.Path, "new.py")); err != nil || now.Commit == p.Commit {
		t.Errorf("the pack is not up to date: %+v, %v", now, err)
	}
	var told bytes.Buffer
	d.Output = &told
	if _, err := d.Install(t.Context(), "file://"+source+"-missing", "", true); err == nil || !strings.Contains(err.Error(), "git failed") || told.Len() == 0 {
		t.Errorf("what is not there is answered with %v, and git says %q", err, told.String())
	}
}

// wheel is a package of one module, as pip installs it without a network.
func wheel(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range map[string]string{
		"comfygo_tiny.py":                     "VALUE = 42\n",
		"comfygo_tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: comfygo-tiny\nVersion: 1.0\n",
		"comfygo_tiny-1.0.dist-info/WHEEL":    "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
		"comfygo_tiny-1.0.dist-info/RECORD":   "",
	} {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestRequirements(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal(err)
	}
	const file = "comfygo_tiny-1.0-py3-none-any.whl"
	root, sources := t.TempDir(), t.TempDir()
	var told bytes.Buffer
	d := &packdir.Dir{Roots: []string{root}, Venv: filepath.Join(root, "venv"), Python: python, Output: &told}
	write(t, sources, map[string]string{
		"good/__init__.py": "", "good/requirements.txt": "./" + file + "\n", "good/" + file: wheel(t),
		"bad/__init__.py": "", "bad/requirements.txt": "./missing-1.0-py3-none-any.whl\n",
	})
	if _, err := d.Install(t.Context(), filepath.Join(sources, "good"), "", true); err != nil {
		t.Fatalf("%v\n%s", err, told.String())
	}
	out, err := exec.CommandContext(t.Context(), packdir.Interpreter(d.Venv), "-c", "import comfygo_tiny; print(comfygo_tiny.VALUE)").CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "42" {
		t.Errorf("the environment says %s, %v", out, err)
	}
	if _, err := d.Install(t.Context(), filepath.Join(sources, "bad"), "", true); err == nil || !strings.Contains(err.Error(), "pip failed") {
		t.Errorf("a requirement that is not there is answered with %v", err)
	}
	if _, err := os.Stat(filepath.Join(root, "bad")); err == nil {
		t.Error("the pack was installed without its requirement")
	}
	if _, err := d.Install(t.Context(), filepath.Join(sources, "bad"), "", false); err != nil {
		t.Errorf("without requirements: %v", err)
	}
	d.Python, d.Venv = "", filepath.Join(root, "none")
	if _, err := d.Update(t.Context(), "bad", true); err == nil {
		t.Error("a pack that was copied is updated")
	}
	write(t, sources, map[string]string{"more/__init__.py": "", "more/requirements.txt": "x\n"})
	if _, err := d.Install(t.Context(), filepath.Join(sources, "more"), "", true); err == nil || !strings.Contains(err.Error(), "no Python interpreter") {
		t.Errorf("without an interpreter: %v", err)
	}
}
