package conformance

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// baseFolders are the folders of the fixtures that make a base folder.
var baseFolders = []string{"input", "output", "models", "user", "custom_nodes", "webroot"}

// Unpack puts the fixtures into a folder.
func Unpack(dir string) error {
	recordings, err := Dir()
	if err != nil {
		return err
	}
	f, err := os.Open(filepath.Join(recordings, "fixtures.tar.gz"))
	if err != nil {
		return fmt.Errorf("unpacking the fixtures: %w", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("unpacking the fixtures: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("unpacking the fixtures: %w", err)
	}
	defer root.Close()
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("unpacking the fixtures: %w", err)
		}
		if err := unpackEntry(root, h, r); err != nil {
			return fmt.Errorf("unpacking the fixture %s: %w", h.Name, err)
		}
	}
}

func unpackEntry(root *os.Root, h *tar.Header, r io.Reader) error {
	if h.Typeflag == tar.TypeDir {
		return root.MkdirAll(filepath.Clean(h.Name), 0o755)
	}
	f, err := root.Create(filepath.Clean(h.Name))
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

// Base makes a fresh base folder of the fixtures. Its files have fixed, increasing times, so that lists sorted by time are
// always the same.
func Base(fixtures, dir string) error {
	for _, name := range baseFolders {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(fixtures, name))); err != nil {
			return fmt.Errorf("making a base folder: %w", err)
		}
	}
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("making a base folder: %w", err)
	}
	slices.Sort(files)
	const begin, step = 1700000000, 10
	for i, f := range files {
		at := time.Unix(int64(begin+i*step), 0)
		if err := os.Chtimes(f, at, at); err != nil {
			return fmt.Errorf("making a base folder: %w", err)
		}
	}
	return nil
}
