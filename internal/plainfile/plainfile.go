// Package plainfile reads small files of settings, keys and certificates with names from users: regular files only, up to a
// size limit. A pipe or a device in their place could block the program forever.
package plainfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// MaxSize bounds files of keys, secrets and certificates, in bytes.
const MaxSize = 4 << 20

// ErrNotRegular is the error for pipes, devices, sockets and folders.
var ErrNotRegular = errors.New("it is not a regular file")

// Read returns the contents of a regular file of at most limit bytes, and its file info. It never waits for a writer at the
// other end of a pipe.
func Read(path string, limit int64) ([]byte, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, &fs.PathError{Op: "read", Path: path, Err: ErrNotRegular}
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, nil, err
	}
	if int64(len(data)) > limit {
		return nil, nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it has more than %d bytes", limit)}
	}
	return data, info, nil
}
