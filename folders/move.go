package folders

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Stage copies r to a new hidden file in dir, a base folder, and returns its path and size. On failure nothing is left.
func Stage(dir string, r io.Reader) (path string, size int64, err error) {
	in, err := MakeDir(dir, dir)
	if err != nil {
		return "", 0, fmt.Errorf("keeping an upload: %w", err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	const mode = 0o600 // until it has its final name
	name := ".upload-" + rand.Text()
	f, err := in.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return "", 0, fmt.Errorf("keeping an upload: %w", err)
	}
	size, err = io.Copy(f, r)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", 0, errors.Join(err, in.root.Remove(name))
	}
	return filepath.Join(dir, name), size, nil
}

// Move gives a staged file in the folder dir its final path below base, whose folder exists, and replaces an existing file. On one file
// system nothing is copied.
func Move(dir, staged, base, to string) error {
	return move(dir, staged, base, to, (*Dir).take)
}

// MoveNew is Move for a path that must be free; the error is fs.ErrExist when it is not, as when another process has just taken it.
func MoveNew(dir, staged, base, to string) error {
	return move(dir, staged, base, to, (*Dir).takeNew)
}

func move(dir, staged, base, to string, take func(*Dir, *os.File, string) error) error {
	from, name, err := OpenFor(dir, staged)
	if err != nil {
		return err
	}
	f, err := from.open(name)
	if err == nil {
		const mode = 0o644 // as other files of the user
		err = errors.Join(f.Chmod(mode), place(f, base, to, take), f.Close())
	}
	if err == nil {
		err = from.root.Remove(name)
	}
	return errors.Join(err, from.Close())
}

// place puts an open file at to, below base.
func place(f *os.File, base, to string, take func(*Dir, *os.File, string) error) error {
	dir, name, err := OpenFor(base, to)
	if err != nil {
		return err
	}
	return errors.Join(take(dir, f, name), dir.Close())
}

// take puts an open file under a name, by a hard link where the system can, and replaces what has the name.
func (d *Dir) take(f *os.File, name string) error {
	temp := ".writing-" + rand.Text()
	if nameAnonymous(f, d.root, temp) != nil { // another file system, or one without hard links
		return d.Replace(name, from(f))
	}
	err := d.root.Rename(temp, name)
	if err != nil {
		err = errors.Join(err, d.root.Remove(temp))
	} else if _, bad := d.root.Lstat(temp); bad == nil { // renaming one name of a file to another of it does nothing
		err = d.root.Remove(temp)
	}
	return failed(name, err)
}

// takeNew puts an open file under a name that must be free.
func (d *Dir) takeNew(f *os.File, name string) error {
	err := nameAnonymous(f, d.root, name)
	if err == nil {
		return nil
	}
	if _, taken := d.root.Lstat(name); taken == nil {
		return failed(name, fs.ErrExist)
	}
	return d.WriteNew(name, from(f)) // another file system, or one without hard links
}

// Share makes the file path appear in dir, a base folder that may be missing, under the same name, by a hard link or a copy. A file that is
// there already stays.
func Share(path, dir string) (err error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrInvalid
	}
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	in, err := MakeDir(dir, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	name := filepath.Base(path)
	if err = nameAnonymous(f, in.root, name); err == nil || errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err = in.WriteNew(name, from(f)); errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// open opens a regular file of the folder for reading.
func (d *Dir) open(name string) (*os.File, error) {
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// from writes the contents of an open file, from its start each time.
func from(f *os.File) func(io.Writer) error {
	return func(w io.Writer) error {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		_, err := io.Copy(w, f)
		return err
	}
}
