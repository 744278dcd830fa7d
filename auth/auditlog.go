package auth

import (
	"context"
	"database/sql"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// queued is an event on its way into the file; done, if there is one, is closed when all before it are there.
type queued struct {
	event Event
	done  chan struct{}
}

// Audit implements Gate. The event is in the file soon after; when more come than can be written, the callers wait. Many
// refusals of one user within a minute become one event.
func (s *Store) Audit(ctx context.Context, e Event) {
	e.Time = s.now()
	if e.refused() {
		written, summary := s.refusals.pass(e, e.Time)
		if summary != nil {
			s.record(ctx, *summary)
		}
		if !written {
			return
		}
	}
	s.record(ctx, e)
}

// record logs an event and passes it to the scribe.
func (s *Store) record(ctx context.Context, e Event) {
	logEvent(ctx, s.log, e)
	select {
	case s.events <- queued{event: e}:
	case <-s.stop:
	}
}

// scribe writes the queued events, in batches.
func (s *Store) scribe() {
	for {
		select {
		case q := <-s.events:
			s.writeEvents(q)
		case <-s.stop:
			for {
				select {
				case q := <-s.events:
					s.writeEvents(q)
				default:
					return
				}
			}
		}
	}
}

// mostAtOnce bounds the events of one transaction.
const mostAtOnce = 512

func (s *Store) writeEvents(first queued) {
	batch := []queued{first}
	for more := true; more && len(batch) < mostAtOnce; {
		select {
		case q := <-s.events:
			batch = append(batch, q)
		default:
			more = false
		}
	}
	var events []Event
	for _, q := range batch {
		if q.done == nil {
			events = append(events, q.event)
		}
	}
	ctx := context.Background()
	err := s.tx(ctx, func(tx *sql.Tx) error { return insertEvents(ctx, tx, events...) })
	if len(events) > 0 {
		s.note(&s.writing, "writing the audit log", err)
	}
	for _, q := range batch {
		if q.done != nil {
			close(q.done)
		}
	}
}

var zeroAddr netip.Addr // for events without an address

func insertEvents(ctx context.Context, tx *sql.Tx, events ...Event) error {
	const text = "INSERT INTO audit (at, action, result, owner, name, key, address, target, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
	for _, e := range events {
		e = e.cleaned()
		if _, err := tx.ExecContext(ctx, text, e.Time.UnixMilli(), e.Action, e.Result, e.Owner, e.Name, e.KeyID, e.Addr, e.Target, e.Detail); err != nil {
			return fmt.Errorf("writing the audit log: %w", err)
		}
	}
	return nil
}

// Pages of the audit log.
const (
	defaultPage = 100
	mostPage    = 1000
)

// Events reads the audit log, the newest first. It has what was done before the call.
func (s *Store) Events(ctx context.Context, f EventFilter) ([]Event, error) {
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	where, args := f.where()
	limit := f.Limit
	if limit <= 0 {
		limit = defaultPage
	}
	query := "SELECT number, at, action, result, owner, name, key, address, target, detail FROM audit" + where + " ORDER BY number DESC LIMIT ?"
	events := []Event{}
	err := each(ctx, s.read, query, append(args, min(limit, mostPage)), func(scan func(...any) error) error {
		var e Event
		var at int64
		err := scan(&e.Number, &at, &e.Action, &e.Result, &e.Owner, &e.Name, &e.KeyID, &e.Addr, &e.Target, &e.Detail)
		e.Time = time.UnixMilli(at).UTC()
		events = append(events, e)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the audit log: %w", err)
	}
	return events, nil
}

// settle waits until the events so far are in the file.
func (s *Store) settle(ctx context.Context) error {
	q := queued{done: make(chan struct{})}
	select {
	case s.events <- q:
	case <-s.stop:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-q.done:
	case <-s.stop:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// where returns the filter as SQL. Values of the request are passed as parameters, never as text.
func (f EventFilter) where() (string, []any) {
	var parts []string
	var args []any
	add := func(given bool, text string, values ...any) {
		if given {
			parts, args = append(parts, text), append(args, values...)
		}
	}
	add(f.Action != "", "action = ?", string(f.Action))
	add(f.Result != "", "result = ?", string(f.Result))
	add(f.Owner != "", "(owner = ? OR name = ?)", f.Owner, f.Owner)
	add(f.KeyID != "", "key = ?", f.KeyID)
	add(f.Addr != "", "address = ?", f.Addr)
	add(f.Text != "", "(instr(lower(target), lower(?)) > 0 OR instr(lower(detail), lower(?)) > 0)", f.Text, f.Text)
	add(!f.Since.IsZero(), "at >= ?", f.Since.UnixMilli())
	add(!f.Before.IsZero(), "at < ?", f.Before.UnixMilli())
	add(f.Below > 0, "number < ?", f.Below)
	if len(parts) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(parts, " AND "), args
}
