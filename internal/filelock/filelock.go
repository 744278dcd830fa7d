// Package filelock holds advisory locks on files, by which processes agree on the user of a file or a folder. A lock ends
// with its process, however that ends.
package filelock

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// ErrInUse means that another process, or another part of this one, holds the lock.
var ErrInUse = errors.New("it is in use")

// Lock is a held lock. It is not safe for concurrent use.
type Lock struct{ file *os.File }

// Exclusive takes the lock of a file for one holder alone, and makes the file if need be. It does not wait.
func Exclusive(path string) (*Lock, error) { return lock(path, true) }

// Shared takes the lock of a file for one of many holders. It does not wait for an exclusive one.
func Shared(path string) (*Lock, error) { return lock(path, false) }

func lock(path string, exclusive bool) (*Lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := take(f, exclusive); err != nil {
		_ = f.Close()
		if errors.Is(err, ErrInUse) {
			return nil, err
		}
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return &Lock{f}, nil
}

// Sole makes a shared lock an exclusive one; it fails with ErrInUse, and may lose the lock, while others hold it.
func (l *Lock) Sole() error { return retake(l.file, true) }

// Share makes an exclusive lock a shared one.
func (l *Lock) Share() error { return retake(l.file, false) }

// Release releases the lock. The file stays, since others may be about to lock it. Release of nil does nothing.
func (l *Lock) Release() error {
	if l == nil {
		return nil
	}
	return l.file.Close()
}

// Wait takes the lock of a file for one holder alone and waits for others up to a time.
func Wait(path string, patience time.Duration) (*Lock, error) {
	const pause = 2 * time.Millisecond
	for until := time.Now().Add(patience); ; time.Sleep(pause) {
		l, err := Exclusive(path)
		if !errors.Is(err, ErrInUse) || time.Now().After(until) {
			return l, err
		}
	}
}
