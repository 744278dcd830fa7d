package queue

import (
	"slices"
	"sync"
	"time"
)

// memory is the store of a queue that does not outlive its process.
type memory struct {
	mu     sync.Mutex
	rows   map[int64][]byte
	events []Event // the last ones
	number int64   // of the last event
	outbox []Delivery
	hooks  int64 // number of the last message
}

// memoryEvents bounds the log of events.
const memoryEvents = 2000

// NewMemory makes a store that forgets everything when the process ends.
func NewMemory() Store { return &memory{rows: map[int64][]byte{}} }

// Load implements Store.
func (m *memory) Load() (Saved, error) { return Saved{}, nil }

// Submit implements Store.
func (m *memory) Submit(b Batch) (wait func() error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range b.Changes {
		m.apply(c)
	}
	for _, e := range b.Events {
		m.number++
		e.Number = m.number
		m.events = append(m.events, e)
	}
	if len(m.events) > 2*memoryEvents {
		m.events = append([]Event(nil), m.events[len(m.events)-memoryEvents:]...)
	}
	return kept
}

func kept() error { return nil }

func (m *memory) apply(c Change) {
	switch c := c.(type) {
	case Finished:
		delete(m.rows, c.Replaced)
		delete(m.rows, c.Evicted)
		m.rows[c.Job.seq] = rowText(c.Job.text, c.Tail)
	case Forgotten:
		if c.All {
			clear(m.rows)
		}
		for _, seq := range c.Seqs {
			delete(m.rows, seq)
		}
	case HookAdded:
		m.hooks++
		c.Delivery.Number = m.hooks
		m.outbox = append(m.outbox, c.Delivery)
	case HookDone:
		m.outbox = slices.DeleteFunc(m.outbox, func(d Delivery) bool { return d.Number == c.Number })
	case HookPostponed:
		for i := range m.outbox {
			if m.outbox[i].Number == c.Number {
				m.outbox[i].Attempts, m.outbox[i].Due = c.Attempts, c.Due
			}
		}
	}
}

// Rows implements Store.
func (m *memory) Rows(seqs []int64) ([][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([][]byte, len(seqs))
	for i, seq := range seqs {
		out[i] = m.rows[seq]
	}
	return out, nil
}

// Events implements Store.
func (m *memory) Events(s Scope, after int64, limit int) ([]Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	from := 0
	if len(m.events) > 0 {
		from = int(min(int64(len(m.events)), max(0, after+1-m.events[0].Number)))
	}
	var out []Event
	for _, e := range m.events[from:] {
		if len(out) >= limit {
			break
		}
		if s.Has(e.Owner) {
			out = append(out, e)
		}
	}
	return out, nil
}

// Due implements Store.
func (m *memory) Due(now time.Time, limit int) (due []Delivery, next time.Time, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.outbox {
		switch {
		case !d.Due.After(now):
			if len(due) < limit {
				due = append(due, d)
			}
		case next.IsZero() || d.Due.Before(next):
			next = d.Due
		}
	}
	return due, next, nil
}

// Err implements Store.
func (m *memory) Err() error { return nil }

// Probe implements Store.
func (m *memory) Probe() {}

// Durable implements Store.
func (m *memory) Durable() bool { return false }

// Close implements Store.
func (m *memory) Close() error { return nil }
