package folders

import (
	"maps"
	"slices"
	"sync"
)

// stamp remembers the state of all folders at the last request.
type stamp struct {
	mu     sync.Mutex
	number uint64
	seen   sighting
	change uint64 // number of the store's listing
}

// Stamp returns a number that changes as soon as a file was added, removed or renamed in a model folder, in
// the input folder or below them. While Watch runs it costs one check for each search folder; else one for each folder's time,
// whatever the number of files.
func (f *Folders) Stamp() uint64 {
	roots := f.searched()
	s := &f.stamp
	change := uint64(0)
	if f.remote != nil {
		_, change = f.remote.listInputs(f.log)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.number > 0 && s.change == change && f.fresh(s.seen, roots, -1) {
		return s.number
	}
	s.change = change
	_, s.seen = f.look(roots, false)
	s.number++
	return s.number
}

// searched returns every folder in which clients are offered files.
func (f *Folders) searched() []string {
	f.mu.RLock()
	defer f.mu.RUnlock()
	roots := []string{f.input}
	for _, name := range slices.Sorted(maps.Keys(f.kinds)) {
		roots = append(roots, f.kinds[name].roots...)
	}
	slices.Sort(roots)
	return slices.Compact(roots)
}
