package residency

import (
	"context"
	"slices"
	"sync"

	"comfygo/engine/ort"
)

// ring keeps parts of a region from being written to while they are in use.
type ring struct {
	mu   sync.Mutex
	free sync.Cond
	live [][2]int // from and to, the oldest first
}

func newRing() *ring {
	r := &ring{}
	r.free.L = &r.mu
	return r
}

// take waits until n bytes at a place are free, and takes them. It is false when ctx ends before.
func (r *ring) take(ctx context.Context, at, n int) bool {
	stop := context.AfterFunc(ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.free.Broadcast()
	})
	defer stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	for slices.ContainsFunc(r.live, func(l [2]int) bool { return l[0] < at+n && at < l[1] }) {
		if ctx.Err() != nil {
			return false
		}
		r.free.Wait()
	}
	r.live = append(r.live, [2]int{at, at + n})
	return ctx.Err() == nil
}

// give frees what was taken first.
func (r *ring) give() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.live = r.live[1:]
	r.free.Broadcast()
}

// pin returns pinned memory of the host within the budget, nil where that does not allow it.
func (s *Sessions) pin(lib *ort.Runtime, d ort.Device, size int) *ort.Pinned {
	if free := s.available(ort.Device{}); size == 0 || free >= 0 && free/2 < int64(size) {
		return nil
	}
	if s.pinned.Add(int64(size)) > s.cfg.Pinned {
		s.pinned.Add(-int64(size))
		return nil
	}
	p, err := lib.NewPinned(d, size)
	if err != nil {
		s.pinned.Add(-int64(size))
		return nil
	}
	return p
}

func (s *Sessions) unpin(p *ort.Pinned) {
	if p != nil {
		s.pinned.Add(-int64(len(p.Data)))
		p.Close()
	}
}
