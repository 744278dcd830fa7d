package queue

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"comfygo/internal/filelock"
)

// readAll reads what Load returns, and the writer's counters.
func (s *sqliteStore) readAll() (saved Saved, err error) {
	ctx := context.Background()
	if err := s.readSettings(&saved); err != nil {
		return saved, fmt.Errorf("reading the settings: %w", err)
	}
	s.numbers.next, s.numbers.kept = saved.NextNumber, saved.NextNumber
	row := s.conn.QueryRowContext(ctx, "SELECT (SELECT coalesce(max(number), 0) FROM events), coalesce(max(seq), 0) + 1, coalesce(max(place), -1) + 1 FROM jobs")
	if err := row.Scan(&s.numbers.event, &saved.NextSeq, &saved.NextPlace); err != nil {
		return saved, fmt.Errorf("reading the counters: %w", err)
	}
	if saved.Pending, err = s.readOpen(); err != nil {
		return saved, fmt.Errorf("reading the waiting jobs: %w", err)
	}
	if saved.Receipts, err = s.readReceipts(); err != nil {
		return saved, fmt.Errorf("reading the receipts: %w", err)
	}
	rows, err := s.conn.QueryContext(ctx, "SELECT seq, place, id, owner, finished, shared FROM jobs WHERE state = 2 ORDER BY place")
	if err != nil {
		return saved, fmt.Errorf("reading the history: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var r SavedRow
		var at int64
		if err := rows.Scan(&r.Seq, &r.Place, &r.ID, &r.Owner, &at, &r.Shared); err != nil {
			return saved, fmt.Errorf("reading the history: %w", err)
		}
		r.Finished = time.UnixMilli(at)
		saved.History = append(saved.History, r)
	}
	return saved, rows.Err()
}

func (s *sqliteStore) readSettings(saved *Saved) error {
	rows, err := s.conn.QueryContext(context.Background(), "SELECT key, value FROM settings")
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var key string
		var value any
		if err := rows.Scan(&key, &value); err != nil {
			return err
		}
		switch v := value.(type) {
		case int64:
			switch key {
			case settingNumber:
				saved.NextNumber = v
			case settingPaused:
				saved.Paused = v != 0
			}
		case string:
			if key == settingShares {
				if err := json.Unmarshal([]byte(v), &saved.Shares); err != nil {
					return fmt.Errorf("reading the shares: %w", err)
				}
			}
		}
	}
	return rows.Err()
}

func (s *sqliteStore) readOpen() ([]SavedJob, error) {
	rows, err := s.conn.QueryContext(context.Background(), `SELECT j.seq, id, state, number, given, class, rank, sub, client, attempts, owner, granted, listing, options
		FROM jobs j JOIN bodies b ON b.seq = j.seq WHERE state < 2 ORDER BY j.seq`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []SavedJob
	for rows.Next() {
		var j SavedJob
		var options sql.NullString
		err := rows.Scan(&j.Place.Seq, &j.ID, &j.Running, &j.Number.Value, &j.Number.Float, &j.Place.Class, &j.Place.Rank, &j.Place.Sub,
			&j.Client, &j.Attempts, &j.Owner, &j.Grant, &j.Listing, &options)
		if err != nil {
			return nil, err
		}
		if options.Valid {
			if err := json.Unmarshal([]byte(options.String), &j.Options); err != nil {
				return nil, fmt.Errorf("reading the options of job %s: %w", j.ID, err)
			}
		}
		out = append(out, j)
	}
	return out, rows.Err()
}

// readReceipts reads the receipts that are not too old.
func (s *sqliteStore) readReceipts() ([]Receipt, error) {
	rows, err := s.conn.QueryContext(context.Background(), "SELECT seq, key, sum, answer, job, at FROM receipts WHERE at >= ? ORDER BY seq",
		time.Now().Add(-ReceiptLifetime).UnixMilli())
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []Receipt
	for rows.Next() {
		var r Receipt
		var at int64
		if err := rows.Scan(&r.Seq, &r.Key, &r.Sum, &r.Answer, &r.JobID, &at); err != nil {
			return nil, err
		}
		r.At = time.UnixMilli(at)
		out = append(out, r)
	}
	return out, rows.Err()
}

var errNotOpen = errors.New("the file is not open")

// errInUse means that another process works on the same queue.
var errInUse = fmt.Errorf("another comfygo uses it (%w); give this one its own --user-directory or --queue-file, or --queue memory", filelock.ErrInUse)

// reader is the connection pool for readers.
func (s *sqliteStore) reader() (*sql.DB, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.loaded || s.closed {
		return nil, errNotOpen
	}
	return s.read, nil
}

// Rows implements Store.
func (s *sqliteStore) Rows(seqs []int64) ([][]byte, error) {
	db, err := s.reader()
	if err != nil {
		return nil, err
	}
	list, err := json.Marshal(seqs)
	if err != nil {
		return nil, err
	}
	rows, err := db.QueryContext(context.Background(),
		"SELECT k.key, listing, tail FROM json_each(?) k JOIN bodies b ON b.seq = k.value JOIN results r ON r.seq = k.value", string(list))
	if err != nil {
		return nil, fmt.Errorf("reading rows of the history: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := make([][]byte, len(seqs))
	for rows.Next() {
		var i int
		var listing, tail sql.RawBytes
		if err := rows.Scan(&i, &listing, &tail); err != nil {
			return nil, fmt.Errorf("reading rows of the history: %w", err)
		}
		out[i] = rowText(listing, tail)
	}
	return out, rows.Err()
}

// Events implements Store.
func (s *sqliteStore) Events(scope Scope, after int64, limit int) ([]Event, error) {
	db, err := s.reader()
	if err != nil {
		return nil, err
	}
	text, args := "SELECT number, at, type, job, data, owner FROM events WHERE number > ? ORDER BY number LIMIT ?", []any{after, max(0, limit)}
	if scope.One { // owners are not empty, which lets SQLite use the index
		text = "SELECT number, at, type, job, data, owner FROM events WHERE owner = ? AND owner <> '' AND number > ? ORDER BY number LIMIT ?"
		args = append([]any{scope.Owner}, args...)
	}
	rows, err := db.QueryContext(context.Background(), text, args...)
	if err != nil {
		return nil, fmt.Errorf("reading events: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Event
	for rows.Next() {
		var e Event
		var at int64
		var job sql.NullString
		if err := rows.Scan(&e.Number, &at, &e.Type, &job, &e.Data, &e.Owner); err != nil {
			return nil, fmt.Errorf("reading events: %w", err)
		}
		e.Time, e.JobID = time.UnixMilli(at), job.String
		out = append(out, e)
	}
	return out, rows.Err()
}

// Due implements Store.
func (s *sqliteStore) Due(now time.Time, limit int) (due []Delivery, next time.Time, err error) {
	db, err := s.reader()
	if err != nil {
		return nil, next, err
	}
	rows, err := db.QueryContext(context.Background(),
		"SELECT number, id, job, url, secret, body, attempts, due FROM outbox ORDER BY due, number LIMIT ?", limit+1)
	if err != nil {
		return nil, next, fmt.Errorf("reading the outbox: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var d Delivery
		var at int64
		if err := rows.Scan(&d.Number, &d.ID, &d.JobID, &d.URL, &d.Secret, &d.Body, &d.Attempts, &at); err != nil {
			return nil, next, fmt.Errorf("reading the outbox: %w", err)
		}
		d.Due = time.UnixMilli(at)
		if d.Due.After(now) || len(due) == limit {
			next = d.Due
			break
		}
		due = append(due, d)
	}
	return due, next, rows.Err()
}
