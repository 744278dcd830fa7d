package auth

import (
	"context"
	"database/sql"
	"fmt"
	"sync/atomic"
	"time"
)

// Interval of the store's work that is not urgent.
const (
	flushEvery = 30 * time.Second
	pruneEvery = time.Hour
	tryAfter   = 20 // looks
)

// keep is the store's goroutine: it notices changes by other processes, reports keys that expire, writes the times of
// last use and drops expired entries.
func (s *Store) keep(poll *sql.Conn) {
	ctx := context.Background()
	tick := time.NewTicker(s.o.Poll)
	defer tick.Stop()
	var version int64
	seen := s.now()
	flushed, pruned, tried := time.Now(), time.Time{}, time.Now()
	for {
		select {
		case <-s.stop:
			s.note(&s.writing, "writing the last use of keys", s.flush(ctx))
			if err := poll.Close(); err != nil {
				s.log.Warn("closing the key store", "error", err)
			}
			return
		case <-tick.C:
		}
		s.note(&s.reading, "looking at the key store", s.look(ctx, poll, &version))
		now := s.now()
		s.expire(seen, now)
		seen = now
		if s.writing.Load() != nil && time.Since(tried) >= s.o.Poll*tryAfter {
			tried = time.Now()
			s.note(&s.writing, "writing the key store", s.tryWriting(ctx))
		}
		if time.Since(flushed) >= flushEvery {
			flushed = time.Now()
			s.note(&s.writing, "writing the last use of keys", s.flush(ctx))
			s.verified.sweep(now)
			s.lockouts.sweep(now)
			s.buckets.sweep(now)
			s.quiet.sweep(now)
			s.tellRefusals(ctx, false)
		}
		if time.Since(pruned) >= pruneEvery {
			pruned = time.Now()
			s.note(&s.writing, "tidying the key store", s.prune(ctx))
		}
	}
}

// note records a fault of reading or writing the file for Err, and logs changes.
func (s *Store) note(of *atomic.Pointer[error], what string, err error) {
	if err == nil {
		if of.Swap(nil) != nil {
			s.log.Info("the key store works again: " + what)
		}
		return
	}
	err = fmt.Errorf("%s: %w", what, err)
	if of.Swap(&err) == nil {
		s.log.Error(err.Error())
	}
}

// tryWriting writes nothing new, to see whether a file that could not be written can be again.
func (s *Store) tryWriting(ctx context.Context) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE meta SET value = value WHERE key = 'generation'")
		return err
	})
}

// look loads the file if another connection has changed it. SQLite counts commits of others in data_version, which
// takes a few microseconds to read; only a new generation is worth reading.
func (s *Store) look(ctx context.Context, poll *sql.Conn, version *int64) error {
	var now int64
	if err := poll.QueryRowContext(ctx, "PRAGMA data_version").Scan(&now); err != nil {
		return err
	}
	if now == *version && !s.stale.Load() {
		return nil
	}
	generation, err := generationOf(ctx, poll)
	if err != nil {
		return err
	}
	if generation != s.snap.Load().generation {
		if err := s.reload(ctx); err != nil {
			return err
		}
	}
	s.stale.Store(false)
	*version = now
	return nil
}

// expire reports the keys that have expired since the last call.
func (s *Store) expire(since, now time.Time) {
	snap := s.snap.Load()
	from, to := since.Unix(), now.Unix()
	if from == to {
		return
	}
	var ended []Revocation
	gone := map[string]bool{}
	for id, k := range snap.keys {
		if k.expires > from && k.expires <= to && k.revoked == 0 {
			ended = append(ended, Revocation{KeyID: id, Reason: "the key has expired", CancelJobs: true})
			gone[id] = true
		}
	}
	s.verified.forget(gone)
	s.watchers.tell(ended...)
}

// flush writes when keys were used last, if they were since the last time.
func (s *Store) flush(ctx context.Context) error {
	var used []*keyRecord
	for _, k := range s.snap.Load().keys {
		if k.used.Load() > k.written.Load() {
			used = append(used, k)
		}
	}
	if len(used) == 0 {
		return nil
	}
	return s.tx(ctx, func(tx *sql.Tx) error {
		for _, k := range used {
			at := k.used.Load()
			if _, err := tx.ExecContext(ctx, "UPDATE keys SET last_used = max(coalesce(last_used, 0), ?) WHERE id = ?", at, k.id); err != nil {
				return err
			}
			k.written.Store(at)
		}
		return nil
	})
}

// refusedRow is Event.refused in SQL.
const refusedRow = "result <> 'ok' AND action <> 'lock-out'"

// oldestBeyond deletes the oldest events of a kind beyond a number.
func oldestBeyond(kind string) string {
	return "DELETE FROM audit WHERE " + kind + " AND number <= (SELECT number FROM audit WHERE " + kind + " ORDER BY number DESC LIMIT 1 OFFSET ?)"
}

// prune deletes events, sessions and signing keys that are past their time.
func (s *Store) prune(ctx context.Context) error {
	now := s.now()
	return s.tx(ctx, func(tx *sql.Tx) error {
		for _, d := range []struct {
			query string
			args  []any
		}{
			{"DELETE FROM audit WHERE at < ?", []any{now.Add(-s.o.AuditKeep).UnixMilli()}},
			// Refusals have rows of their own: they displace each other only.
			{oldestBeyond(refusedRow), []any{max(1, s.o.AuditRows/refusalShare)}},
			{oldestBeyond("NOT (" + refusedRow + ")"), []any{s.o.AuditRows}},
			{"DELETE FROM sessions WHERE expires <= ?", []any{now.Unix()}},
			{"DELETE FROM signers WHERE retired IS NOT NULL AND retired <= ?", []any{now.Unix()}},
		} {
			if _, err := tx.ExecContext(ctx, d.query, d.args...); err != nil {
				return err
			}
		}
		return nil
	})
}
