package folders

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Inside opens the folder dir for work on path, which need not exist, and returns path's place in it. Links that stay
// inside dir are followed, even absolute ones; everything that is done through the root stays inside dir, whatever
// links appear in the meantime. The error is fs.ErrPermission when path leads out of dir. The caller closes the root.
func Inside(dir, path string) (root *os.Root, rel string, err error) {
	if !Within(dir, path) {
		return nil, "", fmt.Errorf("opening %s: it is not inside %s: %w", path, dir, fs.ErrPermission)
	}
	realDir, err := real(dir, 0)
	if err != nil {
		return nil, "", err
	}
	realPath, err := real(path, 0)
	if err != nil {
		return nil, "", err
	}
	if rel, err = filepath.Rel(realDir, realPath); err != nil {
		return nil, "", fmt.Errorf("opening %s: %w", path, err)
	}
	if root, err = os.OpenRoot(realDir); err != nil {
		return nil, "", err
	}
	return root, rel, nil
}
