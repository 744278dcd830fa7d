package folders_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"comfygo/folders"
)

func TestWriteNew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.txt")
	in := openDir(t, dir)
	text := func(s string) func(io.Writer) error {
		return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
	}
	if err := in.WriteNew("a.txt", text("one")); err != nil {
		t.Fatal(err)
	}
	if err := in.WriteNew("a.txt", text("two")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("writing over a file: %v", err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "one" {
		t.Errorf("the file holds %q, %v", got, err)
	}
	full := errors.New("no space left on device")
	err := in.WriteNew("b.txt", func(w io.Writer) error {
		if err := text("half")(w); err != nil {
			return err
		}
		return full
	})
	if !errors.Is(err, full) {
		t.Errorf("a full disk gives %v", err)
	}
	for _, name := range []string{"missing/c.txt", "../c.txt", "..", ".", "", "/c.txt"} {
		if err := errors.Join(in.WriteNew(name, text("x")), in.Replace(name, text("x"))); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("the name %q gives %v", name, err)
		}
	}
	if _, err := folders.OpenDir(dir, filepath.Join(dir, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing folder gives %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("the folder holds %v, %v", left, err)
	}
}

// TestWriteTogether lets jobs that chose the same number write at once.
func TestWriteTogether(t *testing.T) {
	t.Parallel()
	f := newFolders(t)
	const jobs = 20
	var wg sync.WaitGroup
	errs := make([]error, jobs)
	for i := range jobs {
		wg.Go(func() {
			s, err := f.SavePath("pic", f.Output(), 1, 1)
			if err == nil {
				_, err = s.Write(0, ".txt", func(w io.Writer) error { _, err := fmt.Fprint(w, i); return err })
			}
			errs[i] = err
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(f.Output())
	if err != nil || len(files) != jobs {
		t.Fatalf("%d files, %v", len(files), err)
	}
	seen := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(f.Output(), file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		seen[string(text)] = true
	}
	if len(seen) != jobs {
		t.Errorf("only %d of %d jobs kept their file", len(seen), jobs)
	}
}

// TestReplace writes a file twice; a write that fails leaves the first.
func TestReplace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.txt")
	in := openDir(t, dir)
	write := func(text string, err error) func(io.Writer) error {
		return func(w io.Writer) error {
			_, writeErr := io.WriteString(w, text)
			return errors.Join(writeErr, err)
		}
	}
	for _, text := range []string{"first", "second"} {
		if err := in.Replace("a.txt", write(text, nil)); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != text {
			t.Errorf("got %q, %v", b, err)
		}
	}
	full := errors.New("disk full")
	if err := in.Replace("a.txt", write("third", full)); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
	entries, err := os.ReadDir(dir)
	if b, readErr := os.ReadFile(path); readErr != nil || string(b) != "second" || err != nil || len(entries) != 1 {
		t.Errorf("got %q, %d files, %v", b, len(entries), errors.Join(err, readErr))
	}
}

func openDir(t *testing.T, dir string) *folders.Dir {
	t.Helper()
	in, err := folders.OpenDir(dir, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	})
	return in
}

// TestMoveNew moves staged files to a name that is free, and to one that another process has taken.
func TestMoveNew(t *testing.T) {
	t.Parallel()
	dir, base := t.TempDir(), t.TempDir()
	to := filepath.Join(base, "a.txt")
	for i, text := range []string{"first", "second"} {
		staged, _, err := folders.Stage(dir, strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		err = folders.MoveNew(dir, staged, base, to)
		if i == 0 && err != nil || i == 1 && !errors.Is(err, fs.ErrExist) {
			t.Errorf("moving the %s: %v", text, err)
		}
		if _, err := os.Stat(staged); (err == nil) != (i == 1) {
			t.Errorf("the staged %s: %v", text, err)
		}
	}
	if got, err := os.ReadFile(to); err != nil || string(got) != "first" {
		t.Errorf("it has %q, %v", got, err)
	}
}
