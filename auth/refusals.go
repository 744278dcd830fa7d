package auth

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

const (
	// refusalWindow is the time in which refusals of one user are counted together, and refusalsShown how many of them are
	// written one by one; the others become one event with their number.
	refusalWindow = time.Minute
	refusalsShown = 20
	// refusalShare is the part of the rows of the audit log that refusals may take, so that they never push out what was done.
	refusalShare = 4
)

// refused reports whether an event is a refused request. Lock-outs, each of which ends many refusals, are not counted as
// refused requests.
func (e Event) refused() bool {
	return e.Result != ResultOK && e.Action != ActionLockOut
}

// refusals bounds how many refusals are written, by user or, without one, by network: a user without permissions can send
// many requests.
type refusals struct {
	mu  sync.Mutex
	all map[refuser]*refusedCount
}

type refuser struct {
	owner string
	from  netip.Prefix // without an owner
}

type refusedCount struct {
	begun  time.Time
	count  int
	last   Event // the newest that was not written
	hidden int
}

// pass reports whether a refusal is to be written. summary, when it is not empty, counts the earlier ones that were not.
func (r *refusals) pass(e Event, now time.Time) (written bool, summary *Event) {
	who := refuser{owner: e.Owner}
	if addr, err := netip.ParseAddr(e.Addr); e.Owner == "" && err == nil {
		who.from = network(addr)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.all[who]
	if c == nil || now.Sub(c.begun) >= refusalWindow || now.Before(c.begun) {
		if c != nil {
			summary = c.summary(now)
		}
		if r.all == nil {
			r.all = map[refuser]*refusedCount{}
		}
		for other := range r.all {
			if len(r.all) < mostAddresses {
				break
			}
			delete(r.all, other)
		}
		c = &refusedCount{begun: now}
		r.all[who] = c
	}
	if c.count++; c.count > refusalsShown {
		c.last = e
		c.hidden++
		return false, summary
	}
	return true, summary
}

// summary returns the event for those that were not written, or nil if all were.
func (c *refusedCount) summary(now time.Time) *Event {
	if c.hidden == 0 {
		return nil
	}
	e := c.last
	e.Time = now
	e.Detail = fmt.Sprintf("and %d more refusals from %s on, of which this is the last: %s", c.hidden, c.begun.UTC().Format(time.RFC3339), e.Detail)
	c.hidden = 0
	return &e
}

// sweep returns the summaries of windows that are over, or of all.
func (r *refusals) sweep(now time.Time, all bool) []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Event
	for who, c := range r.all {
		if all || now.Sub(c.begun) >= refusalWindow || now.Before(c.begun) {
			if e := c.summary(now); e != nil {
				out = append(out, *e)
			}
			delete(r.all, who)
		}
	}
	return out
}

// tellRefusals writes the summaries that are due.
func (s *Store) tellRefusals(ctx context.Context, all bool) {
	for _, e := range s.refusals.sweep(s.now(), all) {
		s.record(ctx, e)
	}
}
