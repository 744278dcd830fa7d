package auth_test

import (
	"os"
	"path/filepath"
	"testing"

	"comfygo/auth"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, []byte("# ours\n\n  from-the-file \nanother-one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := auth.NewKeys([]string{"on-the-line"}, []string{file})
	if err != nil {
		t.Fatal(err)
	}
	if !k.Required() {
		t.Error("a set with keys must ask for one")
	}
	for key, want := range map[string]bool{
		"on-the-line": true, "from-the-file": true, "another-one": true,
		"": false, "# ours": false, "on-the-lin": false, "on-the-line ": false, "ON-THE-LINE": false,
	} {
		if got := k.Allow(key); got != want {
			t.Errorf("Allow(%q) = %v, want %v", key, got, want)
		}
	}
}

func TestNoKeys(t *testing.T) {
	t.Parallel()
	var none *auth.Keys
	if none.Required() || none.Allow("anything") {
		t.Error("a nil set asks for no key and allows none")
	}
	k, err := auth.NewKeys(nil, nil)
	if err != nil || k.Required() {
		t.Errorf("an empty set: required %v, error %v", k.Required(), err)
	}
}

func TestBadKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	for file, text := range map[string]string{empty: "# nothing\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct{ keys, files []string }{
		"empty key":    {keys: []string{""}},
		"missing file": {files: []string{filepath.Join(dir, "none")}},
		"file of none": {files: []string{empty}},
	} {
		if _, err := auth.NewKeys(c.keys, c.files); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
}
