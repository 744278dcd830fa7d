package pyhost

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"comfygo/internal/pyjson"
)

// fakePrefix is how the name of this test's program begins when it plays a Python interpreter.
const fakePrefix = "fake-python-"

func TestMain(m *testing.M) {
	if mode, ok := strings.CutPrefix(filepath.Base(os.Args[0]), fakePrefix); ok {
		fake(mode, os.Args[len(os.Args)-1])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// fake is a host in Go that behaves as its mode says.
func fake(mode, address string) {
	if mode == "mute" {
		time.Sleep(time.Hour)
	}
	if mode == "exits" {
		fmt.Println("a word before the end")
		os.Exit(5)
	}
	network := "unix"
	if rest, ok := strings.CutPrefix(address, loopback); ok {
		network, address = "tcp", rest
	}
	conn, err := net.Dial(network, address)
	if err != nil {
		os.Exit(1)
	}
	if network == "tcp" {
		_, _ = io.WriteString(conn, os.Getenv(secretVariable))
	}
	w := &wire{conn: conn}
	hello, err := receive(conn)
	if err != nil {
		os.Exit(1)
	}
	ready := pyjson.NewObject("op", "ready", "protocol", int64(Protocol))
	v, _ := hello.Get("skip")
	skip, _ := v.([]any)
	switch mode {
	case "silent":
		time.Sleep(time.Hour)
	case "version":
		ready.Set("protocol", int64(Protocol+1))
	case "failed":
		ready = pyjson.NewObject("op", "failed", "error", "no folder of nodes")
	case "huge":
		_, _ = conn.Write([]byte{255, 255, 255, 255})
		time.Sleep(time.Hour)
	case "half":
		_, _ = conn.Write(frame(100, "{"))
		os.Exit(0)
	case "text":
		_, _ = conn.Write(frame(5, "hello"))
		time.Sleep(time.Hour)
	case "hangs", "dies":
		if len(skip) == 0 {
			_ = w.send(pyjson.NewObject("op", "loading", "pack", "slow"))
			if mode == "dies" {
				os.Exit(1)
			}
			time.Sleep(time.Hour)
		}
	case "twice":
		_ = w.send(ready)
	}
	_ = w.send(ready)
	answer(w, conn)
}

// answer serves calls: echo gives a field back, die ends the process, stop waits for its interrupt.
func answer(w *wire, conn net.Conn) {
	for {
		m, err := receive(conn)
		if err != nil {
			return
		}
		id, _ := m.Get("id")
		switch m.String("op") {
		case "die":
			os.Exit(7)
		case "garbage":
			_, _ = conn.Write(frame(2, "[]"))
		case "interrupt":
			call, _ := m.Get("call")
			_ = w.send(pyjson.NewObject("id", call, "ok", false, "error", pyjson.NewObject("type", "Stopped", "message", "stopped", "interrupted", true)))
		case "fail":
			_ = w.send(pyjson.NewObject("id", id, "ok", false, "error", pyjson.NewObject("type", "ValueError", "message", "no", "traceback", []any{"line 1", 2})))
		case "env":
			list := []any{}
			for _, v := range os.Environ() {
				list = append(list, v)
			}
			_ = w.send(pyjson.NewObject("id", id, "ok", true, "list", list))
		case "echo":
			text, _ := m.Get("text")
			_ = w.send(pyjson.NewObject("id", id, "ok", true, "text", text))
		case "memory":
			_ = w.send(pyjson.NewObject("op", "memory", "gpu", int64(123)))
			_ = w.send(pyjson.NewObject("id", id, "ok", true))
		}
	}
}

// lines is a log whose text can be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startFake starts a host whose interpreter is this program.
func startFake(t *testing.T, mode string, change func(*Config)) (*Host, *lines) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	python := filepath.Join(t.TempDir(), fakePrefix+mode)
	if err := os.Symlink(self, python); err != nil {
		t.Fatal(err)
	}
	log := &lines{}
	cfg := Config{
		Python: python, Log: slog.New(slog.NewTextHandler(log, nil)), LoadTimeout: 3 * time.Second, Grace: 100 * time.Millisecond,
		Hello: func(skip []string, http string) *pyjson.Object { return pyjson.NewObject("skip", skip, "http", http) },
	}
	if change != nil {
		change(&cfg)
	}
	h := New(cfg)
	h.connect = 3 * time.Second
	if mode != "mute" {
		h.connect = time.Minute
	}
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		for _, dir := range []string{h.dir, h.shared} {
			if _, err := os.Stat(dir); err == nil {
				t.Errorf("%s is left behind", dir)
			}
		}
	})
	return h, log
}

