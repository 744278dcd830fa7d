package frontend

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// unpack writes the files of a zip archive below dir. Names that lead out of it are refused, and so is an archive that
// holds more than limit bytes.
func unpack(archive, dir string, limit int64) error {
	z, err := zip.OpenReader(archive)
	if err != nil {
		return fmt.Errorf("unpacking %s: %w", filepath.Base(archive), err)
	}
	defer func() { _ = z.Close() }()
	left := limit
	for _, member := range z.File {
		if strings.HasSuffix(member.Name, "/") {
			continue // folders are made for their files
		}
		if !member.Mode().IsRegular() || !filepath.IsLocal(filepath.FromSlash(member.Name)) {
			return fmt.Errorf("unpacking %s: %q is no name of a file in it", filepath.Base(archive), member.Name)
		}
		n, err := unpackOne(member, filepath.Join(dir, filepath.FromSlash(member.Name)), left)
		if err != nil {
			return fmt.Errorf("unpacking %s: %w", filepath.Base(archive), err)
		}
		left -= n
	}
	return nil
}

// unpackOne writes one file of at most limit bytes and returns its size.
func unpackOne(member *zip.File, path string, limit int64) (int64, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return 0, err
	}
	r, err := member.Open()
	if err != nil {
		return 0, err
	}
	defer func() { _ = r.Close() }()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(f, io.LimitReader(r, limit+1))
	if err == nil && n > limit {
		err = errors.New("it holds more than it should")
	}
	return n, errors.Join(err, f.Close())
}
