package ffmpeg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// Limits of every call.
const (
	maxArgs     = 256     // number of arguments
	maxArgBytes = 1 << 16 // of all arguments together; metadata goes by a file
	stderrTail  = 4 << 10 // bytes of the programs' messages that are kept

	// Stall is the time for which a process may neither read nor write anything.
	Stall = 3 * time.Minute
	// killDelay is the time for which a process that was told to end may keep its pipes open.
	killDelay = 2 * time.Second
)

// errStalled ends a process that no longer takes or gives anything.
var errStalled = fmt.Errorf("ffmpeg took and gave nothing for %v", Stall)

// unread replaces FFmpeg's message, which lists all formats that are read.
const unread = "its format is not among those that are read; convert it, or rename it if its name has a %, which stands for a sequence of images"

// Command is a call of ffmpeg.
type Command struct {
	// Args are its arguments, without the program's name and the general ones.
	Args []string
	// Stdin, if not nil, is the data that it reads from pipe:0.
	Stdin io.Reader
	// File, when not "", is the path of the input, which is left out of messages.
	File string
	// Memory, when positive, bounds the process's address space in bytes, on systems that can.
	Memory int64
}

// Process is a running ffmpeg.
type Process struct {
	// Stdout is the data that it writes to pipe:1. It has to be read to its end, or Stop called.
	Stdout io.Reader

	cmd    *exec.Cmd
	cancel context.CancelCauseFunc
	ctx    context.Context
	watch  *watchdog
	errors *tail
	once   sync.Once
	err    error
}

// Start starts ffmpeg. The process ends with ctx; Wait has to be called in any case.
func (t *Tool) Start(ctx context.Context, c Command) (*Process, error) {
	p, err := t.find()
	if err != nil {
		return nil, err
	}
	args := append([]string{"-nostdin", "-hide_banner", "-loglevel", "error"}, c.Args...)
	if c.Stdin != nil {
		args = args[1:]
	}
	return start(ctx, p.ffmpeg, args, c)
}

func start(ctx context.Context, program string, args []string, c Command) (*Process, error) {
	size := 0
	for _, a := range args {
		size += len(a)
		if strings.IndexByte(a, 0) >= 0 {
			return nil, errors.New("starting ffmpeg: an argument with a zero byte")
		}
	}
	if len(args) > maxArgs || size > maxArgBytes {
		return nil, fmt.Errorf("starting ffmpeg: %d arguments of %d bytes; at most %d of %d bytes", len(args), size, maxArgs, maxArgBytes)
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	run, cancel := context.WithCancelCause(ctx)
	cmd := exec.CommandContext(run, program, args...)
	cmd.WaitDelay = killDelay
	cmd.Env = environment()
	proc := &Process{cmd: cmd, cancel: cancel, ctx: run, errors: &tail{limit: stderrTail, hide: FileURL(c.File)}}
	proc.watch = newWatchdog(Stall, func() { cancel(errStalled) })
	cmd.Stderr = proc.errors
	if c.Stdin != nil {
		cmd.Stdin = input{c.Stdin, proc.watch}
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		proc.watch.stop()
		cancel(nil)
		return nil, fmt.Errorf("starting ffmpeg: %w", err)
	}
	widenPipe(out)
	if c.Memory > 0 {
		limitMemory(cmd.Process.Pid, c.Memory)
	}
	proc.Stdout = output{out, proc.watch}
	return proc, nil
}

// environment returns the variables that the programs get: none that change their behavior or where they write.
func environment() []string {
	env := []string{"LC_ALL=C", "AV_LOG_FORCE_NOCOLOR=1"}
	for _, name := range []string{"PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// Wait waits for the end of the process and returns its error: the cause of the context's end, or the last lines of the messages.
// Stdout has to be read before.
func (p *Process) Wait() error {
	p.once.Do(func() {
		err := p.cmd.Wait()
		p.watch.stop()
		if cause := context.Cause(p.ctx); cause != nil {
			err = cause
		} else if err != nil {
			if text := p.errors.String(); text != "" {
				err = errors.New(text)
			} else {
				err = fmt.Errorf("ffmpeg failed without a message: %w", err)
			}
		}
		p.cancel(nil)
		p.err = err
	})
	return p.err
}

// Stop ends the process without waiting for its remaining output.
func (p *Process) Stop() {
	p.cancel(errStopped)
	_, _ = io.Copy(io.Discard, p.Stdout) // ends with the process
	_ = p.Wait()                         // its error is that it was stopped
}

// errStopped ends a process whose output is no longer needed.
var errStopped = errors.New("ffmpeg was stopped")

// Messages returns the last lines that the process wrote about its input.
func (p *Process) Messages() string { return p.errors.String() }

// Run runs ffmpeg to its end. Its standard output is read and dropped.
func (t *Tool) Run(ctx context.Context, c Command) error {
	p, err := t.Start(ctx, c)
	if err != nil {
		return err
	}
	_, copyErr := io.Copy(io.Discard, p.Stdout)
	return errors.Join(p.Wait(), copyErr)
}

// tail keeps the end of the data that is written to it.
type tail struct {
	limit int
	hide  string
	mu    sync.Mutex
	buf   []byte
}

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b[max(0, len(b)-t.limit):]...)
	if over := len(t.buf) - t.limit; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(b), nil
}

// String returns the last lines in one, without the addresses that the programs put in front.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	const most = 3
	if len(t.hide) > len(FileURL("")) {
		t.buf = bytes.ReplaceAll(t.buf, []byte(t.hide), []byte("the file"))
	}
	if bytes.Contains(t.buf, []byte("not on whitelist")) {
		return unread
	}
	lines := bytes.Split(bytes.TrimSpace(t.buf), []byte("\n"))
	if over := len(lines) - most; over > 0 {
		lines = lines[over:]
	}
	for i, l := range lines {
		if at := bytes.Index(l, []byte("] ")); at > 0 && bytes.HasPrefix(l, []byte("[")) && bytes.Contains(l[:at], []byte(" @ 0x")) {
			lines[i] = l[at+2:]
		}
	}
	return strings.ToValidUTF8(string(bytes.Join(lines, []byte("; "))), "\uFFFD")
}

// watchdog calls a function when a process neither takes nor gives anything for a while.
type watchdog struct {
	wait  time.Duration
	timer *time.Timer
}

func newWatchdog(wait time.Duration, bark func()) *watchdog {
	return &watchdog{wait: wait, timer: time.AfterFunc(wait, bark)}
}

func (w *watchdog) stop() { w.timer.Stop() }

func (w *watchdog) reset() { w.timer.Reset(w.wait) }

// input is the input of a process.
type input struct {
	io.Reader
	w *watchdog
}

// Read implements io.Reader.
func (r input) Read(b []byte) (int, error) {
	defer r.w.reset()
	return r.Reader.Read(b)
}

// output is the output of a process. The time that its reader takes between two reads does not count: it may wait for memory.
type output struct {
	io.Reader
	w *watchdog
}

// Read implements io.Reader.
func (r output) Read(b []byte) (int, error) {
	r.w.reset()
	n, err := r.Reader.Read(b)
	if err == nil {
		r.w.stop()
	} else {
		r.w.reset() // what is left is that the process ends
	}
	return n, err
}
