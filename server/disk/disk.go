package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"comfygo/folders"
)

// Disk reads and writes files with names that come partly from untrusted input. Below one of its roots everything is done
// through an os.Root, so that no link leads out, not even one that appears between the check of a name and its use. Other
// paths, those of models and packs, come from listings and are used unchanged.
type Disk struct{ roots []string }

// New guards the folders that untrusted input writes to, and others.
func New(f *folders.Folders, more ...string) Disk {
	d := Disk{roots: []string{f.Input(), f.Output(), f.Temp(), f.User()}}
	for _, m := range more {
		if m != "" {
			d.roots = append(d.roots, m)
		}
	}
	return d
}

// In is the disk with one more root.
func (d Disk) In(dir string) Disk { return Disk{append([]string{dir}, d.roots...)} }

// base is the innermost root that contains path, or "".
func (d Disk) base(path string) string {
	best := ""
	for _, r := range d.roots {
		if len(r) > len(best) && LexicallyWithin(r, path) {
			best = r
		}
	}
	return best
}

// baseOr returns base, or the folder of a file that is below no base.
func (d Disk) baseOr(path string) string {
	if base := d.base(path); base != "" {
		return base
	}
	return filepath.Dir(path)
}

// at calls f with the root that contains path and the path below it.
func (d Disk) at(path string, f func(root *os.Root, rel string) error) (guarded bool, err error) {
	best := d.base(path)
	if best == "" {
		return false, nil
	}
	root, rel, err := folders.Inside(best, path)
	if err != nil {
		return true, err
	}
	return true, errors.Join(f(root, rel), root.Close())
}

// Open opens a regular file.
func (d Disk) Open(path string) (f *os.File, info fs.FileInfo, err error) {
	guarded, err := d.at(path, func(root *os.Root, rel string) error {
		f, info, err = OpenRegular(rel, root.Stat, root.Open)
		return err
	})
	if !guarded {
		return OpenRegular(path, os.Stat, os.Open)
	}
	return f, info, err
}

// OpenRegular opens a regular file by the functions given and refuses pipes, devices and folders before and after opening.
func OpenRegular(path string, stat func(string) (fs.FileInfo, error), open func(string) (*os.File, error)) (*os.File, fs.FileInfo, error) {
	if info, err := stat(path); err != nil {
		return nil, nil, err
	} else if !info.Mode().IsRegular() { // opening a pipe would wait for its writer
		return nil, nil, errNoRegularFile
	}
	f, err := open(path)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errNoRegularFile
	}
	if err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// Read returns a whole file of at most limit bytes.
func (d Disk) Read(path string, limit int64) ([]byte, error) {
	f, info, err := d.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info.Size() > limit {
		return nil, fmt.Errorf("%s has %d bytes", filepath.Base(path), info.Size())
	}
	return io.ReadAll(io.LimitReader(f, limit))
}

// MakeDir makes a folder and those above it.
func (d Disk) MakeDir(path string) error {
	base := d.base(path)
	if base == "" {
		base = path
	}
	dir, err := folders.MakeDir(base, path)
	if err != nil {
		return err
	}
	return dir.Close()
}

// Write writes a file beside its final name and renames it, so that half of it is never visible.
func (d Disk) Write(path string, write func(io.Writer) error) error {
	dir, name, err := folders.OpenFor(d.baseOr(path), path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Replace(name, write), dir.Close())
}

// Move puts a staged file, which is not visible yet, under its final name.
func (d Disk) Move(from, to string) error {
	return folders.Move(d.baseOr(from), from, d.baseOr(to), to)
}

// MoveNew is Move for a path that must be free; the error is fs.ErrExist when it is not.
func (d Disk) MoveNew(from, to string) error {
	return folders.MoveNew(d.baseOr(from), from, d.baseOr(to), to)
}

// Remove deletes a file or a link, not what the link leads to.
func (d Disk) Remove(path string) error {
	dir, name := filepath.Split(path)
	guarded, err := d.at(filepath.Clean(dir), func(root *os.Root, rel string) error { return root.Remove(filepath.Join(rel, name)) })
	if !guarded {
		return os.Remove(path)
	}
	return err
}

// Rename moves a file within one root.
func (d Disk) Rename(from, to string) error {
	guarded, err := d.at(filepath.Dir(from), func(root *os.Root, rel string) error {
		other, target, err := folders.Inside(root.Name(), filepath.Dir(to))
		if err != nil {
			return err
		}
		_ = other.Close()
		return root.Rename(filepath.Join(rel, filepath.Base(from)), filepath.Join(target, filepath.Base(to)))
	})
	if !guarded {
		return os.Rename(from, to)
	}
	return err
}

// Full reports whether an error comes from a disk without room, or from its quota being used up.
func Full(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// NamedWrong reports whether an error of the disk comes from the name that a client gave.
func NamedWrong(err error) bool {
	for _, e := range []error{
		fs.ErrNotExist, fs.ErrPermission, fs.ErrInvalid, errNoRegularFile, syscall.ENAMETOOLONG, syscall.ENOTDIR, syscall.EISDIR, syscall.ELOOP, syscall.EILSEQ, syscall.EINVAL,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
