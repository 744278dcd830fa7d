package folders

import (
	"fmt"
	"sync"
	"time"
)

// maxCounted bounds the folders, and the names in each, whose numbers are remembered.
const maxCounted = 100

// numbering remembers the next free numbers of names in folders that only we have written to since: going through a folder takes the
// longer the more files are in it, and every saved image asks.
type numbering struct {
	mu   sync.Mutex
	dirs map[string]*numbered
}

// numbered are the numbers in a folder that changed at the time for the last time.
type numbered struct {
	changed time.Time
	next    map[string]int
}

// next returns one more than the highest number of a name in a folder, and when the folder had changed before that.
func (k *numbering) next(dir *Dir, name string) (n int, changed time.Time, err error) {
	if changed, err = changedAt(dir); err != nil { // first: what comes meanwhile is seen the next time
		return 0, changed, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if d := k.dirs[dir.path]; d != nil && d.changed.Equal(changed) {
		if n, known := d.next[name]; known {
			return n, changed, nil
		}
	}
	n, err = countFiles(dir, name)
	return n, changed, err
}

// wrote records that this process has written a file with the number before next to a folder that had last changed at the time before. If
// another process has changed it in between, the folder's numbers are forgotten.
func (k *numbering) wrote(dir *Dir, name string, next int, before time.Time) (after time.Time) {
	after, err := changedAt(dir)
	if err != nil {
		return before // the next call finds out
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	d := k.dirs[dir.path]
	switch {
	case d != nil && !d.changed.Equal(before):
		delete(k.dirs, dir.path)
		return after
	case d == nil || len(d.next) >= maxCounted:
		d = &numbered{next: map[string]int{}}
		if k.dirs == nil || len(k.dirs) >= maxCounted {
			k.dirs = map[string]*numbered{}
		}
		k.dirs[dir.path] = d
	}
	d.changed, d.next[name] = after, max(next, d.next[name])
	return after
}

func changedAt(dir *Dir) (time.Time, error) {
	info, err := dir.root.Stat(".")
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

// countFiles reads a folder's numbers.
func countFiles(dir *Dir, name string) (int, error) {
	f, err := dir.root.Open(".")
	if err != nil {
		return 0, err
	}
	names, err := f.Readdirnames(-1)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return 0, fmt.Errorf("reading folder %s: %w", dir.path, err)
	}
	next := 1
	for _, other := range names {
		if n, ok := counterOf(other, name); ok && n < maxCounter {
			next = max(next, n+1)
		}
	}
	return next, nil
}
