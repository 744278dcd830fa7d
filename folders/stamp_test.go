package folders_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"comfygo/folders"
)

// old lets folders look as if nothing had happened in them for a while: fresh ones are not trusted.
func old(t *testing.T, base string) {
	t.Helper()
	at := time.Now().Add(-time.Hour)
	err := filepath.WalkDir(base, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chtimes(path, at, at))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestStamp(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	f, err := folders.New(folders.Config{Base: base})
	if err != nil {
		t.Fatal(err)
	}
	models := filepath.Join(base, "models", "checkpoints")
	deep, input := filepath.Join(models, "deep"), filepath.Join(base, "input")
	for _, d := range []string{deep, input} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	settled := func() uint64 {
		old(t, base)
		f.Stamp()
		n := f.Stamp()
		if again := f.Stamp(); again != n {
			t.Fatalf("the stamp went from %d to %d, and nothing happened", n, again)
		}
		return n
	}
	for name, change := range map[string]func() error{
		"model": func() error { return os.WriteFile(filepath.Join(deep, "a.safetensors"), nil, 0o600) },
		"image": func() error { return os.WriteFile(filepath.Join(input, "a.png"), nil, 0o600) },
		"rename": func() error {
			return os.Rename(filepath.Join(deep, "a.safetensors"), filepath.Join(deep, "b.safetensors"))
		},
		"removed": func() error { return os.RemoveAll(deep) },
		"folder":  func() error { return os.MkdirAll(filepath.Join(base, "models", "loras"), 0o755) },
	} {
		if name == "rename" {
			if err := os.WriteFile(filepath.Join(deep, "a.safetensors"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		n := settled()
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if f.Stamp() == n {
			t.Errorf("%s: the stamp is still %d", name, n)
		}
		if err := os.MkdirAll(deep, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}
