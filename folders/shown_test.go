package folders_test

import (
	"path/filepath"
	"strings"
	"testing"

	"comfygo/folders"
)

// TestShown: texts for clients name folders, not their places.
func TestShown(t *testing.T) {
	t.Parallel()
	base, other := t.TempDir(), t.TempDir()
	f, err := folders.New(folders.Config{Base: base, Input: filepath.Join(other, "in put")})
	if err != nil {
		t.Fatal(err)
	}
	f.AddRoot("checkpoints", filepath.Join(other, "big", "files"), false)
	mine := f.For("7")
	for _, c := range []struct {
		f          *folders.Folders
		text, want string
	}{
		{f, "open " + filepath.Join(base, "output", "a", "x.png") + ": permission denied", "open output/a/x.png: permission denied"},
		{f, "saving in " + filepath.Join(base, "output") + ": is a file", "saving in output: is a file"},
		{f, `"` + filepath.Join(other, "in put", "c.mp4") + `"`, `"input/c.mp4"`},
		{f, filepath.Join(other, "big", "files", "m.safetensors"), "checkpoints/m.safetensors"},
		{f, filepath.Join(base, "models", "vae", "v.pt"), "vae/v.pt"},
		{f, filepath.Join(base, "custom_nodes", "p.py"), "custom_nodes/p.py"},
		{f, filepath.Join(base, "output2", "x"), "output2/x"},
		{f, "in " + base + ": full", "in .: full"},
		{f, "file:" + filepath.Join(base, "temp", "a b"), "file:temp/a b"},
		{f, "/x" + filepath.Join(base, "output"), "/x" + filepath.Join(base, "output")},
		{f, "sizes 3/4, https://example.com/output", "sizes 3/4, https://example.com/output"},
		{f, "nothing", "nothing"},
		{mine, filepath.Join(mine.Output(), "x.png"), "output/x.png"},
		{mine, filepath.Join(f.Output(), "x.png"), "output/x.png"},
	} {
		if got := filepath.ToSlash(c.f.Shown(c.text)); got != strings.ReplaceAll(c.want, `\`, "/") {
			t.Errorf("%q is shown as %q, want %q", c.text, got, c.want)
		}
	}
}
