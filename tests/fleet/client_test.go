package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"
)

// client sends jobs and records their events; when its server is gone it connects to another one with the number of
// its last event.
type client struct {
	f              *fleet
	id, owner, key string
	rnd            *rand.Rand

	mu    sync.Mutex
	conn  *websocket.Conn
	jobs  map[string]bool
	told  []event
	last  int64
	wrong []string
	// repeated is how many jobs began more than once.
	repeated int
}

// event is a numbered message.
type event struct {
	Type   string
	Number int64
	Data   struct {
		ID   string `json:"prompt_id"`
		Node any
	}
}

func (c *client) url(p *process, path string) string {
	return fmt.Sprintf("http://127.0.0.1:%d%s", p.port, path)
}

func (c *client) do(ctx context.Context, method, url string, body []byte) (status int, answer []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	if c.key != "" {
		r.Header.Set("Authorization", "Bearer "+c.key)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

func (c *client) anyServer() *process { return c.f.servers[c.rnd.IntN(len(c.f.servers))] }

// send sends jobs to any server, each until one accepts it: a job without an answer is sent again with the same id.
func (c *client) send(ctx context.Context, n int) {
	for i := range n {
		id := uuid.NewString()
		size := 32
		if i%4 == 0 {
			size = 1024 // takes long enough to be caught at work
		}
		body := fmt.Appendf(nil, `{"client_id": %q, "prompt_id": %q, "prompt": {
			"1": {"class_type": "EmptyImage", "inputs": {"width": %d, "height": %d, "batch_size": 1, "color": %d}},
			"2": {"class_type": "ImageBlur", "inputs": {"image": ["1", 0], "blur_radius": 5, "sigma": 1.0}},
			"3": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}}}}`, c.id, id, size, size, c.rnd.IntN(1<<20))
		for ctx.Err() == nil {
			status, answer, err := c.do(ctx, http.MethodPost, c.url(c.anyServer(), "/prompt"), body)
			if err == nil && (status == http.StatusOK || status == http.StatusConflict) {
				c.mu.Lock()
				if c.jobs == nil {
					c.jobs = map[string]bool{}
				}
				c.jobs[id] = true
				c.mu.Unlock()
				break
			}
			if err == nil && status < http.StatusInternalServerError && status != http.StatusTooManyRequests {
				c.mistake("sending a job: %d %s", status, answer)
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		time.Sleep(time.Duration(c.rnd.IntN(number("FLEET_PAUSE_MS", 400))) * time.Millisecond)
	}
}

func (c *client) mistake(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wrong = append(c.wrong, fmt.Sprintf(format, args...))
}

// connect opens the socket at a server, behind the last event that the client has.
func (c *client) connect(ctx context.Context, p *process) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	query := "/ws?events=numbered&clientId=" + c.id
	c.mu.Lock()
	if c.last > 0 {
		query += fmt.Sprintf("&since=%d", c.last)
	}
	c.mu.Unlock()
	o := &websocket.DialOptions{HTTPHeader: http.Header{}}
	if c.key != "" {
		o.HTTPHeader.Set("Authorization", "Bearer "+c.key)
	}
	conn, _, err := websocket.Dial(ctx, c.url(p, query), o)
	if err != nil {
		return false
	}
	conn.SetReadLimit(-1)
	c.mu.Lock()
	c.conn = conn
	c.mu.Unlock()
	return true
}

// hear reads events until ctx ends.
func (c *client) hear(ctx context.Context) {
	for i := 0; ctx.Err() == nil; i++ {
		readCtx, cancel := context.WithTimeout(ctx, 5*time.Second) // a server that was stopped says nothing
		kind, data, err := c.conn.Read(readCtx)
		cancel()
		if err == nil && kind == websocket.MessageText {
			c.take(data)
		}
		if err == nil {
			continue
		}
		_ = c.conn.CloseNow()
		for i := 0; ctx.Err() == nil && !c.connect(ctx, c.f.servers[i%len(c.f.servers)]); i++ {
			time.Sleep(50 * time.Millisecond)
		}
	}
	_ = c.conn.CloseNow()
}

func (c *client) take(data []byte) {
	var e event
	if err := json.Unmarshal(data, &e); err != nil {
		c.mistake("reading %s: %v", data, err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case e.Type == "events_lost":
		c.wrong = append(c.wrong, "events were lost: "+string(data))
	case e.Type == "status" || e.Data.ID == "":
	case e.Number <= c.last:
		c.wrong = append(c.wrong, fmt.Sprintf("event %d (%s) after %d", e.Number, e.Type, c.last))
	case e.Type == "progress" || e.Type == "progress_state":
		c.last = e.Number
	default:
		c.last = e.Number
		c.told = append(c.told, e)
	}
}

// finished reports whether history has all jobs of the client.
func (c *client) finished(ctx context.Context) bool {
	status, answer, err := c.do(ctx, http.MethodGet, c.url(c.anyServer(), "/history"), nil)
	if err != nil || status != http.StatusOK {
		return false
	}
	var rows map[string]json.RawMessage
	if json.Unmarshal(answer, &rows) != nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.jobs {
		if _, ok := rows[id]; !ok {
			return false
		}
	}
	return true
}

// heardAll reports whether the client has heard the end of each of its jobs.
func (c *client) heardAll() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	ends := map[string]bool{}
	for _, e := range c.told {
		if e.Type == "executing" && e.Data.Node == nil {
			ends[e.Data.ID] = true
		}
	}
	return len(ends) >= len(c.jobs)
}

// check compares the events that the client has received with those of each job's runs.
func (c *client) check(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.wrong {
		t.Errorf("%s: %s", c.id, w)
	}
	runs := map[string][]string{}
	for _, e := range c.told {
		if !c.jobs[e.Data.ID] {
			t.Errorf("%s hears of job %s, which is not its own", c.id, e.Data.ID)
		}
		what := e.Type
		if what == "executing" && e.Data.Node == nil {
			what = "over"
		}
		runs[e.Data.ID] = append(runs[e.Data.ID], what)
	}
	for id := range c.jobs {
		got := runs[id]
		last := 0
		for i, what := range got {
			if what == "execution_start" {
				last = i
			}
		}
		if last > 0 {
			c.repeated++
		}
		whole := strings.Join(got[min(last, len(got)):], " ")
		ends := len(slices.DeleteFunc(slices.Clone(got), func(w string) bool { return w != "execution_success" }))
		if len(got) == 0 || got[0] != "execution_start" || !strings.HasSuffix(whole, "execution_success over") || ends != 1 {
			t.Errorf("%s: job %s told %v", c.id, id, got)
		}
	}
}
