package folders_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"comfygo/folders"
)

// watched makes a table of folders whose changes are watched until the test ends.
func watched(t *testing.T, limit int, log *slog.Logger, dirs ...string) (f *folders.Folders, base string) {
	t.Helper()
	base = t.TempDir()
	for _, d := range append(dirs, "input", "models/checkpoints/deep") {
		if err := os.MkdirAll(filepath.Join(base, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	f, err := folders.New(folders.Config{Base: base, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { f.WatchUpTo(ctx, limit) })
	t.Cleanup(func() {
		cookie := f.Cookie()
		cancel()
		done.Wait()
		if _, err := os.Stat(cookie); err == nil || f.Cookie() != "" {
			t.Errorf("after the end %s is there (%v), or it is still watched", cookie, err)
		}
	})
	for deadline := time.Now().Add(time.Minute); f.Cookie() == ""; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no watch after a minute")
		}
	}
	return f, base
}

// TestWatchSeesEverything makes one change after the other. Each must show in the next answer.
func TestWatchSeesEverything(t *testing.T) {
	t.Parallel()
	f, base := watched(t, 1000, nil)
	models := filepath.Join(base, "models")
	elsewhere := t.TempDir()
	write := func(parts ...string) error {
		path := filepath.Join(append([]string{models}, parts...)...)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return os.WriteFile(path, nil, 0o600)
	}
	in := func(parts ...string) string {
		return filepath.Join(append([]string{models, "checkpoints"}, parts...)...)
	}
	for _, step := range []struct {
		name string
		do   func() error
		want string // the checkpoints afterwards
	}{
		{"a file", func() error { return write("checkpoints", "a.ckpt") }, "a.ckpt"},
		{"a deep one", func() error { return write("checkpoints", "deep", "b.ckpt") }, "a.ckpt deep/b.ckpt"},
		{"new folders", func() error { return write("checkpoints", "x", "y", "z", "c.ckpt") }, "a.ckpt deep/b.ckpt x/y/z/c.ckpt"},
		{"a file in a new folder", func() error { return write("checkpoints", "x", "y", "d.ckpt") }, "a.ckpt deep/b.ckpt x/y/d.ckpt x/y/z/c.ckpt"},
		{"another name", func() error { return os.Rename(in("a.ckpt"), in("e.ckpt")) }, "deep/b.ckpt e.ckpt x/y/d.ckpt x/y/z/c.ckpt"},
		{"another name of a folder", func() error { return os.Rename(in("x"), in("w")) }, "deep/b.ckpt e.ckpt w/y/d.ckpt w/y/z/c.ckpt"},
		{"a file below the new name", func() error { return write("checkpoints", "w", "y", "z", "f.ckpt") }, "deep/b.ckpt e.ckpt w/y/d.ckpt w/y/z/c.ckpt w/y/z/f.ckpt"},
		{"a folder goes", func() error { return os.RemoveAll(in("w")) }, "deep/b.ckpt e.ckpt"},
		{"and comes back", func() error { return write("checkpoints", "w", "g.ckpt") }, "deep/b.ckpt e.ckpt w/g.ckpt"},
		{"a folder goes elsewhere", func() error { return os.Rename(in("w"), filepath.Join(elsewhere, "w")) }, "deep/b.ckpt e.ckpt"},
		{"a link to it", func() error { return os.Symlink(elsewhere, in("link")) }, "deep/b.ckpt e.ckpt link/w/g.ckpt"},
		{"a file behind the link", func() error { return os.WriteFile(filepath.Join(elsewhere, "w", "h.ckpt"), nil, 0o600) }, "deep/b.ckpt e.ckpt link/w/g.ckpt link/w/h.ckpt"},
		{"the search folder goes", func() error { return os.Rename(models, models+"-old") }, ""},
		{"another one comes", func() error { return write("checkpoints", "i.ckpt") }, "i.ckpt"},
		{"a file in it", func() error { return write("checkpoints", "j.ckpt") }, "i.ckpt j.ckpt"},
	} {
		before := f.Stamp()
		if again := f.Stamp(); again != before {
			t.Errorf("before %q the stamp went from %d to %d, and nothing had happened", step.name, before, again)
		}
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if f.Stamp() == before {
			t.Errorf("%s: the stamp is the same", step.name)
		}
		if got := strings.Join(f.List("checkpoints"), " "); got != step.want {
			t.Errorf("%s: %q, want %q", step.name, got, step.want)
		}
	}
}

// TestWatchLooksAtNoTimes changes the times of folders only: the watcher does not report it, comparing times does.
func TestWatchLooksAtNoTimes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		limit int
		same  bool
	}{{1000, true}, {1, false}} {
		f, base := watched(t, c.limit, nil)
		old(t, base)
		f.Stamp()
		before := f.Stamp()
		at := time.Now().Add(-2 * time.Hour)
		if err := os.Chtimes(filepath.Join(base, "models/checkpoints/deep"), at, at); err != nil {
			t.Fatal(err)
		}
		if same := f.Stamp() == before; same != c.same {
			t.Errorf("with up to %d watches: same stamp %v", c.limit, same)
		}
	}
}

