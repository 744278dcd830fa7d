package disk

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Exists reports whether a path leads to anything.
func Exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// LexicallyWithin reports whether a cleaned path is dir or below it, without looking at the disk.
func LexicallyWithin(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// Join is Python's os.path.join and normpath: an absolute second part wins.
func Join(dir, name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(dir, name)
}

// Same reports whether two files have the same content.
func (d Disk) Same(a, b string) (bool, error) {
	fa, ia, err := d.Open(a)
	if err != nil {
		return false, err
	}
	defer fa.Close()
	fb, ib, err := d.Open(b)
	if err != nil {
		return false, err
	}
	defer fb.Close()
	if ia.Size() != ib.Size() {
		return false, nil
	}
	bufA, bufB := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, errA := io.ReadFull(fa, bufA)
		m, errB := io.ReadFull(fb, bufB)
		if !bytes.Equal(bufA[:n], bufB[:m]) {
			return false, nil
		}
		if errA != nil || errB != nil {
			return endOfFile(errA) && endOfFile(errB), nil
		}
	}
}

func endOfFile(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
