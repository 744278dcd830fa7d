//go:build unix

package plainfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"comfygo/internal/plainfile"
)

func TestRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, pipe, link := filepath.Join(dir, "file"), filepath.Join(dir, "pipe"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(file, []byte("12345"), 0o600), syscall.Mkfifo(pipe, 0o600), os.Symlink(file, link)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		path  string
		limit int64
		want  string // part of the error; "" is none
	}{
		"file": {file, 5, ""}, "through a link": {link, 5, ""}, "too long": {file, 4, "more than 4 bytes"},
		"pipe": {pipe, 5, "not a regular file"}, "device": {"/dev/zero", 5, "not a regular file"}, "folder": {dir, 5, "not a regular file"},
		"nothing": {filepath.Join(dir, "x"), 5, "no such file"},
	} {
		done := make(chan error, 1)
		go func() {
			data, info, err := plainfile.Read(c.path, c.limit)
			if err == nil && (string(data) != "12345" || info.Size() != 5) {
				err = errors.New("wrong contents")
			}
			done <- err
		}()
		select {
		case err := <-done:
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %q", name, err, c.want)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("%s: reading hangs", name)
		}
	}
}
