package ortlib_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/internal/download"
	"comfygo/internal/ortlib"
)

// options returns options that see nothing of the machine the test runs on.
func options(t *testing.T) ortlib.Options {
	t.Helper()
	return ortlib.Options{
		Cache:      t.TempDir(),
		Platform:   "linux/amd64",
		Env:        func(string) string { return "" },
		SystemDirs: []string{},
		Clients:    []download.Client{},
	}
}

func put(t *testing.T, path string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("library"), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFindOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	named := put(t, filepath.Join(dir, "a", "my.so"))
	env := put(t, filepath.Join(dir, "b", "env.so"))
	system := put(t, filepath.Join(dir, "c", "libonnxruntime.so.1.30.0"))
	o := options(t)
	cached := put(t, filepath.Join(o.Cache, "1.31.1-cpu", "libonnxruntime.so.1.31.1"))

	steps := []struct {
		name string
		set  func(*ortlib.Options)
		want string
	}{
		{"cache", func(*ortlib.Options) {}, cached},
		{"system before cache", func(o *ortlib.Options) { o.SystemDirs = []string{filepath.Dir(system)} }, system},
		{"environment before system", func(o *ortlib.Options) {
			o.Env = func(k string) string { return map[string]string{ortlib.EnvLibrary: env}[k] }
		}, env},
		{"named before all", func(o *ortlib.Options) { o.Path = named }, named},
	}
	for _, s := range steps { // each step keeps the settings of those before it
		s.set(&o)
		got, err := ortlib.Find(o)
		if err != nil || got != s.want {
			t.Errorf("%s: got %q, %v, want %q", s.name, got, err, s.want)
		}
	}
}

func TestFindChoosesTheNewestUsableVersion(t *testing.T) {
	t.Parallel()
	o := options(t)
	dir := t.TempDir()
	o.SystemDirs = []string{dir}
	put(t, filepath.Join(dir, "libonnxruntime.so.1.9.0"))
	put(t, filepath.Join(dir, "libonnxruntime_providers_shared.so"))
	if got, err := ortlib.Find(o); !errors.Is(err, ortlib.ErrNotFound) {
		t.Errorf("1.9.0 alone: got %q, %v, want ErrNotFound", got, err)
	}
	put(t, filepath.Join(dir, "libonnxruntime.so.1.24.1"))
	want := put(t, filepath.Join(dir, "libonnxruntime.so.1.32.0"))
	if got, err := ortlib.Find(o); err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestFindCUDA(t *testing.T) {
	t.Parallel()
	o := options(t)
	cpu := put(t, filepath.Join(o.Cache, "1.31.1-cpu", "libonnxruntime.so.1.31.1"))
	o.CUDA = true
	if got, err := ortlib.Find(o); err != nil || got != cpu {
		t.Errorf("without a CUDA build: got %q, %v, want the CPU build", got, err)
	}
	want := put(t, filepath.Join(o.Cache, "1.31.1-cuda13", "libonnxruntime.so.1.31.1"))
	put(t, filepath.Join(o.Cache, "1.31.1-cuda13", "libonnxruntime_providers_cuda.so"))
	if got, err := ortlib.Find(o); err != nil || got != want {
		t.Errorf("with a CUDA build: got %q, %v, want %q", got, err, want)
	}
}

func TestFindErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	o := options(t)
	_, err := ortlib.Find(o)
	if !errors.Is(err, ortlib.ErrNotFound) {
		t.Fatalf("got %v, want ErrNotFound", err)
	}
	for _, want := range []string{"libonnxruntime.so.1.31.1", filepath.Join(o.Cache, "1.31.1-cpu"), ortlib.EnvLibrary} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s: %v", want, err)
		}
	}
	o.Path = filepath.Join(o.Cache, "absent.so")
	if _, err := ortlib.Find(o); err == nil || !strings.Contains(err.Error(), "absent.so") {
		t.Errorf("a named library that is missing: got %v", err)
	}
	o.Path = t.TempDir()
	if _, err := ortlib.Ensure(context.Background(), o); !errors.Is(err, ortlib.ErrNotFound) {
		t.Errorf("a named folder without a library: got %v, want ErrNotFound and no fetch", err)
	}
}
