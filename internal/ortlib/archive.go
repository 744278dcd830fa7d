package ortlib

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// maxLibrary bounds what is unpacked for a file of unknown size, so that a bad archive cannot fill the disk.
const maxLibrary = 1 << 30

// extract takes the wanted files out of a wheel (zip) or a .tgz and writes them, by base name, into dir.
func extract(archive string, files []File, dir string) error {
	wanted := make(map[string]int64, len(files)) // to the most bytes it may have
	for _, f := range files {
		wanted[f.Member] = maxLibrary
		if f.Size > 0 {
			wanted[f.Member] = f.Size
		}
	}
	var err error
	if strings.HasSuffix(archive, ".tgz") || strings.HasSuffix(archive, ".tar.gz") {
		err = untar(archive, wanted, dir)
	} else {
		err = unzip(archive, wanted, dir)
	}
	if err != nil {
		return fmt.Errorf("unpacking %s: %w", filepath.Base(archive), err)
	}
	for _, f := range files {
		if _, missing := wanted[f.Member]; missing {
			return fmt.Errorf("unpacking %s: it does not hold %s", filepath.Base(archive), f.Member)
		}
	}
	return nil
}

func unzip(archive string, wanted map[string]int64, dir string) error {
	z, err := zip.OpenReader(archive)
	if err != nil {
		return err
	}
	defer func() { _ = z.Close() }()
	for _, member := range z.File {
		limit, ok := wanted[member.Name]
		if !ok {
			continue
		}
		r, err := member.Open()
		if err != nil {
			return err
		}
		err = write(filepath.Join(dir, path.Base(member.Name)), r, limit)
		if err = errors.Join(err, r.Close()); err != nil {
			return err
		}
		delete(wanted, member.Name)
	}
	return nil
}

func untar(archive string, wanted map[string]int64, dir string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	gz, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	for r := tar.NewReader(gz); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := path.Clean(h.Name)
		limit, ok := wanted[name]
		if h.Typeflag != tar.TypeReg || !ok {
			continue
		}
		if err := write(filepath.Join(dir, path.Base(name)), r, limit); err != nil {
			return err
		}
		delete(wanted, name)
	}
}

func write(path string, r io.Reader, limit int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	n, err := io.Copy(f, io.LimitReader(r, limit+1))
	if err == nil && n > limit {
		err = fmt.Errorf("%s is larger than %d bytes", filepath.Base(path), limit)
	}
	return errors.Join(err, f.Close())
}
