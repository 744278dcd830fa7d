package pyhost

import (
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
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"comfygo/internal/pyjson"
)

//go:embed comfygo_host/*.py comfygo_host/modules/*.py comfygo_host/modules/*/*.py comfygo_host/modules/*/*/*.py
var source embed.FS

// Config configures a Host.
type Config struct {
	// Python is the interpreter.
	Python string
	// Hello returns the first message beyond op, protocol and shared: the list to load. skip are the packs that caused the process to die.
	Hello func(skip []string, http string) *pyjson.Object
	// Notify is called with the process's unsolicited messages. It must not block.
	Notify func(s *Session, op string, m *pyjson.Object)
	// Started is called with each life of the process when its classes are there. It may call the session.
	Started func(s *Session)
	// LoadTimeout bounds the import of one pack; 0 means 10 minutes. Grace is how long a call may go on after its interrupt; 0 means 10 s.
	LoadTimeout, Grace time.Duration
	// Name is the pack of a host that runs only one, for the log; "" for one that runs all.
	Name string
	// MemoryLimit ends the process when it occupies more bytes; 0 means no limit.
	MemoryLimit int64
	// User, if set, is the user that the process runs as.
	User *User
	// Loopback has the process connect to a port of the machine in place of a Unix socket, as it always does on Windows.
	Loopback bool
	// Log is never nil.
	Log *slog.Logger
}

// Host keeps the Python process running.
type Host struct {
	cfg     Config
	dir     string        // private folder: sources and sockets
	shared  string        // private folder for tensors, in memory where there is such a folder
	connect time.Duration // how long the interpreter may take to connect
	cancel  context.CancelFunc
	done    sync.WaitGroup

	mu      sync.Mutex
	session *Session
	newest  *Session           // the life that runs, also while it loads
	life    context.CancelFunc // ends the life of now, for another one to begin
	lives   int
	away    time.Time     // since when there is no session; zero while there is one
	spent   time.Duration // CPU time of the lives that have ended
	failed  error         // why there is no session, when no start is under way
	changed chan struct{} // closed at the next change
	skip    []string
	strikes map[string]int // how often the process was killed while it imported a pack

	failing time.Time // since when starts fail; keep's alone
}

// New makes a host. Start starts the process.
func New(cfg Config) *Host {
	if cfg.LoadTimeout == 0 {
		cfg.LoadTimeout = 10 * time.Minute
	}
	if cfg.Grace == 0 {
		cfg.Grace = 10 * time.Second
	}
	return &Host{cfg: cfg, connect: connectTimeout, changed: make(chan struct{})}
}

// Start unpacks the host's sources and starts the process in the background.
func (h *Host) Start() error {
	removeStale(os.TempDir(), "comfygo-python-%d-")
	var err error
	if h.dir, err = os.MkdirTemp("", fmt.Sprintf("comfygo-python-%d-", os.Getpid())); err != nil {
		return fmt.Errorf("making the folder of the Python host: %w", err)
	}
	if err := h.prepare(); err != nil {
		return errors.Join(err, h.remove())
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.set(nil, nil)
	h.cancel = cancel
	h.done.Add(1)
	go h.keep(ctx)
	return nil
}

// prepare fills the host's folders: sources that the process reads, a folder for its sockets and one for tensors, which are its own.
func (h *Host) prepare() error {
	run := filepath.Join(h.dir, "run")
	if err := os.Mkdir(run, 0o700); err != nil {
		return fmt.Errorf("making the folder for the Python host's sockets: %w", err)
	}
	var err error
	if h.shared, err = sharedFolder(h.dir); err != nil {
		return err
	}
	dirs, files := fs.FileMode(0o700), fs.FileMode(0o600)
	if h.cfg.User != nil { // another user reads the sources, and must not change them
		dirs, files = 0o755, 0o644
		if err := os.Chmod(h.dir, 0o711); err != nil {
			return fmt.Errorf("opening the folder of the Python host: %w", err)
		}
	}
	if err := unpack(filepath.Join(h.dir, "source"), dirs, files); err != nil {
		return fmt.Errorf("unpacking the Python host: %w", err)
	}
	return errors.Join(h.cfg.User.own(run), h.cfg.User.own(h.shared))
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

// Reload ends the process for another one to begin, in which all packs are imported anew, those too that were left out.
func (h *Host) Reload() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.skip, h.strikes = nil, nil
	if h.life != nil {
		h.life()
	}
}

func (h *Host) remove() error { return errors.Join(os.RemoveAll(h.shared), os.RemoveAll(h.dir)) }

// Shared is the folder for tensors; its files are the process's and ours alone.
func (h *Host) Shared() string { return h.shared }

// sharedFolder makes a private folder for files in memory, if the system has one.
func sharedFolder(dir string) (string, error) {
	const memory = "/dev/shm"
	if info, err := os.Stat(memory); err == nil && info.IsDir() && runtime.GOOS != "windows" { // a plain folder of the current drive there
		removeStale(memory, "comfygo-%d-")
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

// removeStale removes the folders of servers that were killed; memory is not given back otherwise. pattern says where a name has the number
// of the process.
func removeStale(folder, pattern string) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return
	}
	for _, e := range entries {
		var pid int
		if _, err := fmt.Sscanf(e.Name(), pattern, &pid); err != nil || pid == os.Getpid() || alive(pid) {
			continue
		}
		_ = os.RemoveAll(filepath.Join(folder, e.Name())) // another user's folder stays
	}
}

func unpack(dir string, dirs, files fs.FileMode) error {
	return fs.WalkDir(source, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(dir, filepath.FromSlash(path))
		if e.IsDir() {
			return os.MkdirAll(target, dirs)
		}
		data, err := source.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, files)
	})
}