// TestBrokenHosts starts interpreters that are not hosts, or bad ones: what is wrong is said, and nothing hangs.
func TestBrokenHosts(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]string{
		"mute": "it does not answer", "silent": "an import did not end within", "exits": "exit status 5", "version": "speaks protocol 2", "failed": "no folder of nodes",
		"huge": "ended while it loaded", "half": "ended while it loaded", "text": "ended while it loaded",
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			h, log := startFake(t, mode, nil)
			for end := time.Now().Add(time.Minute); !strings.Contains(log.String(), want); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("the log does not have %q:\n%s", want, log)
				}
			}
			if h.Away() <= 0 {
				t.Error("the process is not away")
			}
			if state, _, _ := h.State(); state == "ready" {
				t.Error("the host is ready")
			}
		})
	}
}

// session waits for the host's process.
func session(t *testing.T, h *Host) *Session {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := h.Session(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestLeftOut has a pack end or hold up the process during its import: the next start is without it.
func TestLeftOut(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"hangs", "dies"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			h, _ := startFake(t, mode, nil)
			if s := session(t, h); !slices.Equal(s.LeftOut(), []string{"slow"}) {
				t.Errorf("left out is %v", s.LeftOut())
			}
			if h.Away() != 0 {
				t.Errorf("a process that is ready is away for %s", h.Away())
			}
			if st := h.Stats(); st.State != "ready" || st.Restarts < 1 {
				t.Errorf("the figures are %+v", st)
			}
		})
	}
}

// TestCalls calls a host: answers, failures, the end of the process and interrupts.
func TestCalls(t *testing.T) {
	t.Parallel()
	for _, tcp := range []bool{false, true} {
		t.Run(fmt.Sprintf("loopback %v", tcp), func(t *testing.T) {
			t.Parallel()
			h, log := startFake(t, "echo", func(c *Config) { c.Loopback, c.Name = tcp, "one" })
			s := session(t, h)
			if (s.Secret() != "") != tcp {
				t.Errorf("the secret is %q", s.Secret())
			}
			a, err := s.Call(t.Context(), "echo", pyjson.NewObject("text", "ä\x00"))
			if err != nil || a.String("text") != "ä\x00" {
				t.Fatalf("the answer is %v, %v", a, err)
			}
			var f *Failure
			if _, err := s.Call(t.Context(), "fail", nil); !errors.As(err, &f) || f.Type != "ValueError" || f.Message != "no" || !slices.Equal(f.Traceback, []string{"line 1"}) {
				t.Errorf("the failure is %+v, %v", f, err)
			}
			if _, err := s.Call(t.Context(), "memory", nil); err != nil || h.Stats().GPU != 123 {
				t.Errorf("the figures are %+v, %v", h.Stats(), err)
			}
			ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("enough"))
			defer cancel()
			if _, err := s.Call(ctx, "call", pyjson.NewObject("what", "run")); err == nil || err.Error() != "enough" {
				t.Errorf("an interrupted call ends with %v", err)
			}
			if !s.Live() {
				t.Error("a call that stops when it is asked to ends the process")
			}
			if _, err := s.Call(t.Context(), "die", nil); !errors.Is(err, ErrGone) || !strings.Contains(err.Error(), "exit status 7") {
				t.Errorf("the end of the process is told as %v", err)
			}
			next := session(t, h)
			if next == s || next.PID() == s.PID() {
				t.Error("the process was not started again")
			}
			if _, err := next.Call(t.Context(), "garbage", nil); !errors.Is(err, ErrGone) || !strings.Contains(err.Error(), "reading a message") {
				t.Errorf("garbage is answered with %v", err)
			}
			before := session(t, h)
			h.Reload()
			<-before.gone
			if after := session(t, h); after.PID() == before.PID() {
				t.Error("the process was not ended for a reload")
			}
			if !strings.Contains(log.String(), "started again") {
				t.Errorf("the log does not tell of the end:\n%s", log)
			}
		})
	}
}

