package filemap_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"comfygo/engine/safetensors/filemap"
)

func sample(t *testing.T, size int) (*filemap.File, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, bytes.Repeat([]byte{7}, size), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := filemap.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f, path
}

func sum(b []byte) (n int) {
	for _, c := range b {
		n += int(c)
	}
	return n
}

// TestTruncatedWhileMapped shortens a file after the mapping's back. Reading it raises SIGBUS, which would end the process;
// inside Guard it is an error.
func TestTruncatedWhileMapped(t *testing.T) {
	t.Parallel()
	f, path := sample(t, 1<<20)
	if !f.Mapped() {
		if runtime.GOOS == "linux" {
			t.Fatal("not mapped")
		}
		return
	}
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
	n := 0
	err := filemap.Guard(func() error { n = sum(f.Bytes()); return nil })
	if !errors.Is(err, filemap.ErrFault) || !strings.Contains(err.Error(), "truncated") {
		t.Fatalf("reading %d bytes of a truncated file: %d, %v", len(f.Bytes()), n, err)
	}
	if err := filemap.Guard(func() error { n = sum(f.Bytes()[:100]); return nil }); err != nil || n != 700 {
		t.Errorf("reading what is left: %d, %v", n, err)
	}
}

func TestGuardPassesOn(t *testing.T) {
	t.Parallel()
	want := errors.New("mine")
	if err := filemap.Guard(func() error { return want }); !errors.Is(err, want) {
		t.Errorf("error became %v", err)
	}
	for name, bug := range map[string]func() error{
		"nil":   func() error { var p *int; *p = 1; return nil },
		"index": func() error { s := []int{}; i := len(s); s[i] = 1; return nil },
		"own":   func() error { panic("mine") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: the panic of a bug was swallowed", name)
				}
			}()
			_ = filemap.Guard(bug)
		}()
	}
}

func TestReleaseKeepsContent(t *testing.T) {
	t.Parallel()
	f, _ := sample(t, 1<<20+123)
	b := f.Bytes()
	for _, part := range [][]byte{b, b[1:], b[:len(b)-1], b[5000:5001], b[4096:8192], b[:0], nil, make([]byte, 1<<16)} {
		before := sum(part)
		f.Release(part)
		if after := sum(part); after != before {
			t.Fatalf("releasing %d bytes changed them: %d, was %d", len(part), after, before)
		}
	}
	var none *filemap.File
	none.Release(b)
}

func TestEmptyFile(t *testing.T) {
	t.Parallel()
	f, _ := sample(t, 0)
	if len(f.Bytes()) != 0 || f.Mapped() {
		t.Errorf("empty file: %d bytes, mapped %v", len(f.Bytes()), f.Mapped())
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}