// Session waits for the process to be ready and returns its current session. The error explains why the process has no session.
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

// Away is for how long the process has not been ready; 0 while it is.
func (h *Host) Away() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.away.IsZero() {
		return 0
	}
	return time.Since(h.away)
}

func (h *Host) set(s *Session, failed error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.session, h.failed = s, failed
	if s != nil {
		h.away = time.Time{}
	} else if h.away.IsZero() {
		h.away = time.Now()
	}
	close(h.changed)
	h.changed = make(chan struct{})
}

// The pauses before a start that follows a failure.
const (
	firstPause = 500 * time.Millisecond
	lastPause  = time.Minute
)

// keep starts the process again whenever it has ended. A pack that it dies of while importing is left out of the next start.
func (h *Host) keep(ctx context.Context) {
	defer h.done.Done()
	pause := firstPause
	for ctx.Err() == nil {
		life, end := context.WithCancel(ctx)
		h.mu.Lock()
		h.life = end
		h.mu.Unlock()
		pause = h.live(life, pause)
		end()
	}
}

// live starts the process once and waits for its end, or for the pause after a start that failed. It returns the next pause.
func (h *Host) live(ctx context.Context, pause time.Duration) time.Duration {
	s, err := h.start(ctx)
	began := time.Now()
	switch {
	case ctx.Err() != nil && s == nil:
		h.set(nil, nil)
		return firstPause
	case err == nil:
		h.failing = time.Time{}
		h.mu.Lock()
		h.strikes = nil
		h.mu.Unlock()
		h.set(s, nil)
		select {
		case <-s.gone:
			h.cfg.Log.Error("the Python process has ended and is started again", "reason", s.ended(), "pack", s.Doing())
		case <-ctx.Done():
			s.kill(errReload)
			<-s.gone
		}
		h.set(nil, nil)
		if s.served() || time.Since(began) > lastPause {
			return firstPause
		}
	default:
		var blamed *blame
		if errors.As(err, &blamed) && h.leaveOut(blamed) {
			h.cfg.Log.Error("importing a node pack ended the Python process; it is left out", "pack", blamed.pack, "reason", blamed.err)
			return pause
		}
		h.cfg.Log.Error("starting the Python process failed", "reason", err, "next", pause)
		if h.failing.IsZero() {
			h.failing = time.Now()
		}
		if killed(err) && time.Since(h.failing) < patience {
			break // by another goroutine: jobs wait for the next start
		}
		h.set(nil, err)
	}
	// The process has ended without having been useful: if that happens repeatedly, starting it costs more than it gains.
	wait := time.NewTimer(pause)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
		return firstPause
	}
	return min(2*pause, lastPause)
}

// errReload is the cause of the end of a process that restarts, or whose server ends.
var errReload = errors.New("the node packs are loaded again, or the server ends")

// For so long, and so often in a row while it imports the same pack, the process may be killed before that counts as its own fault.
const (
	patience  = time.Minute
	manyKills = 5
)

// endedError is the end of a process that had not finished its start.
type endedError struct {
	when  string
	state *os.ProcessState
}

func (e *endedError) Error() string { return fmt.Sprintf("%s (%s)", e.when, e.state) }

// killed reports whether a start failed because the process was killed, which it cannot do by mistake: a person did, or the system for want
// of memory.
func killed(err error) bool {
	var ended *endedError
	return errors.As(err, &ended) && ended.state.String() == "signal: killed"
}

// leaveOut leaves a pack out of the next starts; false when it has been left out already, and while it has been killed a few times only.
func (h *Host) leaveOut(b *blame) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if slices.Contains(h.skip, b.pack) {
		return false
	}
	if killed(b.err) {
		if h.strikes == nil {
			h.strikes = map[string]int{}
		}
		if h.strikes[b.pack]++; h.strikes[b.pack] < manyKills {
			return false
		}
	}
	h.skip = append(h.skip, b.pack)
	return true
}

func (h *Host) leftOut() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.skip)
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
	end, err := h.listen(ctx)
	if err != nil {
		return nil, err
	}
	defer end.listener.Close()
	s, err := h.launch(end)
	if err != nil {
		return nil, fmt.Errorf("starting the Python process: %w", err)
	}
	ready, err := h.greet(ctx, s, end)
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

