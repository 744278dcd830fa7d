package hub

import (
	"bufio"
	"net"
	"net/http"
	"sync"
)

// mostHeld is the number of bytes that wait for more to be sent with them.
const mostHeld = 16 << 10

// line is a client's connection. Consecutive messages are sent together: a job that is done in less than a millisecond
// sends eight messages, and each system call costs as much as encoding ten of them.
type line struct {
	net.Conn

	mu   sync.Mutex
	hold bool
	held []byte
}

// Write keeps p for later while more is to follow, unless that is a lot already.
func (l *line) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.hold && len(l.held) == 0 {
		return l.Conn.Write(p)
	}
	if len(l.held)+len(p) <= mostHeld {
		l.held = append(l.held, p...)
		if l.hold {
			return len(p), nil
		}
		return len(p), l.flush()
	}
	if err := l.flush(); err != nil {
		return 0, err
	}
	return l.Conn.Write(p)
}

// expect reports whether more follows the next write.
func (l *line) expect(more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hold = more
}

// holds reports whether something waits for more.
func (l *line) holds() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.held) > 0
}

// release sends the held bytes, since nothing more follows.
func (l *line) release() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hold = false
	return l.flush()
}

// flush sends the held bytes; l.mu is held.
func (l *line) flush() error {
	if len(l.held) == 0 {
		return nil
	}
	_, err := l.Conn.Write(l.held)
	l.held = l.held[:0]
	if cap(l.held) > 4<<10 { // most are short; ten thousand clients need not keep room for the longest
		l.held = nil
	}
	return err
}

// lineWriter is a response writer whose connection becomes a line when it is hijacked.
type lineWriter struct {
	http.ResponseWriter
	line *line
}

// Hijack implements http.Hijacker.
func (w *lineWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffers, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	w.line.Conn = conn
	buffers.Writer.Reset(w.line)
	return w.line, buffers, nil
}
