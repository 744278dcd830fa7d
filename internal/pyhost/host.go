package pyhost

import (
	"bufio"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"comfygo/internal/pyjson"
)

//go:embed comfygo_host/*.py comfygo_host/modules/*.py comfygo_host/modules/*/*.py comfygo_host/modules/*/*/*.py
var source embed.FS

// Config is what a Host is made of.
type Config struct {
	// Python is the interpreter.
	Python string
	// Hello returns the first message beyond op, protocol and shared: what is to be loaded. skip are the packs that the process died of.
	Hello func(skip []string, http string) *pyjson.Object
	// Notify is told what the process says without being asked. It must not block.
	Notify func(s *Session, op string, m *pyjson.Object)
	// Started is called with each life of the process when its classes are there. It may call the session.
	Started func(s *Session)
	// LoadTimeout bounds the imports of one start; 0 means 10 minutes. Grace is how long a call may go on after its interrupt; 0 means 10 s.
	LoadTimeout, Grace time.Duration
	// Log is never nil.
	Log *slog.Logger
}

// Host keeps the Python process running.
type Host struct {
	cfg    Config
	dir    string // private folder: sources and sockets
	shared string // private folder for tensors, in memory where there is such a folder
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu      sync.Mutex
	session *Session
	failed  error         // why there is no session, when no start is under way
	changed chan struct{} // closed at the next change
	skip    []string
}

// New makes a host. Start starts the process.
func New(cfg Config) *Host {
	if cfg.LoadTimeout == 0 {
		cfg.LoadTimeout = 10 * time.Minute
	}
	if cfg.Grace == 0 {
		cfg.Grace = 10 * time.Second
	}
	return &Host{cfg: cfg, changed: make(chan struct{})}
}

// Start unpacks the host's sources and starts the process in the background.
func (h *Host) Start() error {
	var err error
	if h.dir, err = os.MkdirTemp("", "comfygo-python-"); err != nil {
		return fmt.Errorf("making the folder of the Python host: %w", err)
	}
	if h.shared, err = sharedFolder(h.dir); err != nil {
		return errors.Join(err, os.RemoveAll(h.dir))
	}
	if err := unpack(filepath.Join(h.dir, "source")); err != nil {
		return errors.Join(fmt.Errorf("unpacking the Python host: %w", err), h.remove())
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	h.done.Add(1)
	go h.keep(ctx)
	return nil
}

// Close ends the process and removes its folders.
func (h *Host) Close() error {
	if h.cancel == nil {
		return nil
	}
	h.cancel()
	h.done.Wait()
	return h.remove()
}

func (h *Host) remove() error { return errors.Join(os.RemoveAll(h.shared), os.RemoveAll(h.dir)) }

// Shared is the folder for tensors; its files are the process's and ours alone.
func (h *Host) Shared() string { return h.shared }

// sharedFolder makes a private folder whose files lie in memory, where the system has one.
func sharedFolder(dir string) (string, error) {
	const memory = "/dev/shm"
	if info, err := os.Stat(memory); err == nil && info.IsDir() {
		removeStale(memory)
		if shared, err := os.MkdirTemp(memory, fmt.Sprintf("comfygo-%d-", os.Getpid())); err == nil {
			return shared, nil
		}
	}
	shared := filepath.Join(dir, "shared")
	if err := os.Mkdir(shared, 0o700); err != nil {
		return "", fmt.Errorf("making the folder for tensors: %w", err)
	}
	return shared, nil
}

// removeStale removes the folders of servers that were killed; memory is not given back otherwise.
func removeStale(memory string) {
	entries, err := os.ReadDir(memory)
	if err != nil {
		return
	}
	for _, e := range entries {
		var pid int
		if _, err := fmt.Sscanf(e.Name(), "comfygo-%d-", &pid); err != nil || pid == os.Getpid() || alive(pid) {
			continue
		}
		_ = os.RemoveAll(filepath.Join(memory, e.Name())) // another user's folder stays
	}
}

func unpack(dir string) error {
	return fs.WalkDir(source, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(dir, filepath.FromSlash(path))
		if e.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		data, err := source.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o600)
	})
}

