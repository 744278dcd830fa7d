package files

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
