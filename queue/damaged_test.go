package queue_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/queue"
)

// TestDamagedFile starts with a damaged file: the error explains what to do, and the file is left
// alone.
func TestDamagedFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "queue.db")
	text := strings.Repeat("this is no database. ", 500)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := queue.NewFile(path, queue.FileOptions{}).Load()
	if err == nil || !strings.Contains(err.Error(), "Move it away") || !strings.Contains(err.Error(), ".recover") || !strings.Contains(err.Error(), path) {
		t.Errorf("opening it: %v", err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != text {
		t.Errorf("the file was changed: %v", err)
	}
}
