package assets

import (
	"context"
	"errors"
	"slices"
	"sync"

	"comfygo/internal/pyjson"
)

// State is the state of the scanner.
type State string

// The states of the scanner.
const (
	Idle       State = "IDLE"
	Running    State = "RUNNING"
	Paused     State = "PAUSED"
	Cancelling State = "CANCELLING"
)

// Progress counts the files of a scan: those that were found, those that were gone through, entered, and known before.
type Progress struct{ Total, Scanned, Created, Skipped int64 }

// Status is the state of the scanner and the result of its last scan.
type Status struct {
	State State
	// Progress is nil before the first scan.
	Progress *Progress
	Errors   []string
}

// phase is a part of a scan.
type phase string

const (
	enrichPhase phase = "enrich"
	fullPhase   phase = "full"
)

// order is a scan to be done.
type order struct {
	roots  []Root
	phase  phase
	prune  bool
	hashes bool
}

// maxErrors is the number of messages that a status keeps.
const maxErrors = 200

// ErrScanning is returned by Prune while a scan runs.
var ErrScanning = errors.New("a scan is running")

// seeder runs one scan at a time in a goroutine.
type seeder struct {
	lib *Library

	mu       sync.Mutex
	state    State
	progress *Progress // of the running scan
	last     *Progress
	errors   []string
	cancel   context.CancelFunc
	done     chan struct{} // closed when the last scan that was started has ended
	gate     chan struct{} // closed while scans may go on
	waiting  *order        // to be done after the running one
	closed   bool
	notify   func(event string, data *pyjson.Object)
}

func newSeeder(l *Library) *seeder {
	s := &seeder{lib: l, state: Idle, done: make(chan struct{}), gate: make(chan struct{})}
	close(s.done)
	close(s.gate)
	return s
}

// Notify sets the receiver of the scanner's events: assets.seed.started, progress, fast_complete, enrich_complete,
// completed, paused, resumed, cancelled and error.
func (l *Library) Notify(tell func(event string, data *pyjson.Object)) {
	l.seeder.mu.Lock()
	defer l.seeder.mu.Unlock()
	l.seeder.notify = tell
}

// Scan starts to look for new files in some parts and to look into those that are entered; false when a scan runs.
func (l *Library) Scan(roots []Root) bool {
	return l.seeder.start(order{roots: roots, phase: fullPhase})
}

// ScanAll runs the scan at start: it first finds references whose files are missing, and hashes if the library is
// configured to.
func (l *Library) ScanAll() bool {
	return l.seeder.start(order{roots: Everything(), phase: fullPhase, prune: true, hashes: l.cfg.Hash})
}

// LookInto has new entries of some parts looked into, now or after the running scan.
func (l *Library) LookInto(roots ...Root) {
	l.seeder.enqueue(order{roots: roots, phase: enrichPhase, hashes: l.cfg.Hash})
}

// Pause stops the running scan at the next opportunity, until Resume.
func (l *Library) Pause() { l.seeder.pause() }

// Resume lets a paused scan go on.
func (l *Library) Resume() { l.seeder.resume() }

// Cancel ends the running scan; it returns false if none is running.
func (l *Library) Cancel() bool { return l.seeder.stop() }

// Status returns the status of the scanner.
func (l *Library) Status() Status { return l.seeder.status() }

// Wait waits for the end of the running scan, or of ctx.
func (l *Library) Wait(ctx context.Context) error {
	l.seeder.mu.Lock()
	done := l.seeder.done
	l.seeder.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Prune marks references as missing if their files are in none of the folders, and returns their number. The error is
// ErrScanning while a scan runs.
func (l *Library) Prune(ctx context.Context) (int64, error) {
	s := l.seeder
	s.mu.Lock()
	if s.state != Idle || s.closed {
		s.mu.Unlock()
		return 0, ErrScanning
	}
	s.state = Running
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.rest()
	}()
	n, err := l.markOutside(ctx)
	return n, wrap("marking missing assets", err)
}

func (s *seeder) start(o order) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.startLocked(o)
}

func (s *seeder) startLocked(o order) bool {
	if s.state != Idle || s.closed {
		return false
	}
	ctx, cancel := context.WithCancel(s.lib.ctx)
	s.state, s.progress, s.errors, s.cancel = Running, &Progress{}, nil, cancel
	done := make(chan struct{})
	s.done = done
	s.lib.work.Go(func() {
		defer close(done)
		defer cancel()
		s.run(ctx, o)
	})
	return true
}

func (s *seeder) enqueue(o order) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.startLocked(o) {
		return
	}
	if s.waiting == nil {
		s.waiting = &o
		return
	}
	s.waiting.roots = append(s.waiting.roots, o.roots...)
	slices.Sort(s.waiting.roots)
	s.waiting.roots = slices.Compact(s.waiting.roots)
	s.waiting.hashes = s.waiting.hashes || o.hashes
}

func (s *seeder) stop() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != Running && s.state != Paused || s.cancel == nil {
		return false
	}
	s.state = Cancelling
	s.cancel()
	s.open()
	return true
}

// open opens the gate; s.mu is held.
func (s *seeder) open() {
	select {
	case <-s.gate:
	default:
		close(s.gate)
	}
}

func (s *seeder) pause() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == Running && s.cancel != nil {
		s.state = Paused
		s.gate = make(chan struct{})
	}
}

func (s *seeder) resume() {
	s.mu.Lock()
	if s.state != Paused {
		s.mu.Unlock()
		return
	}
	s.state = Running
	s.open()
	s.mu.Unlock()
	s.emit("resumed", pyjson.NewObject())
}

// shutdown ends the running scan and lets no other begin. The library waits for the goroutine.
func (s *seeder) shutdown() {
	s.mu.Lock()
	s.closed, s.waiting = true, nil
	s.mu.Unlock()
	s.stop()
}

func (s *seeder) status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := Status{State: s.state, Errors: append([]string{}, s.errors...)}
	for _, p := range []*Progress{s.progress, s.last} {
		if p != nil {
			now := *p
			out.Progress = &now
			break
		}
	}
	return out
}

// rest makes the scanner idle; s.mu is held.
func (s *seeder) rest() {
	if s.progress != nil {
		s.last = s.progress
	}
	s.state, s.progress, s.cancel = Idle, nil, nil
	s.open()
}

// count changes the counts of the running scan.
func (s *seeder) count(change func(*Progress)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.progress != nil {
		change(s.progress)
	}
}

func (s *seeder) fail(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.errors) < maxErrors {
		s.errors = append(s.errors, text)
	}
}

func (s *seeder) emit(event string, data *pyjson.Object) {
	s.mu.Lock()
	tell := s.notify
	s.mu.Unlock()
	if tell != nil {
		tell("assets.seed."+event, data)
	}
}

// checkpoint waits while the scan is paused; before, if there is one, is called when it has to. The error says that the
// scan was cancelled.
func (s *seeder) checkpoint(ctx context.Context, before func()) error {
	s.mu.Lock()
	gate := s.gate
	s.mu.Unlock()
	select {
	case <-gate:
		return ctx.Err()
	default:
	}
	if before != nil {
		before()
	}
	s.emit("paused", pyjson.NewObject())
	select {
	case <-gate:
	case <-ctx.Done():
	}
	return ctx.Err()
}
