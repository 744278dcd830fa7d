package folders

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"comfygo/internal/filelock"
)

// tempLockName is the file beside the temp folder that every server which uses the folder keeps locked, shared.
const tempLockName = ".comfygo-temp.lock"

// tempLock is this server's share in the temp folder.
type tempLock struct {
	mu    sync.Mutex
	taken bool           // between Prepare and RemoveTemp
	lock  *filelock.Lock // nil also where the file system has no locks
}

// tempPatience is the time that a start waits while another server empties the folder.
const tempPatience = 10 * time.Second

// takeTemp empties the temp folder if no other server uses it, and records that this one does.
func (f *Folders) takeTemp() (err error) {
	f.temporary.mu.Lock()
	defer f.temporary.mu.Unlock()
	defer func() {
		if f.temporary.taken = err == nil; !f.temporary.taken {
			err = errors.Join(err, f.temporary.lock.Release())
			f.temporary.lock = nil
		}
	}()
	parent := filepath.Dir(f.temp)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return fmt.Errorf("making folder %s: %w", parent, err)
	}
	path := filepath.Join(parent, tempLockName)
	for until := time.Now().Add(tempPatience); ; {
		lock, err := filelock.Exclusive(path)
		if err == nil {
			f.temporary.lock = lock
			return errors.Join(f.emptyTemp(), lock.Share())
		}
		if !errors.Is(err, filelock.ErrInUse) {
			return f.emptyTemp() // no locks here: as if there was one server
		}
		if f.temporary.lock, err = filelock.Shared(path); err == nil {
			return nil // what is there belongs to the others
		}
		if !errors.Is(err, filelock.ErrInUse) || time.Now().After(until) {
			return fmt.Errorf("sharing the temp folder %s with another server: %w", f.temp, err)
		}
		const pause = 10 * time.Millisecond
		time.Sleep(pause)
	}
}

// RemoveTemp removes the temp folder with all that is in it, unless another server uses it. Call it at the end.
func (f *Folders) RemoveTemp() error {
	f.temporary.mu.Lock()
	defer f.temporary.mu.Unlock()
	lock, taken := f.temporary.lock, f.temporary.taken
	f.temporary.lock, f.temporary.taken = nil, false
	if !taken {
		return nil
	}
	if lock == nil {
		return f.emptyTemp()
	}
	if err := lock.Sole(); err != nil {
		return lock.Release() // the last one removes it
	}
	return errors.Join(f.emptyTemp(), lock.Release())
}

// LeaveTemp gives up this server's share in the temp folder and leaves the files there, which other machines may read.
func (f *Folders) LeaveTemp() error {
	f.temporary.mu.Lock()
	defer f.temporary.mu.Unlock()
	lock := f.temporary.lock
	f.temporary.lock, f.temporary.taken = nil, false
	return lock.Release()
}

func (f *Folders) emptyTemp() error {
	if err := os.RemoveAll(f.temp); err != nil {
		return fmt.Errorf("emptying the temp folder: %w", err)
	}
	return nil
}

// InUse reports whether a server uses these folders now. If the file system has no locks it cannot detect that.
func (f *Folders) InUse() (bool, error) {
	path := filepath.Join(filepath.Dir(f.temp), tempLockName)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	lock, err := filelock.Exclusive(path)
	if errors.Is(err, filelock.ErrInUse) {
		return true, nil
	}
	if err != nil {
		return false, nil //nolint:nilerr // no locks here
	}
	return false, lock.Release()
}
