package pyhost

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Create makes a new file in the folder for tensors that the process may read and remove. The name must not be there yet.
func (s *Session) Create(name string) (*os.File, error) {
	path := filepath.Join(s.host.shared, name)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|openFlags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("making a file in shared memory: %w", err)
	}
	if err := s.host.cfg.User.own(path); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return f, nil
}

// Open opens a file that the process has put into the folder for tensors. It is a plain file of that folder, or an error.
func (s *Session) Open(path string) (*os.File, error) {
	if filepath.Dir(path) != filepath.Clean(s.host.shared) {
		return nil, errors.New("a tensor's file lies outside of the folder of shared memory")
	}
	f, err := os.OpenFile(path, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, fmt.Errorf("opening a file in shared memory: %w", err)
	}
	info, err := f.Stat()
	if err == nil && info.Mode().Type() != 0 {
		err = fmt.Errorf("opening %s in shared memory: it is no plain file but %s", filepath.Base(path), info.Mode().Type()&fs.ModeType)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
