package disk

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"comfygo/folders"
	"comfygo/internal/filelock"
)

// lockFile is the file in the user folder by which servers on one base directory take turns with files that they change after
// looking at them: names of uploads, the list of users, settings.
const lockFile = "comfygo-files.lock"

// turnPatience is the time that a change waits for those of other servers.
const turnPatience = time.Minute

// Turns lets one change at a time look at files and write them, in this server and among all on the same user folder.
type Turns struct {
	// Folders are folders that share a user folder.
	Folders *folders.Folders

	mu sync.Mutex
}

// Take waits for the turn. end must be called.
func (t *Turns) Take() (end func(), err error) {
	t.mu.Lock()
	l, err := filelock.Wait(filepath.Join(t.Folders.User(), lockFile), turnPatience)
	if errors.Is(err, filelock.ErrInUse) {
		t.mu.Unlock()
		return nil, fmt.Errorf("waiting for the other servers on %s: %w", t.Folders.User(), err)
	}
	// Without locks, as without a user folder, there is one server.
	return func() {
		_ = l.Release()
		t.mu.Unlock()
	}, nil
}
