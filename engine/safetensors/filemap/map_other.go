//go:build !unix

package filemap

import (
	"io"
	"os"
)

// load reads the file: without mmap the bytes are private memory.
func load(h *os.File, size int) ([]byte, bool, error) {
	data := make([]byte, size)
	_, err := io.ReadFull(h, data)
	return data, false, err
}

func unload([]byte) error { return nil }

func release(_, _ []byte) {}
