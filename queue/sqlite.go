package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"comfygo/internal/filelock"
	"comfygo/sqlite"
)

// sqliteStore keeps the queue in one SQLite file. There is one writer at a time: it takes the changes submitted since the last
// commit and commits them at once, so that they share the cost of a commit. Readers, in this process or another, block no other
// reader (WAL).
type sqliteStore struct {
	path string
	full bool // wait for the disk, not only for the system
	log  *slog.Logger

	lock  *filelock.Lock
	write *sql.DB
	read  *sql.DB
	check *sql.DB // checkpoints
	conn  *sql.Conn
	stmts map[string]*sql.Stmt

	turn     sync.Mutex // held by the writer: it guards conn, stmts and numbers
	numbers  counters
	tidying  chan struct{} // holds one token when the log file should be written back
	helpers  sync.WaitGroup
	finished chan struct{} // closed when the helpers should end

	mu      sync.Mutex
	pending []*request
	loaded  bool
	closed  bool
	err     error
}

// counters are the counters of the writer.
type counters struct {
	event  int64 // number of the last event
	next   int64 // the next job number
	kept   int64 // the one that the file has, not below it
	bytes  int   // written since the last checkpoint, roughly
	writes int
}

// FileOptions configure how a store keeps its file.
type FileOptions struct {
	// WaitForDisk makes every commit wait until the disk has it: then nothing is lost when the machine loses power, at the
	// price of the disk's latency. Without it nothing is lost when the process dies in whatever way.
	WaitForDisk bool
	// Lock is the result of LockFile for the file, which the store releases in the end; with nil, Load locks it.
	Lock *filelock.Lock
	// Logger may be nil.
	Logger *slog.Logger
}

// LockFile locks the queue file of that path for this process. The error matches filelock.ErrInUse when another one works on it.
func LockFile(path string) (*filelock.Lock, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	l, err := filelock.Exclusive(path + ".lock")
	if errors.Is(err, filelock.ErrInUse) {
		return nil, errInUse
	}
	return l, err
}

// NewFile makes a store in a file, which is opened by Load. Only one process at a time can use it; others may read it.
func NewFile(path string, o FileOptions) Store {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &sqliteStore{
		path: path, full: o.WaitForDisk, log: o.Logger, lock: o.Lock, tidying: make(chan struct{}, 1),
		finished: make(chan struct{}),
	}
}

// Load implements Store.
func (s *sqliteStore) Load() (Saved, error) {
	saved, err := s.open()
	if err != nil {
		err = fmt.Errorf("opening the queue %s: %w", s.path, errors.Join(err, s.release()))
		if code := sqlite.CodeOf(err); code == sqlite.Corrupt || code == sqlite.NotADB {
			err = fmt.Errorf("%w: the file is damaged. Move it away (with %s-wal and %s-shm, if they are there) to start with an empty queue; "+
				"what can be read of it is had by: sqlite3 %s .recover", err, s.path, s.path, s.path)
		}
		if passing(err) {
			err = &unavailable{err}
		}
		return Saved{}, err
	}
	s.mu.Lock()
	s.loaded, s.err = true, nil
	s.mu.Unlock()
	s.helpers.Go(s.tidier)
	return saved, nil
}

func (s *sqliteStore) open() (Saved, error) {
	path, err := filepath.Abs(s.path)
	if err != nil {
		return Saved{}, err
	}
	if s.lock == nil {
		if s.lock, err = LockFile(path); err != nil {
			return Saved{}, err
		}
	}
	// Only the owner may read it: prompts, and the secrets of webhooks, are in it.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return Saved{}, err
	}
	if err := f.Close(); err != nil {
		return Saved{}, err
	}
	sync := "NORMAL"
	if s.full {
		sync = "FULL"
	}
	open := func(conns int, pragmas ...string) *sql.DB {
		return sqlite.Open(path, sqlite.Options{Conns: conns, Wait: 2 * time.Second, Pragmas: append(pragmas, "temp_store = MEMORY")})
	}
	// The file is made with auto_vacuum, so that the space of deleted rows is freed.
	s.write = open(1, "auto_vacuum = INCREMENTAL", "journal_mode = WAL", "wal_autocheckpoint = 0", "synchronous = "+sync)
	if s.conn, err = s.write.Conn(context.Background()); err != nil {
		return Saved{}, err
	}
	if err := migrate(s.conn); err != nil {
		return Saved{}, err
	}
	if err := s.prepare(); err != nil {
		return Saved{}, err
	}
	s.read = open(2, "query_only = 1")
	s.check = open(1, "synchronous = "+sync)
	return s.readAll()
}

func (s *sqliteStore) prepare() error {
	s.stmts = map[string]*sql.Stmt{}
	for _, text := range statements {
		st, err := s.conn.PrepareContext(context.Background(), text)
		if err != nil {
			return err
		}
		s.stmts[text] = st
	}
	return nil
}

// release closes what is open; the helpers have ended or were never started.
func (s *sqliteStore) release() error {
	var errs []error
	for _, st := range s.stmts {
		errs = append(errs, st.Close())
	}
	if s.conn != nil {
		errs = append(errs, s.conn.Close())
	}
	// The writer goes last, so that it is the one that writes the log file back.
	for _, db := range []*sql.DB{s.check, s.read, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Release())
	}
	s.stmts, s.conn, s.check, s.read, s.write, s.lock = nil, nil, nil, nil, nil, nil
	return errors.Join(errs...)
}

// Close implements Store. What was submitted is kept.
func (s *sqliteStore) Close() error {
	s.mu.Lock()
	if s.closed || !s.loaded {
		s.closed = true
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	close(s.finished)
	s.helpers.Wait()
	s.turn.Lock()
	defer s.turn.Unlock()
	s.writePending()
	if s.numbers.kept > s.numbers.next {
		if err := s.exec(sqlSetting, settingNumber, s.numbers.next); err != nil {
			s.log.Debug("keeping the next number", "error", err) // a gap does no harm
		}
	}
	if err := s.release(); err != nil {
		return fmt.Errorf("closing the queue %s: %w", s.path, err)
	}
	return nil
}

// Durable implements Store.
func (s *sqliteStore) Durable() bool { return true }

// Err implements Store.
func (s *sqliteStore) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// unavailable is an error of the file that also is ErrUnavailable.
type unavailable struct{ err error }

// Error describes the fault of the file.
func (u *unavailable) Error() string { return ErrUnavailable.Error() + ": " + u.err.Error() }

// Unwrap returns both.
func (u *unavailable) Unwrap() []error { return []error{ErrUnavailable, u.err} }

// passing reports whether an error can go away without anybody touching the file.
func passing(err error) bool {
	switch sqlite.CodeOf(err) {
	case sqlite.Busy, sqlite.Locked, sqlite.ReadOnly, sqlite.IO, sqlite.Full, sqlite.CantOpen:
		return true
	}
	for _, code := range []error{syscall.ENOSPC, syscall.EROFS, syscall.EFBIG, syscall.EIO, syscall.EACCES, syscall.EPERM, syscall.EMFILE} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}
