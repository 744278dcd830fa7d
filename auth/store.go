package auth

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"comfygo/sqlite"
)

// StoreOptions configure a store. Path is required; the zero value of everything else is a sound default.
type StoreOptions struct {
	Path   string
	Logger *slog.Logger
	// ProxyFrom are the networks whose forwarded users are trusted; none by default.
	ProxyFrom []netip.Prefix
	// ExternalRole is the role of a new user from an identity provider that names no role; empty
	// refuses them.
	ExternalRole string
	// TokenLife is the lifetime of tokens; 0 means 15 minutes.
	TokenLife time.Duration
	// Algorithm signs tokens: AlgorithmEdDSA (the default) or AlgorithmHS256. No other is accepted.
	Algorithm string
	// SessionLife is the lifetime of a log-in; 0 means 7 days.
	SessionLife time.Duration
	// AuditKeep and AuditRows bound the audit log; 0 means 90 days and 1,000,000 events.
	AuditKeep time.Duration
	AuditRows int64
	// Address bounds the requests of one address, of any user but administrators; only the rates count.
	Address Limits
	// LockOut configures the lock-out after failed log-ins.
	LockOut LockOut
	// Hash are the parameters for new keys; the zero value is DefaultHash. Keys with weaker ones are hashed again when
	// they are shown.
	Hash HashParameters
	// Now returns the time; nil means time.Now.
	Now func() time.Time
	// Poll is the interval at which the file is checked for changes by other processes; 0 means 250 ms.
	Poll time.Duration
}

const (
	defaultTokenLife = 15 * time.Minute
	defaultAuditKeep = 90 * 24 * time.Hour
	defaultAuditRows = 1_000_000
	defaultPoll      = 250 * time.Millisecond
)

var defaultAddress = Limits{Requests: 200, RequestsBurst: 2000, Prompts: 20, PromptsBurst: 200}

func (o StoreOptions) filled() StoreOptions {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.TokenLife = or(o.TokenLife, defaultTokenLife)
	o.SessionLife = or(o.SessionLife, sessionLife)
	o.AuditKeep = or(o.AuditKeep, defaultAuditKeep)
	o.AuditRows = or(o.AuditRows, defaultAuditRows)
	o.Poll = or(o.Poll, defaultPoll)
	o.Algorithm = or(o.Algorithm, AlgorithmEdDSA)
	o.Hash = or(o.Hash, DefaultHash)
	o.Address = or(o.Address, defaultAddress)
	o.LockOut = o.LockOut.filled()
	return o
}

func or[T comparable](given, otherwise T) T {
	var zero T
	if given == zero {
		return otherwise
	}
	return given
}

// Store is the gate of a file. Any number of processes may have the file open: what one changes the others see within a
// second.
type Store struct {
	o   StoreOptions
	log *slog.Logger
	now func() time.Time

	write *sql.DB // one connection
	read  *sql.DB

	snap     atomic.Pointer[snapshot]
	loading  sync.Mutex
	telling  sync.RWMutex // held for reading from the end of loading until watchers know what ended
	stale    atomic.Bool  // the last attempt to load failed
	watchers watchers
	verified *verified
	hasher   *hasher
	lockouts *lockouts
	buckets  *buckets
	quiet    quiet
	refusals refusals

	events  chan queued
	stop    chan struct{}
	workers sync.WaitGroup
	closing sync.Once
	reading atomic.Pointer[error] // what is wrong with the file now
	writing atomic.Pointer[error]
}

var _ Gate = (*Store)(nil)

// OpenStore opens the file, makes it when it is not there, and starts the store's goroutines, which Close ends. Only the
// owner of the file may read it.
func OpenStore(ctx context.Context, o StoreOptions) (*Store, error) {
	o = o.filled()
	if err := checkAlgorithm(o.Algorithm); err != nil {
		return nil, fmt.Errorf("opening the key store: %w", err)
	}
	if !o.Hash.sane() {
		return nil, fmt.Errorf("opening the key store: the parameters of Argon2id can't be used: %+v", o.Hash)
	}
	s := &Store{
		o: o, log: o.Logger, now: o.Now, verified: newVerified(), hasher: newHasher(o.Hash, max(1, min(4, runtime.GOMAXPROCS(0)))),
		lockouts: newLockouts(o.LockOut), buckets: newBuckets(), events: make(chan queued, 1024), stop: make(chan struct{}),
	}
	if err := s.open(ctx); err != nil {
		return nil, fmt.Errorf("opening the key store %s: %w", o.Path, errors.Join(err, s.release()))
	}
	poll, err := s.read.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening the key store %s: %w", o.Path, errors.Join(err, s.release()))
	}
	s.workers.Go(func() { s.keep(poll) })
	s.workers.Go(s.scribe)
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	path, err := filepath.Abs(s.o.Path)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if info, err := os.Stat(path); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		s.log.Warn("the key store may be read by others: chmod 600 keeps it to its owner", "path", path)
	}
	common := []string{"temp_store = MEMORY", "foreign_keys = 1"}
	s.write = sqlite.Open(path, sqlite.Options{
		Conns: 1, Wait: patience, Immediate: true, Pragmas: append([]string{"journal_mode = WAL", "synchronous = FULL", "secure_delete = 1"}, common...),
	})
	err = s.tx(ctx, func(tx *sql.Tx) error {
		if err := migrate(ctx, tx); err != nil {
			return err
		}
		return seed(ctx, tx)
	})
	if err != nil {
		return err
	}
	s.read = sqlite.Open(path, sqlite.Options{Conns: 4, Wait: patience, Pragmas: append([]string{"query_only = 1"}, common...)})
	first, err := load(ctx, s.read, nil)
	if err != nil {
		return err
	}
	s.snap.Store(first)
	return nil
}

