package apiclient

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// startLine stands before the address in the server's log; launchers wait for it.
const startLine = "To see the GUI go to: "

// Process is a running server program.
type Process struct {
	URL string // address of the first listener

	cmd  *exec.Cmd
	tail *tail
	done chan struct{}
	err  error // of Wait; read it after done
}

// Start runs a server program and waits until it has printed its address. Its output is copied to
// log, which may be nil. The caller has to call Stop.
func Start(ctx context.Context, log io.Writer, binary string, args ...string) (*Process, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", binary, err)
	}
	p := &Process{cmd: exec.Command(binary, args...), tail: &tail{}, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = write, write
	err = p.cmd.Start()
	_ = write.Close() // the child has its own
	if err != nil {
		_ = read.Close()
		return nil, fmt.Errorf("starting %s: %w", binary, err)
	}
	address := make(chan string, 1)
	go p.watch(read, log, address)
	select {
	case p.URL = <-address:
		return p, nil
	case <-p.done:
		return nil, fmt.Errorf("starting %s: it ended before listening (%v):\n%s", binary, p.err, p.tail)
	case <-ctx.Done():
		_ = p.cmd.Process.Kill()
		<-p.done
		return nil, fmt.Errorf("starting %s: %w; it printed:\n%s", binary, ctx.Err(), p.tail)
	}
}

// watch copies the output, reports the first address and waits for the end.
func (p *Process) watch(read *os.File, log io.Writer, address chan<- string) {
	defer close(p.done)
	defer func() { _ = read.Close() }()
	lines := bufio.NewScanner(read)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		p.tail.add(line)
		if log != nil {
			fmt.Fprintln(log, line)
		}
		if _, url, ok := strings.Cut(line, startLine); ok {
			select {
			case address <- strings.TrimSpace(url):
			default: // only the first is asked for
			}
		}
	}
	p.err = p.cmd.Wait()
}

// PID is the process's number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Log returns the last lines that the process printed.
func (p *Process) Log() string { return p.tail.String() }

// Stop asks the process to end as Ctrl-C does, kills it when it takes longer than limit, and returns
// how it ended: nil for exit code 0.
func (p *Process) Stop(limit time.Duration) error {
	_ = p.cmd.Process.Signal(syscall.SIGINT) // it may have ended by itself
	select {
	case <-p.done:
		return p.err
	case <-time.After(limit):
		_ = p.cmd.Process.Kill()
		<-p.done
		return errors.Join(fmt.Errorf("the server did not stop in %v", limit), p.err)
	}
}

// Kill ends the process at once.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// tail keeps the last lines of a log.
type tail struct {
	mu    sync.Mutex
	lines []string
}

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lines = append(t.lines, line); len(t.lines) > 200 {
		t.lines = t.lines[100:]
	}
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "\n")
}
