package hub

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"

	"comfygo/internal/pyjson"
)

// readLimit bounds a message from a client; all valid ones are short.
const readLimit = 1 << 20

// client is one connection: a reader (the caller of serve), a writer and a pinger.
type client struct {
	hub  *Hub
	conn *websocket.Conn // set before serve
	line line            // below conn
	id   string
	// owner is the owner of its events, who its principal; an overseer gets the queues of all owners.
	owner    string
	who      any
	overseer bool
	wake     chan struct{} // holds one token when frames wait
	// numbered reports that the client requested numbers.
	numbered bool
	// since is the number of the last event that the client had from another server, or 0.
	since int64

	mu sync.Mutex
	// backlog holds the messages that the client missed; it is sent first and does not count against the limits, as the log is bounded.
	backlog  []frame
	waiting  []frame
	bytes    int
	features *pyjson.Object
	ended    bool
	code     websocket.StatusCode
	reason   string
	cancel   context.CancelFunc
}

func newClient(h *Hub, id string) *client {
	return &client{hub: h, id: id, wake: make(chan struct{}, 1)}
}

// has reports whether the client had an event from another server.
func (c *client) has(number int64) bool { return number != 0 && number <= c.since }

func (c *client) address() address { return address{c.owner, c.id} }

// push queues a frame for the writer and never waits.
func (c *client) push(f frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	if c.full(f) {
		c.thin(f)
	}
	if c.full(f) {
		c.dropAll()
		if c.full(f) && f.droppable {
			return
		}
	}
	if c.full(f) {
		c.hub.cfg.Logger.Warn("cutting off a client that is too slow", "client", c.id, "messages", len(c.waiting), "bytes", c.bytes)
		c.hub.counts.cutOff.Add(1)
		c.endLocked(websocket.StatusPolicyViolation, "too slow")
		return
	}
	c.waiting = append(c.waiting, f)
	c.bytes += len(f.data)
	c.hub.counts.messages.Add(1)
	c.hub.counts.bytes.Add(int64(len(f.data)))
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *client) full(f frame) bool {
	return len(c.waiting) >= c.hub.cfg.MaxMessages || c.bytes+len(f.data) > c.hub.cfg.MaxBytes
}

// thin drops the frames that a newer one of their kind makes obsolete, when f is added to the waiting ones.
func (c *client) thin(f frame) {
	newer := map[string]bool{f.kind: true}
	for i := len(c.waiting) - 1; i >= 0; i-- {
		if w := &c.waiting[i]; w.droppable {
			old := newer[w.kind]
			if newer[w.kind] = true; old {
				w.data = nil
			}
		}
	}
	c.waiting = slices.DeleteFunc(c.waiting, func(f frame) bool { return f.droppable && f.data == nil })
	c.count()
}

// dropAll drops all that can be dropped.
func (c *client) dropAll() {
	c.waiting = slices.DeleteFunc(c.waiting, func(f frame) bool { return f.droppable })
	c.count()
}

func (c *client) count() {
	c.bytes = 0
	for _, f := range c.waiting {
		c.bytes += len(f.data)
	}
}

// pop takes the next frame, if there is one, and reports whether more follow.
func (c *client) pop() (f frame, more, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return frame{}, false, false
	}
	if len(c.backlog) > 0 {
		f = c.backlog[0]
		c.backlog = c.backlog[1:]
		return f, len(c.backlog)+len(c.waiting) > 0, true
	}
	if len(c.waiting) == 0 {
		return frame{}, false, false
	}
	f = c.waiting[0]
	c.waiting[0] = frame{}
	c.waiting = c.waiting[1:]
	if len(c.waiting) == 0 {
		c.waiting = nil
	}
	c.bytes -= len(f.data)
	return f, len(c.waiting) > 0, true
}

// end closes the connection from our side, with a code for the client.
func (c *client) end(code websocket.StatusCode, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLocked(code, reason)
}

func (c *client) endLocked(code websocket.StatusCode, reason string) {
	if c.ended {
		return
	}
	c.ended, c.code, c.reason = true, code, reason
	c.backlog, c.waiting, c.bytes = nil, nil, 0
	if c.cancel != nil {
		c.cancel()
	}
}

// serve runs the connection; when it returns all its goroutines have ended.
func (c *client) serve(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	c.mu.Lock()
	c.cancel = cancel
	if c.ended {
		cancel()
	}
	c.mu.Unlock()

	var helpers sync.WaitGroup
	helpers.Go(func() { defer cancel(); c.write(ctx, cancel) })
	helpers.Go(func() { defer cancel(); c.ping(ctx) })
	// Reading with ctx would tear the connection down before a close message could be sent.
	readCtx, stopReading := context.WithCancel(context.WithoutCancel(ctx))
	helpers.Go(func() {
		defer stopReading()
		<-ctx.Done()
		c.sayGoodbye()
	})
	c.read(readCtx)
	cancel()
	helpers.Wait()
	_ = c.conn.CloseNow()
}

// sayGoodbye sends the close message of an end that came from our side.
func (c *client) sayGoodbye() {
	c.mu.Lock()
	code, reason, ours := c.code, c.reason, c.ended
	c.ended = true
	c.mu.Unlock()
	if !ours || code == websocket.StatusPolicyViolation {
		// The peer is gone, or does not read: waiting for its answer is useless.
		_ = c.conn.CloseNow()
		return
	}
	_ = c.conn.Close(code, reason)
}

// write sends the queued messages. A message that takes too long ends the connection. There is one timer for all of them, and a context without
// a deadline: a deadline for each message would cost as much as encoding it.
func (c *client) write(ctx context.Context, stop func()) {
	late := time.AfterFunc(c.hub.cfg.WriteTimeout, stop)
	late.Stop()
	endless := context.WithoutCancel(ctx)
	for {
		f, more, ok := c.pop()
		if !ok && c.line.holds() {
			late.Reset(c.hub.cfg.WriteTimeout)
			err := c.line.release() // what should have followed was dropped, or the client was ended
			late.Stop()
			if err != nil {
				return
			}
		}
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-c.wake:
			}
			continue
		}
		kind := websocket.MessageText
		if f.binary {
			kind = websocket.MessageBinary
		}
		late.Reset(c.hub.cfg.WriteTimeout)
		c.line.expect(more)
		err := c.conn.Write(endless, kind, f.data)
		late.Stop()
		if err != nil {
			return
		}
	}
}

// ping finds peers that vanished without a word.
func (c *client) ping(ctx context.Context) {
	tick := time.NewTicker(c.hub.cfg.PingEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			pingCtx, cancel := context.WithTimeout(ctx, c.hub.cfg.WriteTimeout)
			err := c.conn.Ping(pingCtx)
			cancel()
			if err != nil {
				return
			}
		}
	}
}

// read reads the client's messages. Only the first JSON object counts, and only if it has feature flags.
func (c *client) read(ctx context.Context) {
	c.conn.SetReadLimit(readLimit)
	first := true
	for {
		kind, data, err := c.conn.Read(ctx)
		if err != nil {
			return
		}
		if kind != websocket.MessageText || !first {
			continue
		}
		message, err := pyjson.UnmarshalObject(data)
		if err != nil {
			continue
		}
		first = false
		if message.String("type") == "feature_flags" {
			c.mu.Lock()
			c.features = message.Object("data")
			c.mu.Unlock()
			c.push(jsonFrame("feature_flags", c.hub.cfg.Features))
		}
	}
}

func (c *client) supports(feature string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, _ := c.features.Get(feature)
	yes, _ := v.(bool)
	return yes
}