// patience is the time for which one process waits for another that writes the file.
const patience = 5 * time.Second

func (s *Store) release() error {
	var errs []error
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// Close implements Gate. It writes the pending changes.
func (s *Store) Close() error {
	var err error
	s.closing.Do(func() {
		s.tellRefusals(context.Background(), true)
		close(s.stop)
		s.workers.Wait()
		if err = s.release(); err != nil {
			err = fmt.Errorf("closing the key store %s: %w", s.o.Path, err)
		}
	})
	return err
}

// Mode implements Gate.
func (s *Store) Mode() Mode { return ModeStore }

// Path is that of the file.
func (s *Store) Path() string { return s.o.Path }

// Err returns the current fault of the file, for health checks, or nil while it can be read and written.
func (s *Store) Err() error {
	var errs []error
	for _, p := range []*error{s.reading.Load(), s.writing.Load()} {
		if p != nil {
			errs = append(errs, *p)
		}
	}
	return errors.Join(errs...)
}

// Watch implements Gate.
func (s *Store) Watch(f func(Revocation)) func() { return s.watchers.add(f) }

// tx runs do in a transaction that writes; an error takes it back.
func (s *Store) tx(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		_ = tx.Rollback() // the first error says what happened
		return err
	}
	return tx.Commit()
}

// Actor is the author of a change and the address that it came from, for the audit log.
type Actor struct {
	Principal Principal
	Addr      netip.Addr
}

// CommandLine is the actor of the program's own commands, run by a user of the machine.
func CommandLine(user string) Actor {
	return Actor{Principal: Principal{Name: "command line: " + user, Role: RoleAdministrator, Admin: true, known: true}}
}

// change runs do in a transaction of the next generation and writes its event in the same one. When it returns nil, this
// process decides by what has been changed. do fills in the event.
func (s *Store) change(ctx context.Context, by Actor, action Action, do func(tx *sql.Tx, generation int64, e *Event) error) error {
	e := EventOf(by.Principal, by.Addr, action, ResultOK, "", "")
	e.Time = s.now()
	err := s.tx(ctx, func(tx *sql.Tx) error {
		generation, err := bump(ctx, tx)
		if err != nil {
			return err
		}
		if err := do(tx, generation, &e); err != nil {
			return err
		}
		return insertEvents(ctx, tx, e)
	})
	if err != nil {
		return err
	}
	logEvent(ctx, s.log, e)
	return s.reloadTold(context.WithoutCancel(ctx))
}

// reloadTold reloads after a change and returns once watchers know of it, also where the poll read it first.
func (s *Store) reloadTold(ctx context.Context) error {
	err := s.reload(ctx)
	s.telling.Lock()
	defer s.telling.Unlock() // running calls have returned
	return err
}

// reload reads the file and reports the principals whose rights have ended.
func (s *Store) reload(ctx context.Context) error {
	s.loading.Lock()
	old := s.snap.Load()
	n, err := load(ctx, s.read, old)
	if err != nil {
		s.stale.Store(true)
		s.loading.Unlock()
		return fmt.Errorf("reading the key store %s: %w", s.o.Path, err)
	}
	s.stale.Store(false)
	s.snap.Store(n)
	var ended []Revocation
	if n != old {
		ended = n.ended(old, s.now())
		gone := map[string]bool{}
		for _, r := range ended {
			if r.KeyID != "" {
				gone[r.KeyID] = true
			}
		}
		s.verified.forget(gone)
	}
	s.telling.RLock()
	defer s.telling.RUnlock()
	s.loading.Unlock()
	s.watchers.tell(ended...)
	return nil
}
