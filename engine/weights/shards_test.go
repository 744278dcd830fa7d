package weights_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/weights"
)

// writeFile writes tensors of one number each, whose value is that of their name's length.
func writePart(t *testing.T, dir, name string, tensors ...string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []weights.Saved
	for _, n := range tensors {
		all = append(all, weights.Saved{Name: n, Entry: weights.Entry{Name: n, DType: dtype.U8, Shape: []int{1}, Data: []byte{byte(len(n))}}})
	}
	if err := weights.Save(t.Context(), f, map[string]string{"part": name}, all); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestSplitFile opens a file that is split over three parts by any of them.
func TestSplitFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var paths []string
	for i, part := range []string{"model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors"} {
		paths = append(paths, writePart(t, dir, part, strings.Repeat("a", i+1), strings.Repeat("b", i+4)))
	}
	for _, path := range paths {
		src, err := weights.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{"a", "aa", "aaa", "bbbb", "bbbbb", "bbbbbb"}; !slices.Equal(src.Names(), want) || src.Path() != path {
			t.Errorf("%s: names %v, wanted %v; path %s", path, src.Names(), want, src.Path())
		}
		for _, n := range src.Names() {
			if e, ok := src.Lookup(n); !ok || int(e.Data[0]) != len(n) {
				t.Errorf("%s: %s is %v", path, n, e)
			}
		}
		if _, ok := src.Lookup("c"); ok || !strings.HasPrefix(src.Metadata()["part"], "model-00001") {
			t.Errorf("%s: metadata %v, or a tensor that no part has", path, src.Metadata())
		}
		if err := src.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(paths[1]); err != nil {
		t.Fatal(err)
	}
	if _, err := weights.Open(paths[0]); err == nil || !strings.Contains(err.Error(), "model-00002-of-00003.safetensors") {
		t.Errorf("a missing part: %v", err)
	}
	writePart(t, dir, "model-00002-of-00003.safetensors", "a")
	if _, err := weights.Open(paths[0]); err == nil || !strings.Contains(err.Error(), `both hold the tensor "a"`) {
		t.Errorf("a tensor in two parts: %v", err)
	}
}

// TestNoSplitFile: names that only resemble those of parts open a single file, or are rejected before any file is opened.
func TestNoSplitFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"model-00004-of-00003.safetensors", "model-00000-of-00003.safetensors", "model-1-of-2.safetensors", "x-00001-of-00001.safetensors"} {
		src, err := weights.Open(writePart(t, dir, name, "a"))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := src.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := weights.Open(writePart(t, dir, "model-00001-of-99999.safetensors", "a")); err == nil || !strings.Contains(err.Error(), "split into 99999 parts") {
		t.Errorf("a great many parts: %v", err)
	}
}
