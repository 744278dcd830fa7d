package disk

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"comfygo/folders"
)

// MaxListed bounds a listing.
const MaxListed = 100000

// VisibleFiles returns the files of a folder, those below it too with recurse; hidden ones are left out, links are
// followed as long as they stay inside.
func VisibleFiles(dir string, recurse bool) []string {
	var files []string
	var visit func(at string, depth int)
	visit = func(at string, depth int) {
		entries, err := os.ReadDir(at)
		if err != nil {
			return
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ".") || len(files) >= MaxListed {
				continue
			}
			full := filepath.Join(at, e.Name())
			if e.Type()&fs.ModeSymlink != 0 && !folders.Within(dir, full) {
				continue
			}
			info, err := os.Stat(full)
			switch {
			case err != nil:
			case info.Mode().IsRegular():
				files = append(files, full)
			case info.IsDir() && recurse && e.Type()&fs.ModeSymlink == 0 && depth < 64:
				visit(full, depth+1)
			}
		}
	}
	visit(dir, 0)
	return files
}
