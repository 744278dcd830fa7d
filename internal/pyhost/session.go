package pyhost

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"comfygo/internal/pyjson"
)

// Session is one life of the Python process. Its values end with it.
type Session struct {
	host   *Host
	cmd    *exec.Cmd
	family *family
	wire   *wire
	next   atomic.Int64
	// loads counts the packs whose import has begun or ended.
	loads atomic.Int64

	mu      sync.Mutex
	waiting map[int64]chan *pyjson.Object
	dropped []int64
	states  []string
	loading string // the pack that is being imported
	doing   string // the pack whose code runs
	used    bool   // it has answered a call
	cause   error  // why the process was ended, nil when it ended by itself

	secret  string // of loopback connections
	figures figures

	ready *pyjson.Object
	gone  chan struct{}
	heard chan struct{} // closed when all that it said has been read; nil before it has connected
}

// Live reports whether the process runs.
func (s *Session) Live() bool {
	select {
	case <-s.gone:
		return false
	default:
		return true
	}
}

// Ready returns the process's message after all classes were loaded.
func (s *Session) Ready() *pyjson.Object { return s.ready }

// Do records the pack whose code a call runs, for the log. Later output of a pack, from a thread of its own, counts as output of the last
// one.
func (s *Session) Do(pack string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doing = pack
}

// Doing returns the pack that is being imported or whose code has run last, or "" if that is unknown.
func (s *Session) Doing() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loading != "" {
		return s.loading
	}
	if s.doing == "" {
		return s.host.cfg.Name
	}
	return s.doing
}

// LeftOut are the packs that this life has left out, because an earlier one ended while it imported them.
func (s *Session) LeftOut() []string { return s.host.leftOut() }

// PID is the id of the process.
func (s *Session) PID() int { return s.cmd.Process.Pid }

// Failure is an exception in Python.
type Failure struct {
	// Type is the exception's class, with its module unless it is built in.
	Type, Message string
	Traceback     []string
	// Interrupted: the node stopped because it was asked to. Foreign: a value exists in Python only.
	Interrupted, Foreign bool
}

func (f *Failure) Error() string { return f.Message }

// ExceptionType returns the name that clients see.
func (f *Failure) ExceptionType() string { return f.Type }

// TracebackLines returns the frames in Python.
func (f *Failure) TracebackLines() []string { return f.Traceback }

func failure(o *pyjson.Object) *Failure {
	f := &Failure{Type: o.String("type"), Message: o.String("message")}
	v, _ := o.Get("traceback")
	list, _ := v.([]any)
	for _, e := range list {
		if text, ok := e.(string); ok {
			f.Traceback = append(f.Traceback, text)
		}
	}
	interrupted, _ := o.Get("interrupted")
	foreign, _ := o.Get("foreign")
	f.Interrupted, f.Foreign = interrupted == true, foreign == true
	return f
}

// Call sends a request to the process and waits for the answer. If ctx ends first, the process is asked to stop the call; if it does not
// within Config.Grace, it is killed, as nothing else ends a function in Python. The error is a *Failure for an exception, or wraps ErrGone
// if the process ended.
func (s *Session) Call(ctx context.Context, op string, fields *pyjson.Object) (*pyjson.Object, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	id := s.next.Add(1)
	m := pyjson.NewObject("op", op, "id", id).Merge(fields)
	answer := make(chan *pyjson.Object, 1)
	s.mu.Lock()
	if !s.Live() {
		s.mu.Unlock()
		return nil, s.ended()
	}
	s.waiting[id] = answer
	s.mu.Unlock()
	defer s.forget(id)
	s.sendDropped()
	if err := s.wire.send(m); err != nil {
		s.kill(err) // half a message may have gone
		return nil, s.ended()
	}
	done := ctx.Done()
	var grace <-chan time.Time
	for {
		select {
		case a := <-answer:
			if op == "call" {
				s.mu.Lock()
				s.used = true
				s.mu.Unlock()
			}
			return opened(ctx, a)
		case <-s.gone:
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			return nil, s.ended()
		case <-done:
			done = nil
			if op != "call" || fields.String("what") == "validate" {
				return nil, context.Cause(ctx) // the client has left, and the running node is not to be disturbed
			}
			_ = s.wire.send(pyjson.NewObject("op", "interrupt", "call", id)) // an error is told by gone
			t := time.NewTimer(s.host.cfg.Grace)
			defer t.Stop()
			grace = t.C
		case <-grace:
			s.kill(fmt.Errorf("a node did not stop within %s of its interrupt", s.host.cfg.Grace))
			grace = nil
		}
	}
}

func opened(ctx context.Context, a *pyjson.Object) (*pyjson.Object, error) {
	if ok, _ := a.Get("ok"); ok == true {
		return a, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nil, failure(a.Object("error"))
}

func (s *Session) forget(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, id)
}

// served reports whether the session was useful: it has answered more than the request for its classes.
func (s *Session) served() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// ended returns the error for an ended process, with the reason if it is known.
func (s *Session) ended() error {
	<-s.gone
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause != nil {
		return fmt.Errorf("%w: %w; it is started again", ErrGone, s.cause)
	}
	state := "without a word"
	if p := s.cmd.ProcessState; p != nil {
		state = p.String()
	}
	return fmt.Errorf("%w (%s): the node, or what it calls, ended it; it is started again", ErrGone, state)
}

// Drop reports to the process, with the next message, that values are no longer needed.
func (s *Session) Drop(value int64) {
	s.mu.Lock()
	s.dropped = append(s.dropped, value)
	n := len(s.dropped)
	s.mu.Unlock()
	if n >= 64 {
		s.sendDropped()
	}
}

// DropState reports to the process that the instance of a node is no longer needed.
func (s *Session) DropState(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.states = append(s.states, key)
}

func (s *Session) sendDropped() {
	s.mu.Lock()
	ids, states := s.dropped, s.states
	s.dropped, s.states = nil, nil
	s.mu.Unlock()
	if len(ids)+len(states) == 0 || !s.Live() {
		return
	}
	list, keys := make([]any, len(ids)), make([]any, len(states))
	for i, id := range ids {
		list[i] = id
	}
	for i, k := range states {
		keys[i] = k
	}
	_ = s.wire.send(pyjson.NewObject("op", "drop", "ids", list, "instances", keys)) // an error is told by gone
}

// kill ends the process for a reason.
func (s *Session) kill(cause error) {
	s.mu.Lock()
	if s.cause == nil {
		s.cause = cause
	}
	s.mu.Unlock()
	s.family.kill()
}

// read takes messages until the connection ends.
func (s *Session) read(conn net.Conn, first chan<- *pyjson.Object) error {
	r := bufio.NewReaderSize(conn, 1<<16)
	for {
		m, err := receive(r)
		if err != nil {
			return err
		}
		op := m.String("op")
		switch {
		case op == "":
			s.answered(m)
		case op == "loading":
			s.mu.Lock()
			s.loading = m.String("pack")
			s.mu.Unlock()
			s.loads.Add(1)
		case op == "memory":
			s.noteGPU(m)
		case op == "ready" || op == "failed":
			select {
			case first <- m:
			default:
				return errors.New("the Python host said twice that it is ready")
			}
		case s.host.cfg.Notify != nil:
			s.host.cfg.Notify(s, op, m)
		}
	}
}

func (s *Session) answered(m *pyjson.Object) {
	v, _ := m.Get("id")
	id, _ := v.(int64)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.waiting[id]; ok {
		delete(s.waiting, id)
		c <- m
	}
}

// Shared is the folder for tensors.
func (s *Session) Shared() string { return s.host.shared }
