package folders

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Dir is an open folder below one of the base folders (input, output, temp, user, models). Files are written through its
// handle: a symbolic link that takes the place of the folder or of one of its parents after it was opened changes nothing.
// Errors name the file or folder without the path to it, which not every client may see.
type Dir struct {
	path string // as it was opened
	root *os.Root
}

// OpenDir opens the folder path. The error is fs.ErrPermission when path, links resolved, is not inside base.
func OpenDir(base, path string) (*Dir, error) { return openDir(base, path, false) }

// MakeDir is OpenDir for a folder that may be missing in part or whole, base included: it makes the missing parts.
func MakeDir(base, path string) (*Dir, error) { return openDir(base, path, true) }

func openDir(base, path string, makeIt bool) (*Dir, error) {
	root, rel, err := Inside(base, path)
	if makeIt && errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(base, 0o777); err == nil { //nolint:gosec // the umask decides, as for files
			root, rel, err = Inside(base, path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("opening folder %s: %w", filepath.Base(path), err)
	}
	dir, err := root.OpenRoot(rel)
	if makeIt && errors.Is(err, fs.ErrNotExist) {
		if err = root.MkdirAll(rel, 0o777); err == nil {
			dir, err = root.OpenRoot(rel)
		}
	}
	if err = errors.Join(err, root.Close()); err != nil {
		return nil, fmt.Errorf("opening folder %s: %w", filepath.Base(path), err)
	}
	return &Dir{path, dir}, nil
}

// OpenFor opens the folder of the file path and returns its name there. A link at path that stays inside base is followed.
func OpenFor(base, path string) (dir *Dir, name string, err error) {
	root, rel, err := Inside(base, path)
	if err != nil {
		return nil, "", fmt.Errorf("opening the folder of %s: %w", filepath.Base(path), err)
	}
	in, err := root.OpenRoot(filepath.Dir(rel))
	if err = errors.Join(err, root.Close()); err != nil {
		return nil, "", fmt.Errorf("opening the folder of %s: %w", filepath.Base(path), err)
	}
	return &Dir{filepath.Dir(path), in}, filepath.Base(rel), nil
}

// Close gives the handle back.
func (d *Dir) Close() error { return d.root.Close() }

// file refuses names that are more than one element of a path.
func (d *Dir) file(name string) error {
	if name == "." || name == ".." || name != filepath.Base(name) || !filepath.IsLocal(name) {
		return fmt.Errorf("writing %q: %w", name, fs.ErrInvalid)
	}
	return nil
}

func (d *Dir) isThere(name string) bool {
	_, err := d.root.Lstat(name)
	return err == nil
}