// TestSecrets checks the environment of the process, and connects in its place without the secret.
func TestSecrets(t *testing.T) {
	t.Setenv("COMFYGO_API_KEY", "for comfygo alone")
	h, _ := startFake(t, "echo", func(c *Config) { c.Loopback = true })
	s := session(t, h)
	a, err := s.Call(t.Context(), "env", nil)
	if err != nil {
		t.Fatal(err)
	}
	v, _ := a.Get("list")
	list, _ := v.([]any)
	for _, e := range list {
		if text, _ := e.(string); strings.HasPrefix(text, "COMFYGO_API_KEY") {
			t.Errorf("the process sees %s", text)
		}
	}
	end, err := h.listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer end.listener.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		conn, err := end.accept()
		if err == nil {
			accepted <- conn
		}
	}()
	silent, err := net.Dial("tcp", end.listener.Addr().String()) // of a program that holds up the process's own connection
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, secret := range []string{strings.Repeat("0", len(end.secret)), end.secret} {
		conn, err := net.Dial("tcp", end.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, secret); err != nil {
			t.Fatal(err)
		}
		if secret != end.secret {
			if _, err := conn.Read(make([]byte, 1)); err == nil {
				t.Error("a wrong secret is answered")
			}
			continue
		}
		select {
		case got := <-accepted:
			_ = got.Close()
		case <-time.After(time.Minute):
			t.Error("the secret is not accepted")
		}
	}
	if err := silent.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := silent.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the silent connection was closed before the other was accepted: %v", err)
	}
}

// TestFiles opens in shared memory only what is a plain file there.
func TestFiles(t *testing.T) {
	t.Parallel()
	h, _ := startFake(t, "echo", nil)
	s := session(t, h)
	f, err := s.Create("a")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create("a"); err == nil {
		t.Error("a file that is there is made again")
	}
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(s.Shared(), "link")
	if err := os.Symlink(outside, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(s.Shared(), "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{outside, link, filepath.Join(s.Shared(), "folder"), filepath.Join(s.Shared(), "missing"), filepath.Join(s.Shared(), "..", filepath.Base(s.Shared()), "..", "x")} {
		if f, err := s.Open(path); err == nil {
			t.Errorf("%s is opened", path)
			_ = f.Close()
		}
	}
	if f, err = s.Open(filepath.Join(s.Shared(), "a")); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
}

// TestOutput bounds what is logged of a process that prints without end.
func TestOutput(t *testing.T) {
	t.Parallel()
	log := &lines{}
	s := &Session{host: New(Config{Log: slog.New(slog.NewTextHandler(log, nil))})}
	s.Do("chatty")
	s.copyLog(io.MultiReader(strings.NewReader("\x1b[31mred\x1b[0m\x07\n"), strings.NewReader(strings.Repeat("x", 3*longestLine)+"\n"), strings.NewReader(strings.Repeat("more\n", 1000))))
	text := log.String()
	if !strings.Contains(text, "msg=red from=python pack=chatty") || !strings.Contains(text, "lines of the Python process were left out") {
		t.Errorf("the log is %.500s", text)
	}
	if n := strings.Count(text, "\n"); n > linesPerSecond+1 || len(text) > 3*bytesPerSecond {
		t.Errorf("%d lines of %d bytes are logged", n, len(text))
	}
}

// TestPython runs the host that comes with the program with a pack, over both ways: a Unix socket, and a port of the machine with a secret,
// as on Windows.
func TestPython(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal(err)
	}
	for name, tcp := range map[string]bool{"socket": false, "loopback": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.CopyFS(filepath.Join(dir, "plain"), os.DirFS(filepath.Join("..", "..", "tests", "testdata", "packs", "plain"))); err != nil {
				t.Fatal(err)
			}
			log := &lines{}
			h := New(Config{
				Python: python, Log: slog.New(slog.NewTextHandler(log, nil)), Loopback: tcp,
				Hello: func(skip []string, http string) *pyjson.Object {
					folders := pyjson.NewObject("base", dir, "output", dir, "input", dir, "temp", dir, "user", dir, "custom_nodes", []any{dir}, "models", pyjson.NewObject())
					return pyjson.NewObject("custom", true, "skip", skip, "http", http, "folders", folders, "arguments", []any{})
				},
			})
			if err := h.Start(); err != nil {
				t.Fatal(err)
			}
			s := session(t, h)
			a, err := s.Call(t.Context(), "info", nil)
			if err != nil || a.Object("classes").Object("PackImage") == nil {
				t.Fatalf("the classes are %v, %v\n%s", a, err, log)
			}
			tensorBothWays(t, s)
			if _, err := run(t, s, "PackLeaves", pyjson.NewObject("how", "os")); !errors.Is(err, ErrGone) {
				t.Errorf("the end of the process is told as %v", err)
			}
			if a, err := run(t, session(t, h), "PackJoin", pyjson.NewObject("a", "on", "b", "")); err != nil {
				t.Errorf("the next life answers %v, %v", a, err)
			}
			if err := h.Close(); err != nil {
				t.Error(err)
			}
			if left, err := os.ReadDir(h.Shared()); err == nil {
				t.Errorf("left in shared memory: %v", left)
			}
		})
	}
}

