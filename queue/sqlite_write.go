package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// request is a batch on its way to the file, or something else to be done on the writer's connection.
type request struct {
	batch Batch
	do    func(*sqliteStore) error // instead of the batch, outside of a transaction
	done  chan error
}

// Submit implements Store.
func (s *sqliteStore) Submit(b Batch) (wait func() error) {
	return s.submit(&request{batch: b})
}

func (s *sqliteStore) submit(r *request) (wait func() error) {
	r.done = make(chan error, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || !s.loaded {
		err := fmt.Errorf("%w: the file is not open", ErrUnavailable)
		return func() error { return err }
	}
	s.pending = append(s.pending, r)
	return func() error { return s.settle(r) }
}

// settle waits until a request is done. The first caller without a running writer does the writing, for all that was submitted until then:
// the price of a commit is shared, and a single request needs no other goroutine to wake up for it.
func (s *sqliteStore) settle(r *request) error {
	s.turn.Lock()
	select {
	case err := <-r.done:
		s.turn.Unlock()
		return err
	default:
	}
	s.writePending()
	s.turn.Unlock()
	return <-r.done
}

// Probe implements Store.
func (s *sqliteStore) Probe() {
	_ = s.submit(&request{batch: Batch{Changes: []Change{probe{}}}})()
}

// probe is a change that only shows whether the file can be written: it fills a page or more, as jobs do.
type probe struct{}

func (probe) change() {}

// writePending writes what has been submitted so far; s.turn is held.
func (s *sqliteStore) writePending() {
	s.mu.Lock()
	group := s.pending
	s.pending = nil
	s.mu.Unlock()
	if len(group) > 0 {
		s.writeGroup(group)
	}
}

// writeGroup commits requests together. Should that fail for a reason that lies in one of them, each is tried alone.
func (s *sqliteStore) writeGroup(group []*request) {
	var batches []*request
	for _, r := range group {
		if r.do != nil {
			r.done <- r.do(s)
			continue
		}
		batches = append(batches, r)
	}
	if len(batches) == 0 {
		return
	}
	err := s.transact(batches)
	if err != nil && len(batches) > 1 && !passing(err) {
		for _, r := range batches {
			r.done <- s.judge(s.transact([]*request{r}))
		}
		return
	}
	err = s.judge(err)
	trimmed := false
	for _, r := range batches {
		r.done <- err
		trimmed = trimmed || slices.ContainsFunc(r.batch.Changes, func(c Change) bool { _, ok := c.(EventsTrimmed); return ok })
	}
	if err == nil && trimmed {
		s.pragma("incremental_vacuum(2000)")
	}
}

// judge remembers whether the file can be written.
func (s *sqliteStore) judge(err error) error {
	if err != nil {
		err = &unavailable{err}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	return err
}

// transact stores requests in one transaction: all or nothing.
func (s *sqliteStore) transact(group []*request) error {
	if err := s.exec(sqlBegin); err != nil {
		return fmt.Errorf("beginning to write: %w", err)
	}
	before := s.numbers
	err := s.writeAll(group)
	if err == nil {
		err = s.exec(sqlCommit)
	}
	if err != nil {
		s.numbers = before
		// SQLite has rolled back by itself after some errors; the error of this call is then meaningless.
		_ = s.exec(sqlRollback)
		return fmt.Errorf("writing: %w", err)
	}
	s.numbers.writes++
	const manyBytes, manyWrites = 4 << 20, 1000
	if s.numbers.bytes > manyBytes || s.numbers.writes > manyWrites {
		s.numbers.bytes, s.numbers.writes = 0, 0
		select {
		case s.tidying <- struct{}{}:
		default:
		}
	}
	return nil
}

func (s *sqliteStore) writeAll(group []*request) error {
	next := s.numbers.next
	for _, r := range group {
		for _, c := range r.batch.Changes {
			if err := s.apply(c); err != nil {
				return err
			}
			if q, ok := c.(Queued); ok {
				next = max(next, q.NextNumber)
			}
		}
		for _, e := range r.batch.Events {
			s.numbers.event++
			if err := s.exec(sqlEvent, s.numbers.event, e.Time.UnixMilli(), e.Type, orNull(e.JobID), orNull(string(e.Data)), e.Owner); err != nil {
				return err
			}
		}
	}
	s.numbers.next = max(s.numbers.next, next)
	if next > s.numbers.kept {
		s.numbers.kept = next + ahead
		return s.exec(sqlSetting, settingNumber, s.numbers.kept)
	}
	return nil
}

// ahead is the number of job numbers that are reserved in the file in advance, so that not every job has to write one. A process that is
// killed leaves a gap of at most this size.
const ahead = 50

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// The keys of the settings.
const (
	settingNumber = "next_number"
	settingPaused = "paused"
	settingShares = "shares"
	settingProbe  = "probe"
)

func (s *sqliteStore) exec(text string, args ...any) error {
	_, err := s.stmts[text].ExecContext(context.Background(), args...)
	return err
}

// apply writes one change.
func (s *sqliteStore) apply(c Change) error {
	switch c := c.(type) {
	case Queued:
		return s.queued(c)
	case Started:
		if err := s.exec(sqlStart, c.Attempts, time.Now().UnixMilli(), c.Seq); err != nil || c.Shares == nil {
			return err
		}
		return s.setJSON(settingShares, c.Shares)
	case Returned:
		return s.exec(sqlReturn, c.Attempts, c.Seq)
	case Finished:
		return s.finish(c)
	case Removed:
		return s.remove(c.Seqs)
	case Moved:
		for _, p := range c.Places {
			if err := s.exec(sqlMove, p.Class, p.Rank, p.Sub, p.Seq); err != nil {
				return err
			}
		}
		return nil
	case Forgotten:
		if c.All {
			return s.execAll(sqlAllBodies, sqlAllResults, sqlAllFinished)
		}
		return s.remove(c.Seqs)
	case Shared:
		return s.exec(sqlShare, c.On, c.Seq)
	case PauseSet:
		return s.exec(sqlSetting, settingPaused, c.On)
	case HookAdded:
		d := c.Delivery
		return s.exec(sqlHook, d.ID, d.JobID, d.URL, d.Secret, string(d.Body), d.Attempts, d.Due.UnixMilli())
	case HookDone:
		return s.exec(sqlNoHook, c.Number)
	case HookPostponed:
		return s.exec(sqlHookWait, c.Attempts, c.Due.UnixMilli(), c.Number)
	case EventsTrimmed:
		return s.exec(sqlTrim, c.Before.UnixMilli(), s.numbers.event-int64(c.Keep))
	case ReceiptsTrimmed:
		return s.exec(sqlTrimSlips, c.Before.UnixMilli(), c.Keep)
	case probe:
		return s.exec(sqlSetting, settingProbe, make([]byte, probeSize))
	}
	return fmt.Errorf("a change of the unknown type %T", c)
}

// probeSize is the size of a small job.
const probeSize = 8 << 10

func (s *sqliteStore) queued(c Queued) error {
	j := c.Job
	err := s.exec(sqlJob, j.seq, j.ID, j.Number.Value, j.Number.Float, c.Place.Class, c.Place.Rank, c.Place.Sub, j.client, time.Now().UnixMilli(), j.Owner, j.Grant)
	if err != nil {
		return err
	}
	var options any
	if j.Options.TimeLimit != 0 || j.Options.Webhook != nil {
		text, err := json.Marshal(j.Options)
		if err != nil {
			return err
		}
		options = string(text)
	}
	s.numbers.bytes += len(j.text)
	if err := s.exec(sqlBody, j.seq, string(j.text), options); err != nil || j.Receipt == nil {
		return err
	}
	r := j.Receipt
	return s.exec(sqlReceipt, j.seq, r.Key, r.Sum, string(r.Answer), j.ID, r.At.UnixMilli())
}

func (s *sqliteStore) finish(c Finished) error {
	if err := s.remove([]int64{c.Replaced, c.Evicted}); err != nil {
		return err
	}
	if err := s.exec(sqlFinish, c.At.UnixMilli(), c.Place, string(c.Status), c.Job.seq); err != nil {
		return err
	}
	if c.Job.Options.Webhook != nil { // its secret has no business in the history
		if err := s.exec(sqlNoOpts, c.Job.seq); err != nil {
			return err
		}
	}
	s.numbers.bytes += len(c.Tail)
	return s.exec(sqlResult, c.Job.seq, string(c.Tail))
}

// remove drops jobs with all that belongs to them; keys below 1 are of no job.
func (s *sqliteStore) remove(seqs []int64) error {
	for _, seq := range seqs {
		if seq < 1 {
			continue
		}
		if err := s.execAll(sqlNoJob, sqlNoBody, sqlNoResult, seq); err != nil {
			return err
		}
	}
	return nil
}

// execAll runs statements (strings) with the arguments that follow them.
func (s *sqliteStore) execAll(texts ...any) error {
	var args []any
	for i, t := range texts {
		if _, ok := t.(string); !ok {
			texts, args = texts[:i], texts[i:]
			break
		}
	}
	for _, t := range texts {
		if err := s.exec(t.(string), args...); err != nil {
			return err
		}
	}
	return nil
}

func (s *sqliteStore) setJSON(key string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.exec(sqlSetting, key, string(text))
}

// longestWAL is from how many pages (of 4 KB) on the writer stops to write the log file back.
const longestWAL = 4 << 10

// tidier writes the log file back into the database beside the writers. If it can't keep up, it blocks them.
func (s *sqliteStore) tidier() {
	for {
		select {
		case <-s.tidying:
		case <-s.finished:
			return
		}
		var busy, pages, done int
		err := s.check.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &pages, &done)
		if err != nil {
			s.log.Debug("writing the queue's log file back", "error", err)
			continue
		}
		if pages > longestWAL {
			s.turn.Lock()
			s.shortenWAL()
			s.turn.Unlock()
		}
	}
}

// shortenWAL writes all of the log file back, so that the next commit begins at its start. The file keeps its length: to write over what is
// there costs half of what making a file longer does.
func (s *sqliteStore) shortenWAL() {
	s.pragma("wal_checkpoint(RESTART)")
}

// pragma does something that may fail without harm.
func (s *sqliteStore) pragma(name string) {
	rows, err := s.conn.QueryContext(context.Background(), "PRAGMA "+name)
	if err == nil {
		for rows.Next() { // the vacuum does a page a row
			continue
		}
		err = errors.Join(rows.Err(), rows.Close())
	}
	if err != nil {
		s.log.Debug("tidying the queue's file", "error", err)
	}
}