// Session waits for the process to be ready and returns its life of now. The error says why there is none.
func (h *Host) Session(ctx context.Context) (*Session, error) {
	for {
		h.mu.Lock()
		s, failed, changed := h.session, h.failed, h.changed
		h.mu.Unlock()
		switch {
		case s != nil && s.Live():
			return s, nil
		case failed != nil:
			return nil, failed
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the Python host: %w", context.Cause(ctx))
		}
	}
}

// State describes the process for people: loading, ready or failed, with the reason.
func (h *Host) State() (state, reason string, pid int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.session != nil && h.session.Live():
		return "ready", "", h.session.PID()
	case h.failed != nil:
		return "failed", h.failed.Error(), 0
	}
	return "loading", "", 0
}

func (h *Host) set(s *Session, failed error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.session, h.failed = s, failed
	close(h.changed)
	h.changed = make(chan struct{})
}

// The pauses before a start that follows a failure.
const (
	firstPause = time.Second
	lastPause  = time.Minute
)

// keep starts the process again whenever it has ended. A pack that it dies of while importing is left out of the next start.
func (h *Host) keep(ctx context.Context) {
	defer h.done.Done()
	pause := firstPause
	for {
		s, err := h.start(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			pause = firstPause
			h.set(s, nil)
			select {
			case <-s.gone:
			case <-ctx.Done():
				s.kill(errors.New("the server ends"))
				<-s.gone
				return
			}
			h.cfg.Log.Error("the Python process has ended and is started again", "reason", s.ended())
			h.set(nil, nil)
			continue
		}
		var blamed *blame
		if errors.As(err, &blamed) && !slices.Contains(h.skip, blamed.pack) {
			h.skip = append(h.skip, blamed.pack)
			h.cfg.Log.Error("importing a node pack ended the Python process; it is left out", "pack", blamed.pack, "reason", blamed.err)
			continue
		}
		h.cfg.Log.Error("starting the Python process failed", "reason", err, "next", pause)
		h.set(nil, err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		pause = min(2*pause, lastPause)
	}
}

// blame is the end of the process while a pack was imported.
type blame struct {
	pack string
	err  error
}

func (b *blame) Error() string { return fmt.Sprintf("importing %s: %v", b.pack, b.err) }
func (b *blame) Unwrap() error { return b.err }

// start starts the process and waits until its classes are there.
func (h *Host) start(ctx context.Context) (*Session, error) {
	address := filepath.Join(h.dir, "host.sock")
	_ = os.Remove(address) // of the life before
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", address)
	if err != nil {
		return nil, fmt.Errorf("starting the Python process: %w", err)
	}
	defer listener.Close()
	cmd := exec.Command(h.cfg.Python, "-u", "-m", "comfygo_host", address)
	cmd.Dir = h.dir // what packs write beside themselves goes with it
	cmd.Env = append(withoutSecrets(os.Environ()), "PYTHONPATH="+joined(filepath.Join(h.dir, "source"), os.Getenv("PYTHONPATH")), "PYTHONUNBUFFERED=1", "NO_COLOR=1")
	ownGroup(cmd)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the Python process: %w", err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the Python process: %w", err)
	}
	s := &Session{host: h, cmd: cmd, waiting: map[int64]chan *pyjson.Object{}, gone: make(chan struct{})}
	go func() {
		h.copyLog(out)
		_ = cmd.Wait() // its state is read from ProcessState
		killTree(cmd)  // what it has started
		close(s.gone)
	}()
	ready, err := h.greet(ctx, s, listener)
	if err != nil {
		s.kill(err)
		<-s.gone
		if s.heard != nil {
			<-s.heard // what it said last names the pack
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.loading != "" && ctx.Err() == nil {
			return nil, &blame{s.loading, err}
		}
		return nil, err
	}
	s.ready = ready
	if h.cfg.Started != nil {
		h.cfg.Started(s)
	}
	return s, nil
}

