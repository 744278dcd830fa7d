package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestNoticesAreCurrent compares the modules of the program with those that THIRD_PARTY_NOTICES.md names.
func TestNoticesAreCurrent(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	want := new(bytes.Buffer)
	if err := printNotices(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("THIRD_PARTY_NOTICES.md")
	if err != nil {
		t.Fatal(err)
	}
	table := func(text string) []string {
		return strings.Split(strings.SplitN(text, "\n## Licence texts", 2)[0], "\n")
	}
	a, b := table(string(got)), table(want.String())
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			t.Fatalf("line %d of THIRD_PARTY_NOTICES.md is out of date: run `go run ./tools/release -notices >THIRD_PARTY_NOTICES.md`", i+1)
		}
	}
	for _, e := range embedded { // a folder that a note names exists
		dir, _, _ := strings.Cut(e.note, ";")
		if strings.Contains(dir, "/") && !strings.Contains(dir, " ") {
			if _, err := os.Stat(dir); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestArchives(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program := filepath.Join(dir, "comfygo")
	if err := os.WriteFile(program, []byte("program"), 0o600); err != nil {
		t.Fatal(err)
	}
	files := []archived{{"comfygo-1/comfygo", program, 0o755}, {"comfygo-1/docs/a.md", program, 0o644}}
	date := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	pack := func(f func(io.Writer, []archived, time.Time) error) []byte {
		var b, again bytes.Buffer
		if err := errors.Join(f(&b, files, date), f(&again, files, date)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b.Bytes(), again.Bytes()) {
			t.Error("two archives of the same files differ")
		}
		return b.Bytes()
	}
	gz, err := gzip.NewReader(bytes.NewReader(pack(writeTar)))
	if err != nil {
		t.Fatal(err)
	}
	r := tar.NewReader(gz)
	for _, f := range files {
		h, err := r.Next()
		if err != nil || h.Name != f.name || h.FileInfo().Mode().Perm() != f.mode || !h.ModTime.Equal(date) {
			t.Fatalf("%+v, %v", h, err)
		}
		if text, err := io.ReadAll(r); err != nil || string(text) != "program" {
			t.Errorf("%s: %q, %v", f.name, text, err)
		}
	}
	packed := pack(writeZip)
	z, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil || len(z.File) != 2 || z.File[0].Name != files[0].name || z.File[0].Mode().Perm() != 0o755 {
		t.Errorf("%+v, %v", z, err)
	}
}

func TestSums(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"b.zip", "a.tar.gz"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeSums(dir, []string{"b.zip", "a.tar.gz"}); err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	if err != nil || strings.Count(string(sums), "\n") != 2 || strings.Index(string(sums), "  a.tar.gz") != 64 {
		t.Fatalf("%s, %v", sums, err)
	}
	if tool, err := exec.LookPath("sha256sum"); err == nil {
		cmd := exec.CommandContext(t.Context(), tool, "--check", "--strict", "SHA256SUMS")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("sha256sum: %v: %s", err, out)
		}
	}
}

// TestSBOM writes the bill of this test program, which is built of modules as the program is.
func TestSBOM(t *testing.T) {
	t.Parallel()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	r := release{version: "1.2.3", commit: "abc", date: time.Unix(0, 0).UTC()}
	if err := r.writeSBOM(&b, binary); err != nil {
		t.Fatal(err)
	}
	var bill struct {
		Format     string `json:"bomFormat"`
		Components []struct {
			Name, Version string
			Licenses      []struct{ License struct{ ID string } }
		}
	}
	if err := json.Unmarshal(b.Bytes(), &bill); err != nil || bill.Format != "CycloneDX" {
		t.Fatalf("%v: %s", err, b.String())
	}
	seen := map[string]bool{}
	for _, c := range bill.Components {
		seen[c.Name] = true
		if len(c.Licenses) != 1 || c.Licenses[0].License.ID == "" {
			t.Errorf("%s has no licence", c.Name)
		}
	}
	for _, name := range []string{"stdlib", "onnxruntime", "sqlite", "demo-shapes.safetensors", "golang.org/x/sys"} {
		if !seen[name] {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestOtherTargetsNeedACompiler(t *testing.T) {
	t.Parallel()
	r := release{}
	for target, want := range map[string]string{"plan9/386": "no cross compiler", "windows/amd64": "zig is not installed"} {
		system, arch, _ := strings.Cut(target, "/")
		if err := r.build(t.Context(), target, system, arch, filepath.Join(t.TempDir(), "comfygo")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", target, err)
		}
	}
}
