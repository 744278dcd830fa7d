package auth

import "sync"

// watchers are notified of principals that end.
type watchers struct {
	mu    sync.Mutex
	next  int
	all   map[int]func(Revocation)
	calls sync.Mutex // held while they are called, so that each sees one call at a time
}

// add is Gate.Watch.
func (w *watchers) add(f func(Revocation)) (stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[int]func(Revocation){}
	}
	n := w.next
	w.next++
	w.all[n] = f
	return func() {
		w.mu.Lock()
		delete(w.all, n)
		w.mu.Unlock()
		w.calls.Lock()
		defer w.calls.Unlock() // running calls have returned
	}
}

// tell calls all watchers once for each revocation, in order. No lock of a gate may be held.
func (w *watchers) tell(rs ...Revocation) {
	if len(rs) == 0 {
		return
	}
	w.calls.Lock()
	defer w.calls.Unlock()
	for _, r := range rs {
		for _, f := range w.list() {
			f(r)
		}
	}
}

func (w *watchers) list() []func(Revocation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fs := make([]func(Revocation), 0, len(w.all))
	for n := range w.next {
		if f := w.all[n]; f != nil {
			fs = append(fs, f)
		}
	}
	return fs
}
