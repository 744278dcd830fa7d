package logs

import (
	"context"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
	"comfygo/server/hub"
	"comfygo/server/reply"
)

// Buffer keeps the last writes to the log for /internal/logs. It is an io.Writer to be written to beside the console.
type Buffer struct {
	mu      sync.Mutex
	limit   int
	entries []logEntry
	fresh   []logEntry // not yet sent to subscribers
	wake    chan struct{}
}

type logEntry struct{ at, text string }

// NewBuffer makes a buffer of the last limit writes.
func NewBuffer(limit int) *Buffer {
	return &Buffer{limit: max(1, limit), wake: make(chan struct{}, 1)}
}

// Write adds an entry. One that begins with a carriage return takes the place of an unfinished line before it, so that
// progress bars do not fill the buffer.
func (b *Buffer) Write(p []byte) (int, error) {
	e := logEntry{at: time.Now().Format("2006-01-02T15:04:05.000000"), text: string(p)}
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.entries); n > 0 && strings.HasPrefix(e.text, "\r") && !strings.HasSuffix(b.entries[n-1].text, "\n") {
		b.entries = b.entries[:n-1]
	}
	if len(b.entries) == b.limit {
		copy(b.entries, b.entries[1:])
		b.entries = b.entries[:b.limit-1]
	}
	b.entries = append(b.entries, e)
	if len(b.fresh) < b.limit {
		b.fresh = append(b.fresh, e)
	}
	select {
	case b.wake <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (b *Buffer) all() []logEntry {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]logEntry(nil), b.entries...)
}

func (b *Buffer) takeFresh() []logEntry {
	b.mu.Lock()
	defer b.mu.Unlock()
	fresh := b.fresh
	b.fresh = nil
	return fresh
}

func logObjects(entries []logEntry) []any {
	out := make([]any, len(entries))
	for i, e := range entries {
		out[i] = pyjson.NewObject("t", e.at, "m", e.text)
	}
	return out
}

// subscribers are the clients that get log entries as they come.
type subscribers struct {
	hub *hub.Hub
	mu  sync.Mutex
	ids map[hub.Target]bool
	// sized is false until the size of the terminal has been told once; it does not change here.
	sized bool
}

func newSubscribers(h *hub.Hub) *subscribers {
	return &subscribers{hub: h, ids: map[hub.Target]bool{}}
}

func (l *subscribers) set(id hub.Target, on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if on {
		l.ids[id] = true
	} else {
		delete(l.ids, id)
	}
}

// pump sends new entries to the subscribers until ctx ends.
func (l *subscribers) pump(ctx context.Context, b *Buffer) {
	if b == nil {
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.wake:
			l.send(b.takeFresh())
		}
	}
}

func (l *subscribers) send(entries []logEntry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(entries) == 0 || len(l.ids) == 0 {
		return
	}
	var size any
	if !l.sized {
		size, l.sized = terminalSize(), true
	}
	data := pyjson.NewObject("entries", logObjects(entries), "size", size)
	for id := range l.ids {
		if !l.hub.Connected(id) {
			delete(l.ids, id)
			continue
		}
		l.hub.Send("logs", data, id)
	}
}

// terminalSize returns the size of the terminal by the environment.
func terminalSize() *pyjson.Object {
	of := func(name string, otherwise int64) int64 {
		if n, err := strconv.ParseInt(os.Getenv(name), 10, 32); err == nil && n > 0 {
			return n
		}
		return otherwise
	}
	return pyjson.NewObject("cols", of("COLUMNS", 80), "rows", of("LINES", 24))
}

// GetLogs returns the log as one text.
func (s *Service) GetLogs(c echo.Context) error {
	var b strings.Builder
	for _, e := range s.Buffer.all() {
		b.WriteString(e.at + " - " + e.text)
	}
	return s.Reply.JSON(c, http.StatusOK, b.String())
}

// GetRawLogs returns the log entry by entry.
func (s *Service) GetRawLogs(c echo.Context) error {
	return s.Reply.JSON(c, http.StatusOK, pyjson.NewObject("entries", logObjects(s.Buffer.all()), "size", terminalSize()))
}

// PatchLogsSubscribe makes a client a subscriber of the log, or no longer.
func (s *Service) PatchLogsSubscribe(c echo.Context) error {
	body, err := s.Reply.ReadJSON(c)
	if err != nil {
		return err
	}
	o, ok := body.(*pyjson.Object)
	if !ok || !o.Has("clientId") || !o.Has("enabled") {
		return reply.Trouble("subscribing to the log: the body needs clientId and enabled")
	}
	enabled, _ := o.Get("enabled")
	if id := hub.To(o.String("clientId")).Of(s.Access.Who(c).ID); s.Hub.Connected(id) || !reply.Truthy(enabled) {
		s.subscribers.set(id, reply.Truthy(enabled))
	}
	return s.Reply.Empty(c, http.StatusOK)
}
