package v2

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

const (
	// keepAlive is the interval at which an idle stream sends a sign of life; clients give up after 45 s.
	keepAlive = 15 * time.Second
	// writePatience is the time that a client may take for an event.
	writePatience = 30 * time.Second
	// maxStreams is the number of streams that a caller may have open.
	maxStreams = 64
	// retryStreams is the time after which a caller with too many streams may try again.
	retryStreams = 5 * time.Second
)

// streamCount counts the open streams by caller.
type streamCount struct {
	mu   sync.Mutex
	open map[string]int
}

func (s *streamCount) enter(owner string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[string]int{}
	}
	if s.open[owner] >= maxStreams {
		return false
	}
	s.open[owner]++
	return true
}

func (s *streamCount) leave(owner string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[owner]--; s.open[owner] == 0 {
		delete(s.open, owner)
	}
}

type statusView struct {
	Status        Status `json:"status"`
	QueuePosition *int   `json:"queue_position"`
}

type previewView struct {
	NodeID      string `json:"node_id"`
	ContentType string `json:"content_type"`
	Data        string `json:"data_base64"`
}

// getEvents streams what happens to a job until its end: first where it stands, or, with the header Last-Event-ID of an
// earlier stream, what has happened since. Statuses: 200, 404, 429.
func (a *API) getEvents(c echo.Context) error {
	owner, err := a.owner(c)
	if err != nil {
		return err
	}
	f, err := a.asked(c)
	if err != nil {
		return err
	}
	if !a.streams.enter(owner) {
		p := problem(http.StatusTooManyRequests, TooManyStreams, "%d streams are open, which is the most; GET %s/jobs/%s tells the same", maxStreams, Prefix, f.id)
		p.RetryAfter = retryStreams
		return p
	}
	defer a.streams.leave(owner)
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	s := &stream{a: a, c: c, id: f.id, control: http.NewResponseController(c.Response().Writer)}
	c.Response().WriteHeader(http.StatusOK)
	if c.Request().Method == http.MethodHead {
		return nil
	}
	if err := s.run(c.Request().Context()); err != nil {
		a.log.Debug("streaming events", "job", f.id, "error", err) // the client has gone
	}
	return nil
}

// stream is one client that listens to one job.
type stream struct {
	a       *API
	c       echo.Context
	id      string
	control *http.ResponseController
	seen    int64 // number of the last event that was told
	state   statusView
}

func (s *stream) run(ctx context.Context) error {
	if err := s.open(); err != nil {
		return err
	}
	beat := time.NewTicker(keepAlive)
	defer beat.Stop()
	for {
		change, more := s.a.cfg.Change() // before looking: nothing that happens from here on is missed
		frames, last, wake := s.a.logs.after(s.id, s.seen)
		for _, f := range frames {
			if over, err := s.tell(f); over || err != nil {
				return err
			}
		}
		s.seen = last
		if over, err := s.look(); over || err != nil || !more {
			return err
		}
		select {
		case <-wake:
		case <-change:
		case <-beat.C:
			if err := s.write([]byte(": still here\n\n")); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// open sends the state of the job, unless the client continues where an earlier stream of it ended.
func (s *stream) open() error {
	cursor := strings.TrimSpace(s.c.Request().Header.Get("Last-Event-ID"))
	if number, ok := s.a.logs.resume(s.id, cursor); ok {
		s.seen = number
		return s.write([]byte(": going on\n\n"))
	}
	last, preview := s.a.logs.now(s.id)
	s.seen = last
	f, ok, err := s.a.find(s.c, s.id)
	if err != nil || !ok {
		return err
	}
	if f.status.terminal() && cursor == "" {
		return nil // look tells its end
	}
	if err := s.status(f, last); err != nil {
		return err
	}
	if p := s.a.progress(f); p != nil {
		if err := s.send("progress", p, last); err != nil {
			return err
		}
	}
	if cursor != "" { // the client has missed events that are no longer kept
		if err := s.allOutputs(f, last); err != nil {
			return err
		}
	}
	if preview == nil {
		return nil
	}
	return s.preview(preview, last)
}

func (s *stream) allOutputs(f found, number int64) error {
	list, err := s.a.outputs(s.c, f)
	if err != nil {
		return err
	}
	for _, o := range list {
		if err := s.send("output", o, number); err != nil {
			return err
		}
	}
	return nil
}

// status sends the job's state if the client does not know it.
func (s *stream) status(f found, number int64) error {
	now := statusView{Status: f.status}
	if f.status == Queued {
		now.QueuePosition = &f.position
	}
	same := s.state.QueuePosition == nil && now.QueuePosition == nil ||
		s.state.QueuePosition != nil && now.QueuePosition != nil && *s.state.QueuePosition == *now.QueuePosition
	if s.state.Status == now.Status && same || f.status.terminal() {
		return nil
	}
	s.state = now
	return s.send("status", now, number)
}

// look sends the current state of the job: its place in the queue, and its end if its log lacks that.
func (s *stream) look() (over bool, err error) {
	f, ok, err := s.a.find(s.c, s.id)
	switch {
	case err != nil || !ok: // forgotten meanwhile
		return true, err
	case f.status == Queued:
		return false, s.status(f, s.seen)
	case f.end != nil && !s.a.logs.over(s.id), f.end == nil && f.status == Canceled, f.end != nil && s.state.Status == "":
		return true, s.send("status", statusView{Status: f.status}, s.seen)
	}
	return false, nil
}

// tell sends an event of the log.
func (s *stream) tell(f frame) (over bool, err error) {
	switch {
	case f.progress != nil:
		return false, s.send("progress", f.progress, f.number)
	case f.preview != nil:
		return false, s.preview(f.preview, f.number)
	case f.output != nil:
		return false, s.output(*f.output, f.number)
	}
	s.state = statusView{Status: f.status}
	return f.status.terminal(), s.send("status", s.state, f.number)
}

func (s *stream) output(o shown, number int64) error {
	f, ok, err := s.a.find(s.c, s.id)
	if err != nil || !ok {
		return err
	}
	v, ok, err := s.a.output(s.c, f, o)
	if err != nil || !ok {
		return err
	}
	return s.send("output", v, number)
}

func (s *stream) preview(p *previewFrame, number int64) error {
	mime, data, err := p.image.Described()
	if err != nil {
		s.a.log.Warn("sending a preview", "error", err)
		return nil
	}
	return s.send("preview", previewView{p.node, mime, base64.StdEncoding.EncodeToString(data)}, number)
}

// send writes an event with its id.
func (s *stream) send(event string, v any, number int64) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	b.WriteString("event: " + event + "\nid: " + s.a.logs.cursor(number) + "\ndata: ")
	b.Write(data)
	b.WriteString("\n\n")
	return s.write(b.Bytes())
}

func (s *stream) write(data []byte) error {
	_ = s.control.SetWriteDeadline(time.Now().Add(writePatience)) // not every writer of a test has deadlines
	if _, err := s.c.Response().Write(data); err != nil {
		return err
	}
	return s.control.Flush()
}
