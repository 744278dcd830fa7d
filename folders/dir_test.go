package folders_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"comfygo/folders"
)

// swapped is a base folder in which a link to an outside folder replaces a subfolder.
type swapped struct{ base, sub, outside string }

func newSwapped(t *testing.T) swapped {
	t.Helper()
	dir := t.TempDir()
	s := swapped{filepath.Join(dir, "base"), filepath.Join(dir, "base", "sub"), filepath.Join(dir, "outside")}
	for _, d := range []string{s.sub, s.outside} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// swap puts the link in place of the folder.
func (s swapped) swap() error {
	return errors.Join(os.Rename(s.sub, s.sub+"-away"), os.Symlink(s.outside, s.sub))
}

// back puts the folder where the link is, also when a writer makes a new one meanwhile.
func (s swapped) back() error {
	for {
		if err := os.RemoveAll(s.sub); err != nil && !errors.Is(err, syscall.ENOTEMPTY) {
			return err
		}
		if err := os.Rename(s.sub+"-away", s.sub); !errors.Is(err, fs.ErrExist) && !errors.Is(err, syscall.ENOTEMPTY) {
			return err
		}
	}
}

func (s swapped) untouched(t *testing.T) {
	t.Helper()
	if left, err := os.ReadDir(s.outside); err != nil || len(left) != 0 {
		t.Errorf("the outside folder holds %v, %v", left, err)
	}
}

func writeText(w io.Writer) error { _, err := io.WriteString(w, "text"); return err }

// TestSwappedLink replaces a folder by a link out of its base folder after the folder was chosen: every way of writing writes to the folder
// that was opened, or fails.
func TestSwappedLink(t *testing.T) {
	t.Parallel()
	f := newFolders(t)
	for _, tt := range []struct {
		name  string
		write func(s swapped) error // swaps when its file's place is chosen
		fails error
	}{
		{"saved file", func(s swapped) error {
			to, err := f.SavePath("sub/pic", s.base, 0, 0)
			if err == nil {
				err = s.swap()
			}
			if err == nil {
				_, err = to.Write(0, ".png", writeText)
			}
			return err
		}, fs.ErrPermission},
		{"new file in an open folder", func(s swapped) error {
			return inSwapped(s, func(d *folders.Dir) error { return d.WriteNew("a", writeText) })
		}, nil},
		{"replaced file in an open folder", func(s swapped) error {
			return inSwapped(s, func(d *folders.Dir) error { return d.Replace("a", writeText) })
		}, nil},
		{"staged file", func(s swapped) error {
			staged, _, err := folders.Stage(s.base, strings.NewReader("text"))
			if err == nil {
				err = s.swap()
			}
			if err == nil {
				err = folders.Move(s.base, staged, s.base, filepath.Join(s.sub, "a"))
			}
			return err
		}, fs.ErrPermission},
		{"made folder", func(s swapped) error {
			if err := s.swap(); err != nil {
				return err
			}
			_, err := folders.MakeDir(s.base, filepath.Join(s.sub, "deeper"))
			return err
		}, fs.ErrPermission},
		{"link at the file's name", func(s swapped) error {
			if err := os.Symlink(filepath.Join(s.outside, "a"), filepath.Join(s.base, "a")); err != nil {
				return err
			}
			_, _, err := folders.OpenFor(s.base, filepath.Join(s.base, "a"))
			return err
		}, fs.ErrPermission},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSwapped(t)
			if err := tt.write(s); !errors.Is(err, tt.fails) {
				t.Errorf("got %v, want %v", err, tt.fails)
			}
			s.untouched(t)
		})
	}
}

func inSwapped(s swapped, f func(d *folders.Dir) error) error {
	d, err := folders.OpenDir(s.base, s.sub)
	if err != nil {
		return err
	}
	if err = s.swap(); err == nil {
		err = f(d)
	}
	return errors.Join(err, d.Close())
}

// TestSwappingLinks keeps swapping the folder while files are written to it in all ways; none may be written outside.
func TestSwappingLinks(t *testing.T) {
	t.Parallel()
	f, s := newFolders(t), newSwapped(t)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			if err := s.swap(); err != nil && !errors.Is(err, fs.ErrExist) { // a writer made the folder meanwhile
				t.Error(err)
				return
			}
			if err := s.back(); err != nil {
				t.Error(err)
				return
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	const rounds, most = 60, 6000 // more rounds than 60 only until a save meets the folder in its place
	written := 0
	for round := 0; round < rounds || written == 0 && round < most; round++ {
		if to, err := f.SavePath("sub/pic", s.base, 0, 0); err == nil {
			if _, err = to.Write(0, ".png", writeText); err == nil {
				written++
			}
		}
		if d, name, err := folders.OpenFor(s.base, filepath.Join(s.sub, "b")); err == nil {
			_ = errors.Join(d.Replace(name, writeText), d.Close()) // the folder may be away
		}
		if staged, _, err := folders.Stage(s.base, strings.NewReader("text")); err != nil {
			t.Fatal(err)
		} else if folders.Move(s.base, staged, s.base, filepath.Join(s.sub, "c")) != nil {
			_ = os.Remove(staged)
		}
	}
	close(done)
	wg.Wait()
	s.untouched(t)
	if written == 0 {
		t.Error("no file was saved at all")
	}
}

// TestMove gives a staged file its name, over an older file and over another name of the same one.
func TestMove(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	to := filepath.Join(dir, "a")
	for _, text := range []string{"first", "second"} {
		staged, size, err := folders.Stage(dir, strings.NewReader(text))
		if err != nil || size != int64(len(text)) {
			t.Fatal(size, err)
		}
		if err := folders.Move(dir, staged, dir, to); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(to); err != nil || string(b) != text {
			t.Errorf("got %q, %v", b, err)
		}
	}
	again := filepath.Join(dir, ".again")
	if err := os.Link(to, again); err != nil {
		t.Skip("no hard links: ", err)
	}
	if err := folders.Move(dir, again, dir, to); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("the folder holds %v, %v", left, err)
	}
}

// TestShare makes a file appear in another base folder once; what has its name there stays.
func TestShare(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := os.WriteFile(path, []byte("shared"), 0o600); err != nil {
		t.Fatal(err)
	}
	in := filepath.Join(dir, "input", "@ada")
	for range 2 {
		if err := folders.Share(path, in); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(filepath.Join(in, "a")); err != nil || string(b) != "shared" {
			t.Errorf("got %q, %v", b, err)
		}
	}
	if err := folders.Share(dir, in); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("sharing a folder gives %v", err)
	}
}
