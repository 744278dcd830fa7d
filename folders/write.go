package folders

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// WriteNew writes a file that must not exist yet, with write, which may be called twice. It appears under its name when it is whole. When anything fails, a full disk
// included, nothing is left behind. The error is fs.ErrExist when the name is taken.
func (d *Dir) WriteNew(name string, write func(io.Writer) error) error {
	if err := d.file(name); err != nil {
		return err
	}
	f, err := openAnonymous(d.root)
	if err != nil { // the file system cannot, or the other way finds the words for what is wrong
		return d.writeBeside(name, write)
	}
	w := bufio.NewWriterSize(f, 1<<16)
	if err = write(w); err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = nameAnonymous(f, d.root, name)
		switch {
		case err == nil || errors.Is(err, fs.ErrExist):
		case d.isThere(name):
			err = fs.ErrExist
		default: // without /proc it cannot be named
			return errors.Join(d.writeBeside(name, write), f.Close())
		}
	}
	return failed(name, errors.Join(err, f.Close()))
}

// writeBeside is WriteNew by way of a hidden file beside the new one.
func (d *Dir) writeBeside(name string, write func(io.Writer) error) error {
	return d.staged(name, write, func(temp string) error {
		err := d.root.Link(temp, name) // unlike a rename it never replaces what another job wrote meanwhile
		switch {
		case err == nil || errors.Is(err, fs.ErrExist):
			return err
		case d.isThere(name):
			return fs.ErrExist
		}
		return d.root.Rename(temp, name) // file systems without hard links
	})
}

// Replace writes a file with write; it takes the place of an older one when it is whole. When anything fails the older one stays.
func (d *Dir) Replace(name string, write func(io.Writer) error) error {
	if err := d.file(name); err != nil {
		return err
	}
	return d.staged(name, write, func(temp string) error { return d.root.Rename(temp, name) })
}

// staged writes a hidden file and calls place to put it under its name; the hidden one is gone afterwards.
func (d *Dir) staged(name string, write func(io.Writer) error, place func(temp string) error) (err error) {
	temp := ".writing-" + rand.Text()
	f, err := d.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return failed(name, err)
	}
	defer func() {
		if removeErr := d.root.Remove(temp); removeErr != nil && !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
	}()
	b := bufio.NewWriterSize(f, 1<<16)
	if err = write(b); err == nil {
		err = b.Flush()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = place(temp)
	}
	return failed(name, err)
}

// failed names the file in an error.
func failed(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("writing %s: %w", name, err)
}

// maxTries bounds the numbers that Write tries when others take them.
const maxTries = 10000

// Write writes the n-th file of a batch (from 0) with an ending such as ".png" and returns its name. If another job has taken the
// name since s was made, the next free number is used and s.Counter is increased.
func (s *SavePath) Write(n int, ext string, write func(io.Writer) error) (name string, err error) {
	dir, err := OpenDir(s.base, s.Dir)
	if err != nil {
		return "", fmt.Errorf("saving in %s: %w", s.Dir, err)
	}
	defer func() {
		if err = errors.Join(err, dir.Close()); err != nil {
			err = fmt.Errorf("saving in %s: %w", s.Dir, err)
		}
	}()
	for range maxTries {
		name = s.Name(n, ext)
		err = dir.WriteNew(name, write)
		if err == nil && s.numbers != nil {
			s.changed = s.numbers.wrote(dir, s.Filename, s.Counter+n+1, s.changed)
		}
		if err == nil {
			err = s.store(dir, name, n)
		}
		if !errors.Is(err, fs.ErrExist) {
			return name, err
		}
		s.Counter++
	}
	return "", err
}
