package server_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFoldersThatAreNone replaces folders by files while the server runs: requests are refused in words, and answered again when the
// folders are back.
func TestFoldersThatAreNone(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	for _, tt := range []struct{ folder, method, path, body string }{
		{"user", "GET", "/settings", ""},
		{"user", "POST", "/settings", `{"a": 1}`},
		{"output", "GET", "/internal/files/output", ""},
	} {
		folder := filepath.Join(r.base, tt.folder)
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
		write(t, folder, []byte("a file"))
		got := r.do(tt.method, tt.path, tt.body)
		if got.status != http.StatusBadRequest || !strings.Contains(got.body, `"error"`) || !strings.Contains(got.body, "not a directory") {
			t.Errorf("%s %s: %d %s", tt.method, tt.path, got.status, got.body)
		}
		if err := os.Remove(folder); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if got := r.do(tt.method, tt.path, tt.body); got.status != http.StatusOK {
			t.Errorf("%s %s afterwards: %d %s", tt.method, tt.path, got.status, got.body)
		}
	}
}
