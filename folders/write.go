package folders

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteNew writes a file that must not exist yet, with write, which may be called twice. It appears under its name when it is whole. When anything fails, a full disk
// included, nothing is left behind. The error is fs.ErrExist when the name is taken.
func WriteNew(path string, write func(io.Writer) error) error {
	f, err := openAnonymous(filepath.Dir(path))
	if err != nil { // the file system cannot, or the other way finds the words for what is wrong
		return writeBeside(path, write)
	}
	w := bufio.NewWriterSize(f, 1<<16)
	if err = write(w); err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = nameAnonymous(f, path)
		switch {
		case err == nil || errors.Is(err, fs.ErrExist):
		case isThere(path):
			err = fs.ErrExist
		default: // without /proc it cannot be named
			return errors.Join(writeBeside(path, write), f.Close())
		}
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// writeBeside is WriteNew by way of a hidden file beside the new one.
func writeBeside(path string, write func(io.Writer) error) (err error) {
	temp := filepath.Join(filepath.Dir(path), ".writing-"+rand.Text())
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() {
		if removeErr := os.Remove(temp); removeErr != nil && !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
	}()
	if err := fill(f, write); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	err = os.Link(temp, path) // unlike a rename it never replaces what another job wrote meanwhile
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if isThere(path) {
		return fmt.Errorf("writing %s: %w", path, fs.ErrExist)
	}
	if err := os.Rename(temp, path); err != nil { // file systems without hard links
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// Replace writes a file with write; it takes the place of an older one when it is whole. When anything fails the older one stays.
func Replace(path string, write func(io.Writer) error) (err error) {
	temp := filepath.Join(filepath.Dir(path), ".writing-"+rand.Text())
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() {
		if removeErr := os.Remove(temp); removeErr != nil && !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
	}()
	if err := fill(f, write); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

func isThere(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func fill(f *os.File, write func(io.Writer) error) error {
	b := bufio.NewWriterSize(f, 1<<16)
	err := write(b)
	if err == nil {
		err = b.Flush()
	}
	return errors.Join(err, f.Close())
}

// maxTries bounds the numbers that Write tries when others take them.
const maxTries = 10000

// Write writes the n-th file of a batch (from 0) with an ending such as ".png" and returns its name. When another job
// has taken the name since s was made, the next free number is used and s.Counter moves on.
func (s *SavePath) Write(n int, ext string, write func(io.Writer) error) (name string, err error) {
	for range maxTries {
		name = s.Name(n, ext)
		err = WriteNew(filepath.Join(s.Dir, name), write)
		if err == nil && s.numbers != nil {
			s.changed = s.numbers.wrote(s.Dir, s.Filename, s.Counter+n+1, s.changed)
		}
		if !errors.Is(err, fs.ErrExist) {
			return name, err
		}
		s.Counter++
	}
	return "", err
}
