package auth

import (
	"net/netip"
	"sync"
	"time"
)

// quietFor is the time for which the same refusal is not recorded again: otherwise a program that keeps using
// an expired key, or a stolen key, would fill the log.
const quietFor = time.Minute

// quiet remembers refusals.
type quiet struct {
	mu   sync.Mutex
	said map[refusal]time.Time
}

type refusal struct {
	from netip.Prefix
	key  string
	why  string
}

// say reports whether a refusal is to be written down.
func (q *quiet) say(r refusal, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if last, ok := q.said[r]; ok && now.Sub(last) < quietFor {
		return false
	}
	if q.said == nil || len(q.said) >= mostAddresses {
		q.said = map[refusal]time.Time{}
	}
	q.said[r] = now
	return true
}

func (q *quiet) sweep(now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for r, last := range q.said {
		if now.Sub(last) >= quietFor {
			delete(q.said, r)
		}
	}
}
