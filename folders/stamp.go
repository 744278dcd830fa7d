package folders

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// stamp remembers how all folders were when somebody asked last.
type stamp struct {
	mu     sync.Mutex
	number uint64
	roots  []string
	seen   listing
}

// Stamp returns a number that is another one as soon as a file has come, gone or changed its name in a model folder, in
// the input folder or below them. It costs a look at each folder's time, however many files there are.
func (f *Folders) Stamp() uint64 {
	f.mu.RLock()
	roots := []string{f.input}
	for _, name := range slices.Sorted(maps.Keys(f.kinds)) {
		roots = append(roots, f.kinds[name].roots...)
	}
	f.mu.RUnlock()
	slices.Sort(roots)
	roots = slices.Compact(roots)

	s := &f.stamp
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.number > 0 && slices.Equal(roots, s.roots) && s.seen.fresh(roots) {
		return s.number
	}
	s.roots, s.seen = roots, listing{dirs: map[string]time.Time{}, at: time.Now()}
	for _, root := range roots {
		walk(root, s.seen.dirs)
	}
	s.number++
	return s.number
}