// withoutSecrets leaves out the variables that are for comfygo itself, keys among them.
func withoutSecrets(env []string) []string {
	return slices.DeleteFunc(env, func(v string) bool { return strings.HasPrefix(v, "COMFYGO_") })
}

func joined(first, rest string) string {
	if rest == "" {
		return first
	}
	return first + string(os.PathListSeparator) + rest
}

// greet accepts the connection, says what to load and waits for the answer.
func (h *Host) greet(ctx context.Context, s *Session, listener net.Listener) (*pyjson.Object, error) {
	type accepted struct {
		conn net.Conn
		err  error
	}
	accepts := make(chan accepted, 1)
	go func() {
		conn, err := listener.Accept()
		accepts <- accepted{conn, err}
	}()
	late := time.NewTimer(h.cfg.LoadTimeout)
	defer late.Stop()
	var conn net.Conn
	select {
	case a := <-accepts:
		if a.err != nil {
			return nil, fmt.Errorf("starting the Python process: %w", a.err)
		}
		conn = a.conn
	case <-s.gone:
		return nil, fmt.Errorf("starting the Python process: %s ended at once (%s): is it Python 3.9 or newer?", h.cfg.Python, s.cmd.ProcessState)
	case <-late.C:
		return nil, fmt.Errorf("starting the Python process: it does not answer")
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	s.wire = &wire{conn: conn}
	first := make(chan *pyjson.Object, 1)
	s.heard = make(chan struct{})
	go func() {
		defer close(s.heard)
		if err := s.read(conn, first); !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
			s.kill(err)
		}
		_ = conn.Close()
		killTree(s.cmd) // without a connection it is of no use
	}()
	hello := pyjson.NewObject("op", "hello", "protocol", int64(Protocol), "shared", h.shared).Merge(h.cfg.Hello(slices.Clone(h.skip), filepath.Join(h.dir, "http.sock")))
	if err := s.wire.send(hello); err != nil {
		return nil, err
	}
	select {
	case m := <-first:
		if m.String("op") == "failed" {
			return nil, fmt.Errorf("loading in Python: %s", m.String("error"))
		}
		return m, nil
	case <-s.gone:
		return nil, fmt.Errorf("the Python process ended while it loaded (%s)", s.cmd.ProcessState)
	case <-late.C:
		return nil, fmt.Errorf("the imports did not end within %s", h.cfg.LoadTimeout)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// What is logged of the process's output: lines are cut, and more than so many in a second are counted only.
const (
	longestLine    = 4 << 10
	linesPerSecond = 200
)

// copyLog puts the process's output into the log. It reads to the end whatever comes, so that the process never waits for it.
func (h *Host) copyLog(r io.Reader) {
	in := bufio.NewReaderSize(r, longestLine)
	second, lines, left := time.Now(), 0, 0
	for {
		text, isPrefix, err := in.ReadLine()
		line := string(text)
		for isPrefix && err == nil {
			_, isPrefix, err = in.ReadLine()
		}
		if err != nil {
			return
		}
		if now := time.Now(); now.Sub(second) >= time.Second {
			if left > 0 {
				h.cfg.Log.Warn("lines of the Python process were left out", "lines", left)
			}
			second, lines, left = now, 0, 0
		}
		if lines++; lines > linesPerSecond {
			left++
			continue
		}
		if line = strings.TrimSpace(plain(line)); line != "" {
			h.cfg.Log.Info(line, "from", "python")
		}
	}
}

// plain removes control characters, and the sequences that set colours.
func plain(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == 0x1b && i+1 < len(s) && s[i+1] == '[' {
			for i += 2; i < len(s) && (s[i] < '@' || s[i] > '~'); i++ {
			}
			continue
		}
		if s[i] >= ' ' || s[i] == '\t' {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}
