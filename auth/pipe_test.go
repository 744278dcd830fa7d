//go:build unix

package auth_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"comfygo/auth"
)

// TestKeyFileBecomesPipe: reading the keys again ends at once when the file has become a pipe without a writer, and the old
// keys stay.
func TestKeyFileBecomesPipe(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte("a-key-that-is-long-enough\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	keys, err := auth.NewKeys(nil, []string{path})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := keys.Reload()
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "keeping the old api keys") || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("reading a pipe: %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("reading a pipe hangs")
	}
	if _, err := auth.NewKeyring(keys, auth.KeyringOptions{}).Authenticate(t.Context(), bearer("a-key-that-is-long-enough")); err != nil {
		t.Errorf("the key of before: %v", err)
	}
}
