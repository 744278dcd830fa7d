package folders_test

import (
	"os"
	"path/filepath"
	"testing"

	"comfygo/folders"
)

func TestOwnersHaveFoldersOfTheirOwn(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	all, err := folders.New(folders.Config{Base: base})
	if err != nil {
		t.Fatal(err)
	}
	ann, bob := all.For("u-ann"), all.For("u-bob")
	for _, name := range []string{"input/@u-ann/a.png", "input/b.png", "models/loras/l.safetensors"} {
		path := filepath.Join(base, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if !ann.Exists("a.png") || bob.Exists("a.png") || ann.Exists("b.png") || all.Exists("a.png") {
		t.Error("a file of one owner is seen by another one, or not by its own")
	}
	for _, name := range []string{"../@u-ann/a.png", "../b.png", "/" + base + "/input/@u-ann/a.png"} {
		if bob.Exists(name) {
			t.Errorf("bob reaches %s", name)
		}
	}
	if got := bob.List("loras"); len(got) != 1 {
		t.Errorf("models are common, but bob sees %v", got)
	}
	to, err := bob.SavePath("x/y", bob.Output(), 0, 0)
	if err != nil || to.Dir != filepath.Join(base, "output", "@u-bob", "x") || to.Subfolder != "x" {
		t.Errorf("bob saves to %+v, %v", to, err)
	}
	if _, err := bob.SavePath("../@u-ann/y", bob.Output(), 0, 0); err == nil {
		t.Error("bob saves into ann's folder")
	}
	if again := ann.For("u-bob"); again.Input() != bob.Input() || again.Owner() != "u-bob" || ann.For("").Output() != all.Output() {
		t.Errorf("from view to view: %s", again.Input())
	}
	if got := all.For("../../x").Input(); got != filepath.Join(base, "input", "@x") {
		t.Errorf("an owner that is no folder name leads to %s", got)
	}
	ann.AddRoot("loras", filepath.Join(base, "more"), false)
	if got := all.Roots("loras"); got[len(got)-1] != filepath.Join(base, "more") {
		t.Errorf("views share one table, but the roots are %v", got)
	}
}
