package server_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOwnerOfOthers tries ?owner= on every route as every role but administrators: the files of others are not found, and no
// shared folder is made for the request.
func TestOwnerOfOthers(t *testing.T) {
	t.Parallel()
	a := startAuth(t, nil, nil)
	before := tree(t, a.base)
	tried := 0
	for _, route := range a.server.Routes() {
		method, path, _ := strings.Cut(route, " ")
		if path == "/ws" || path == "/api/ws" || strings.Contains(path, "auth/audit") { // there owner is a filter
			continue
		}
		var parts []string
		for _, part := range strings.Split(path, "/") {
			if strings.HasPrefix(part, ":") || part == "*" {
				part = "x"
			}
			parts = append(parts, part)
		}
		for _, who := range []string{"ann", "vera", "gus"} {
			for _, owner := range []string{"bob", a.users["bob"].ID, "", "%3f"} {
				got := a.as(who, method, strings.Join(parts, "/")+"?owner="+owner, "{}", "Content-Type", "application/json")
				if tried++; got.status != 404 && got.status != 403 {
					t.Errorf("%s %s?owner=%s as %s: %d %s", method, path, owner, who, got.status, got.body)
				}
			}
		}
	}
	if tried < 1000 {
		t.Errorf("only %d requests were made", tried)
	}
	body, kind := uploadForm(t, "mine.png", "content")
	for _, who := range []string{"ann", "bob"} {
		if got := a.as(who, "POST", "/upload/image?owner=bob", body, "Content-Type", kind); (who == "bob") != (got.status == 200) {
			t.Errorf("an upload as %s to bob's folder: %d %s", who, got.status, got.body)
		}
	}
	for name := range tree(t, a.base) {
		if !before[name] && strings.Contains(name, "?") {
			t.Errorf("a folder without an owner was made: %s", name)
		}
	}
}

// tree are the names of all files and folders below a folder.
func tree(t *testing.T, root string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		if err == nil {
			names[path] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
