package folders_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// TestNumbersAreThoseOfTheFolder saves files while others come and go: the number is always one more than the highest that is there.
func TestNumbersAreThoseOfTheFolder(t *testing.T) {
	t.Parallel()
	f := newFolders(t)
	out := f.Output()
	save := func(prefix string) string {
		t.Helper()
		s, err := f.SavePath(prefix, out, 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		name, err := s.Write(0, ".txt", func(w io.Writer) error { _, err := io.WriteString(w, prefix); return err })
		if err != nil {
			t.Fatal(err)
		}
		return name
	}
	put := func(name string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(out, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i, step := range []struct {
		do   func()
		save string
		want string
	}{
		{nil, "a", "a_00001_.txt"},
		{nil, "a", "a_00002_.txt"},
		{nil, "b", "b_00001_.txt"},
		{nil, "a", "a_00003_.txt"},
		{func() { put("a_00007_.txt") }, "a", "a_00008_.txt"},
		{nil, "b", "b_00002_.txt"},
		{func() { _ = os.Remove(filepath.Join(out, "a_00008_.txt")) }, "a", "a_00008_.txt"},
		{func() { _ = os.RemoveAll(out) }, "a", "a_00001_.txt"},
		{nil, "b", "b_00001_.txt"},
	} {
		if step.do != nil {
			step.do()
		}
		if got := save(step.save); got != step.want {
			t.Errorf("step %d: %s, want %s", i+1, got, step.want)
		}
	}
}

func BenchmarkSavePath(b *testing.B) {
	f := newFolders(b)
	if err := os.MkdirAll(f.Output(), 0o755); err != nil {
		b.Fatal(err)
	}
	for i := range 5000 {
		if err := os.WriteFile(filepath.Join(f.Output(), fmt.Sprintf("old_%05d_.png", i)), nil, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		s, err := f.SavePath("ComfyUI", f.Output(), 512, 512)
		if err == nil {
			_, err = s.Write(0, ".txt", func(io.Writer) error { return nil })
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