// launch starts the process.
func (h *Host) launch(end *endpoint) (*Session, error) {
	cmd := exec.Command(h.cfg.Python, "-u", "-m", "comfygo_host", end.address)
	cmd.Dir = filepath.Join(h.dir, "run") // what packs write beside themselves goes with it
	cmd.Env = h.environment(end)
	tree := newFamily(cmd)
	h.cfg.User.as(cmd)
	out, in, err := os.Pipe() // not cmd's own: a process that a pack has started may hold it open without end
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = in, in
	if err := errors.Join(cmd.Start(), in.Close()); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	tree.started()
	s := &Session{host: h, cmd: cmd, family: tree, secret: end.secret, waiting: map[int64]chan *pyjson.Object{}, gone: make(chan struct{})}
	h.mu.Lock()
	h.newest, h.lives = s, h.lives+1
	h.mu.Unlock()
	expendable(cmd.Process.Pid)
	copied := make(chan struct{})
	go func() {
		s.copyLog(out)
		close(copied)
	}()
	go func() {
		_ = cmd.Wait() // its state is read from ProcessState
		tree.kill()    // what it has started
		tree.release()
		select {
		case <-copied:
		case <-time.After(lastWords):
		}
		_ = out.Close() // nothing is left to be read
		h.mu.Lock()
		h.spent += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		h.mu.Unlock()
		close(s.gone)
	}()
	go s.watch()
	return s, nil
}

// lastWords is the time to wait for the output of a process that has ended.
const lastWords = time.Second

// environment returns the variables of the process: none with secrets, and for another user only those that are public.
func (h *Host) environment(end *endpoint) []string {
	env := withoutSecrets(os.Environ())
	if u := h.cfg.User; u != nil {
		env = append(slices.DeleteFunc(env, func(v string) bool { return !harmless(v) }), "HOME="+u.Home, "USER="+u.Name, "LOGNAME="+u.Name)
	}
	env = append(env, "PYTHONPATH="+joined(filepath.Join(h.dir, "source"), os.Getenv("PYTHONPATH")), "PYTHONUNBUFFERED=1", "NO_COLOR=1")
	if end.secret != "" {
		env = append(env, secretVariable+"="+end.secret)
	}
	return env
}

// harmless are the variables that a process of another user gets.
func harmless(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	for _, prefix := range []string{"LC_", "CUDA_", "NVIDIA_", "OMP_", "MKL_", "TORCH_", "PYTORCH_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return slices.Contains([]string{"PATH", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH"}, name)
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

// connectTimeout is the time that the interpreter may take to start; no pack is imported yet.
const connectTimeout = time.Minute

// greet accepts the connection, sends the list of packs to load and waits for the answer.
func (h *Host) greet(ctx context.Context, s *Session, end *endpoint) (*pyjson.Object, error) {
	type accepted struct {
		conn net.Conn
		err  error
	}
	accepts, left := make(chan accepted), make(chan struct{})
	defer close(left)
	go func() { // until the listener is closed, as start does
		conn, err := end.accept()
		select {
		case accepts <- accepted{conn, err}:
		case <-left:
			if err == nil {
				_ = conn.Close() // it came too late
			}
		}
	}()
	late := time.NewTimer(h.connect)
	defer late.Stop()
	var conn net.Conn
	select {
	case a := <-accepts:
		if a.err != nil {
			return nil, fmt.Errorf("starting the Python process: %w", a.err)
		}
		conn = a.conn
	case <-s.gone:
		return nil, &endedError{fmt.Sprintf("starting the Python process: %s ended at once; is it Python 3.9 or newer?", h.cfg.Python), s.cmd.ProcessState}
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
		s.family.kill() // without a connection it is of no use
	}()
	hello := pyjson.NewObject("op", "hello", "protocol", int64(Protocol), "shared", h.shared).Merge(h.cfg.Hello(h.leftOut(), end.http))
	if err := s.wire.send(hello); err != nil {
		return nil, err
	}
	return h.loaded(ctx, s, first)
}

// loaded waits until the process is ready. Each pack may take LoadTimeout.
func (h *Host) loaded(ctx context.Context, s *Session, first <-chan *pyjson.Object) (*pyjson.Object, error) {
	tick := time.NewTicker(min(h.cfg.LoadTimeout, time.Second))
	defer tick.Stop()
	seen, since := s.loads.Load(), time.Now()
	for {
		select {
		case m := <-first:
			if m.String("op") == "failed" {
				return nil, fmt.Errorf("loading in Python: %s", m.String("error"))
			}
			return m, versionOf(m)
		case <-s.gone:
			return nil, &endedError{"the Python process ended while it loaded", s.cmd.ProcessState}
		case now := <-tick.C:
			if n := s.loads.Load(); n != seen {
				seen, since = n, now
			}
			if now.Sub(since) >= h.cfg.LoadTimeout {
				return nil, fmt.Errorf("an import did not end within %s (--python-load-timeout)", h.cfg.LoadTimeout)
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// versionOf refuses a host that speaks another version than it was greeted in.
func versionOf(ready *pyjson.Object) error {
	v, _ := ready.Get("protocol")
	if v != int64(Protocol) {
		return fmt.Errorf("the Python host speaks protocol %v, comfygo %d", v, Protocol)
	}
	return nil
}
