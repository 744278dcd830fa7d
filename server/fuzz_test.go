package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzDestination checks that no name that a stranger sends leads out of the folder.
func FuzzDestination(f *testing.F) {
	for _, s := range [][2]string{{"", "a.png"}, {"..", "a"}, {"a/../..", "x"}, {"/etc", "passwd"}, {"sub", "../../x"}, {"link", "x"}, {"a\x00b", "c"}, {`..\..`, "x"}, {"%2e%2e", "x"}} {
		f.Add(s[0], s[1])
	}
	base := f.TempDir()
	root, outside := filepath.Join(base, "root"), filepath.Join(base, "outside")
	for _, d := range []string{root, outside} {
		if err := os.Mkdir(d, 0o755); err != nil {
			f.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(root, "link")); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, subfolder, name string) {
		dir, path, ok := destination(root, subfolder, name)
		if !ok {
			return
		}
		for _, p := range []string{dir, path} {
			if p != root && !strings.HasPrefix(p, root+"/") || strings.Contains(p, "/../") || strings.HasPrefix(p, filepath.Join(root, "link")+"/") {
				t.Errorf("%q and %q lead to %q", subfolder, name, p)
			}
		}
	})
}

func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"bytes=0-", "bytes=-5", "bytes=3-1", "bytes=0-0", "bytes=99999999999999999999-", "bytes=-0", "lines=1-2", "bytes=1-2,3-4"} {
		f.Add(s, int64(11))
	}
	f.Fuzz(func(t *testing.T, text string, size int64) {
		if size < 0 {
			return
		}
		start, count, ok := parseRange(text, size)
		if ok && (start < 0 || count < 1 || start+count > size) {
			t.Errorf("%q of %d bytes: %d+%d", text, size, start, count)
		}
	})
}

func FuzzPicture(f *testing.F) {
	f.Add([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"), true)
	f.Add([]byte("GIF89a\x01\x00\x01\x00"), false)
	f.Fuzz(func(_ *testing.T, data []byte, rgb bool) {
		p, err := decodePicture(data)
		if err != nil || p.img.Bounds().Dx()*p.img.Bounds().Dy() > 1<<16 {
			return
		}
		_, _ = p.preview("webp", 50, rgb)
		_, _ = p.channel("rgb")
	})
}

func TestSplitExt(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][2]string{
		"a.png": {"a", ".png"}, ".env": {".env", ""}, "a.b.c": {"a.b", ".c"}, "x/.hid": {"x/.hid", ""}, "..a": {"..a", ""},
		"a.": {"a", "."}, "dir.x/file": {"dir.x/file", ""}, "": {"", ""}, "...": {"...", ""},
	} {
		if base, ending := splitExt(name); base != want[0] || ending != want[1] {
			t.Errorf("%q: %q %q, want %q", name, base, ending, want)
		}
	}
}

func TestGuessType(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"a.png": "image/png", "A.PNG": "image/png", "a.tar.gz": "application/x-tar", "a.tgz": "application/x-tar", "a.svgz": "image/svg+xml",
		"a.safetensors": "application/safetensors", "a.glb": "model/gltf-binary", "noext": "", "a.zzz": "", "a.webp": "image/webp",
	} {
		if got := guessType(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	for _, dangerous := range []string{"a.html", "a.js", "a.svg", "a.xml", "a.xhtml", "a.mht", "a.css", "a.atom"} {
		if !isDangerous(guessType(dangerous)) {
			t.Errorf("%s counts as safe", dangerous)
		}
	}
	if isDangerous("image/png") || !isDangerous("TEXT/HTML; charset=x") {
		t.Error("types are compared by more than their name")
	}
}