func TestWatchIsBounded(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	var dirs []string
	for i := range 20 {
		dirs = append(dirs, fmt.Sprintf("models/loras/%d", i))
	}
	f, base := watched(t, 10, slog.New(slog.NewTextHandler(&log, nil)), dirs...)
	if n, ok := f.Watches(); !ok || n > 10 || n < 3 {
		t.Errorf("%d folders are watched (%v), at most 10 may", n, ok)
	}
	if text := log.String(); strings.Count(text, "there are too many folders") != 1 || !strings.Contains(text, "models/loras") || !strings.Contains(text, "most=10") {
		t.Errorf("the log says %q", text)
	}
	before := f.Stamp()
	if err := os.WriteFile(filepath.Join(base, "models/loras/7/a.safetensors"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if f.Stamp() == before || !slices.Equal(f.List("loras"), []string{"7/a.safetensors"}) {
		t.Errorf("a file in an unwatched folder is not seen: %v", f.List("loras"))
	}
}

// TestWatchEndsWhatIsGone sees that watches end with their folders.
func TestWatchEndsWhatIsGone(t *testing.T) {
	t.Parallel()
	f, base := watched(t, 1000, nil)
	first, _ := f.Watches()
	for round := range 30 {
		dir := filepath.Join(base, "models", "loras", fmt.Sprint(round), "below")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		f.Stamp()
		if err := os.RemoveAll(filepath.Join(base, "models", "loras")); err != nil {
			t.Fatal(err)
		}
		f.Stamp()
	}
	if last, ok := f.Watches(); !ok || last != first {
		t.Errorf("%d folders are watched, and %d at the beginning", last, first)
	}
}

func TestWatchIsAskedByMany(t *testing.T) {
	t.Parallel()
	f, base := watched(t, 1000, nil)
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 50 {
				name := fmt.Sprintf("%d-%d.ckpt", g, i)
				before := f.Stamp()
				if err := os.WriteFile(filepath.Join(base, "models/checkpoints/deep", name), nil, 0o600); err != nil {
					t.Error(err)
				}
				if f.Stamp() == before || !slices.Contains(f.List("checkpoints"), "deep/"+name) {
					t.Errorf("%s is not seen", name)
				}
			}
		})
	}
	all.Wait()
	if n := len(f.List("checkpoints")); n != 400 {
		t.Errorf("%d files, want 400", n)
	}
}

func BenchmarkStamp(b *testing.B) {
	for _, watch := range []bool{false, true} {
		for _, dirs := range []int{50, 2000} {
			b.Run(fmt.Sprintf("watch=%v/folders=%d", watch, dirs), func(b *testing.B) {
				base := b.TempDir()
				for i := range dirs {
					if err := os.MkdirAll(filepath.Join(base, "models", "loras", fmt.Sprint(i)), 0o755); err != nil {
						b.Fatal(err)
					}
				}
				f, err := folders.New(folders.Config{Base: base})
				if err != nil {
					b.Fatal(err)
				}
				ctx, cancel := context.WithCancel(b.Context())
				var done sync.WaitGroup
				if watch {
					done.Go(func() { f.Watch(ctx) })
					for f.Cookie() == "" {
						time.Sleep(time.Millisecond)
					}
				}
				time.Sleep(100 * time.Millisecond) // fresh folders are not trusted
				for b.Loop() {
					f.Stamp()
				}
				cancel()
				done.Wait()
			})
		}
	}
}
