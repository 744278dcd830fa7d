package reply_test

import (
	"testing"

	"comfygo/server/reply"
)

func TestSplitExt(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][2]string{
		"a.png": {"a", ".png"}, ".env": {".env", ""}, "a.b.c": {"a.b", ".c"}, "x/.hid": {"x/.hid", ""}, "..a": {"..a", ""},
		"a.": {"a", "."}, "dir.x/file": {"dir.x/file", ""}, "": {"", ""}, "...": {"...", ""},
	} {
		if base, ending := reply.SplitExt(name); base != want[0] || ending != want[1] {
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
		if got := reply.GuessType(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	for _, dangerous := range []string{"a.html", "a.js", "a.svg", "a.xml", "a.xhtml", "a.mht", "a.css", "a.atom"} {
		if !reply.IsDangerous(reply.GuessType(dangerous)) {
			t.Errorf("%s counts as safe", dangerous)
		}
	}
	if reply.IsDangerous("image/png") || !reply.IsDangerous("TEXT/HTML; charset=x") {
		t.Error("types are compared by more than their name")
	}
}