// run runs a class of the pack "plain".
func run(t *testing.T, s *Session, class string, inputs *pyjson.Object) (*pyjson.Object, error) {
	t.Helper()
	hidden := pyjson.NewObject("UNIQUE_ID", "1")
	return s.Call(t.Context(), "call", pyjson.NewObject("what", "run", "class", class, "prompt", "p", "node", "1", "index", int64(0),
		"inputs", inputs, "hidden", hidden, "lists", false, "instance", "1"))
}

// tensorBothWays has a node make an image, takes it out of Python and gives it to another node.
func tensorBothWays(t *testing.T, s *Session) {
	t.Helper()
	made := func(a *pyjson.Object, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		values, _ := a.Get("values")
		list, _ := values.([]any)
		if len(list) != 1 {
			t.Fatalf("the node gives %v", values)
		}
		handle, _ := list[0].(*pyjson.Object)
		id, _ := handle.Get("id")
		out, err := s.Call(t.Context(), "export", pyjson.NewObject("handle", id))
		if err != nil {
			t.Fatal(err)
		}
		f, err := s.Open(out.Object("value").String("file"))
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(f)
		if err := errors.Join(err, f.Close(), os.Remove(f.Name())); err != nil {
			t.Fatal(err)
		}
		return data
	}
	first := made(run(t, s, "PackImage", pyjson.NewObject("value", 0.25)))
	if len(first) != 4*8*8*3 || math.Float32frombits(binary.NativeEndian.Uint32(first)) != 0.25 {
		t.Fatalf("the image has %d bytes that begin with %v", len(first), first[:min(4, len(first))])
	}
	f, err := s.Create("image")
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(first)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	image := pyjson.NewObject("$", "tensor", "file", f.Name(), "shape", []any{int64(1), int64(8), int64(8), int64(3)})
	second := made(run(t, s, "PackBright", pyjson.NewObject("image", image, "add", 0.5)))
	if len(second) != len(first) || math.Float32frombits(binary.NativeEndian.Uint32(second)) != 0.75 {
		t.Errorf("the brighter image has %d bytes that begin with %v", len(second), second[:min(4, len(second))])
	}
	if _, err := os.Stat(f.Name()); err == nil {
		t.Error("Python has left the file of an image there")
	}
}
