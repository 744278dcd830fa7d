// Package hub sends events to WebSocket clients.
//
// A slow client never blocks another one: each has a bounded buffer of its own, from which previews and progress are dropped
// first, and a client that still can't follow is disconnected. The package must not know what events mean, nor nodes,
// queues or files; it knows only the two facts that a new connection gets: how many jobs remain, and which node
// runs for it.
package hub

import (
	"context"
	"encoding/binary"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"

	"comfygo/internal/pyjson"
)

// Config configures a hub; every field is optional.
type Config struct {
	// Features is the server's answer to a client that sends its feature flags.
	Features *pyjson.Object
	// MaxMessages and MaxBytes bound the messages that wait for one client; 0 means 16384 messages and 32 MiB: a job of
	// thousands of quick nodes sends them faster than a browser reads.
	MaxMessages, MaxBytes int
	// PingEvery is the interval of pings to a silent client; 0 means 30 s.
	PingEvery time.Duration
	// WriteTimeout is the time that one message, or the answer to a ping, may take; 0 means 30 s.
	WriteTimeout time.Duration
	// Journal is the file in which the events for clients that come back outlive the program; "" keeps them in memory only. A second
	// file beside it ends in .old.
	Journal string
	// Shared: the events that are kept have numbers which other servers give them, too (Target.Number); the hub numbers none itself.
	Shared bool
	// Logger receives a line for each client that is disconnected; nil means no log.
	Logger *slog.Logger
}

// Target is the recipient of an event: all clients, or the client with the id, among the clients of an owner. Where owners are
// not told apart all clients have the owner "".
type Target struct {
	Everyone bool
	Client   string
	Owner    string
	// Number is the event's number if several servers give an event the same one; 0 means the hub's own.
	Number int64
}

// Everyone is the target of a broadcast.
var Everyone = Target{Everyone: true}

// To is the target that is one client.
func To(id string) Target { return Target{Client: id} }

// Of is the target among the clients of an owner.
func (t Target) Of(owner string) Target {
	t.Owner = owner
	return t
}

// At is the target for an event with a number that other servers give it, too.
func (t Target) At(number int64) Target {
	t.Number = number
	return t
}

// all reports whether a target is every client of every owner.
func (t Target) all() bool { return t.Everyone && t.Owner == "" }

// address identifies a client: an event for one owner's client never reaches another owner, whatever id it takes.
type address struct{ owner, id string }

// Hub keeps the connected clients. Its methods may be called from any goroutine and never wait for the network.
type Hub struct {
	cfg Config

	mu        sync.Mutex
	clients   map[address]*client  // by id: the newest connection with it
	all       map[*client]struct{} // every open connection, also those that a newer one replaced
	remaining int
	owners    map[string]int     // remaining jobs of each owner; nil where owners are not told apart
	current   map[address]string // the node that runs for a client
	log       eventLog
	closed    bool
	serving   sync.WaitGroup
	counts    counts
}

// New makes a hub.
func New(cfg Config) *Hub {
	if cfg.MaxMessages <= 0 {
		cfg.MaxMessages = 16 << 10
	}
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = 32 << 20
	}
	if cfg.PingEvery <= 0 {
		cfg.PingEvery = 30 * time.Second
	}
	if cfg.WriteTimeout <= 0 {
		cfg.WriteTimeout = 30 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Features == nil {
		cfg.Features = pyjson.NewObject()
	}
	var kept *journal
	if cfg.Journal != "" {
		kept = newJournal(cfg.Journal, func(err error) { cfg.Logger.Warn("events of now will not be known after a restart", "error", err) })
	}
	return &Hub{cfg: cfg, clients: map[address]*client{}, all: map[*client]struct{}{}, current: map[address]string{}, log: newEventLog(kept, cfg.Shared)}
}

// Serve runs one connection until it ends. An id that is in use moves to this connection: the older one stays open and
// gets nothing more. Without an id the client is given one. A client that resumes gets the missed events after the
// greeting.
//
// accept answers the handshake, by the writer that it is given in place of w. The client is registered before that: once it has
// the answer it misses no event. An error is accept's; the connection that had the id before
// has it again.
func (h *Hub) Serve(ctx context.Context, w http.ResponseWriter, hello Hello, accept func(w http.ResponseWriter) (*websocket.Conn, error)) error {
	if hello.ID == "" {
		hello.ID = hexID(uuid.New())
	}
	c := newClient(h, hello.ID)
	c.owner, c.who, c.overseer, c.numbered = hello.Owner, hello.Who, hello.Overseer, hello.Numbered
	before, open := h.register(c, hello)
	if open {
		defer h.serving.Done()
	}
	conn, err := accept(&lineWriter{w, &c.line})
	if err != nil {
		if open {
			h.withdraw(c, before)
		}
		return err
	}
	if !open {
		return conn.Close(websocket.StatusGoingAway, "the server is shutting down")
	}
	c.conn = conn
	c.serve(ctx)
	h.unregister(c)
	return nil
}

// withdraw takes a client out that never came to be.
func (h *Hub) withdraw(c, before *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.all, c)
	if h.clients[c.address()] != c {
		return
	}
	delete(h.clients, c.address())
	if _, still := h.all[before]; still {
		h.clients[c.address()] = before
	}
}

func hexID(u uuid.UUID) string {
	const digits = "0123456789abcdef"
	b := make([]byte, 0, 32)
	for _, x := range u {
		b = append(b, digits[x>>4], digits[x&15])
	}
	return string(b)
}

// register adds a client and greets it; under one lock, so that no event can come before the greeting or be missed. It
// returns the client that had the id, and false when the hub is closed.
func (h *Hub) register(c *client, hello Hello) (before *client, open bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, false
	}
	h.serving.Add(1)
	status := h.status(c)
	status.Set("sid", c.id)
	greeting := jsonFrame("status", status)
	if greeting.number = h.log.last; c.numbered {
		greeting = greeting.numbered()
	}
	c.backlog = append(c.backlog, greeting)
	if hello.Resume {
		h.resume(c, hello.Since)
	}
	if node, runs := h.current[c.address()]; runs {
		c.push(jsonFrame("executing", pyjson.NewObject("node", node)))
	}
	before = h.clients[c.address()]
	h.clients[c.address()] = c
	h.all[c] = struct{}{}
	return before, true
}

func (h *Hub) unregister(c *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.all, c)
	if h.clients[c.address()] == c { // a newer connection with the id stays
		delete(h.clients, c.address())
	}
}

// status is the state of the queue as a client gets it.
func (h *Hub) status(c *client) *pyjson.Object {
	return statusOf(h.remainingFor(c))
}

func statusOf(remaining int) *pyjson.Object {
	return pyjson.NewObject("status",
		pyjson.NewObject("exec_info", pyjson.NewObject("queue_remaining", int64(remaining))))
}

// Remaining sends the number of remaining jobs to all clients.
func (h *Hub) Remaining(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.remaining = n
	if h.owners == nil {
		h.send(jsonFrame("status", statusOf(n)), Everyone)
	}
}

// Current records the node that runs for a client, for its next connection.
func (h *Hub) Current(to Target, node string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.current[address{to.Owner, to.Client}] = node
}

// Done records that no node runs for a client any more.
func (h *Hub) Done(to Target) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.current, address{to.Owner, to.Client})
}

// Idle records that no node runs.
func (h *Hub) Idle() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.current)
}

// Send sends a JSON event. One that is worth nothing later is not even encoded without a connected client.
func (h *Hub) Send(event string, data any, to Target) {
	if passing(event) && !h.heard(to) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.log.count(to) // every event has a number
		return
	}
	f := jsonFrame(event, data)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.send(f, to)
}

// SendBinary sends a binary event: its number in four bytes, and its content.
func (h *Hub) SendBinary(event uint32, payload []byte, to Target) {
	data := make([]byte, 4, 4+len(payload))
	binary.BigEndian.PutUint32(data, event)
	f := frame{data: append(data, payload...), binary: true, droppable: event != BinaryText, kind: strconv.Itoa(int(event))}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.send(f, to)
}

func (h *Hub) send(f frame, to Target) {
	h.log.add(&f, to)
	if !to.Everyone {
		if c := h.clients[address{to.Owner, to.Client}]; c != nil && !c.has(to.Number) {
			if c.numbered {
				f = f.numbered()
			}
			c.push(f)
		}
		return
	}
	var n frame
	for _, c := range h.clients {
		if !to.all() && c.owner != to.Owner || c.has(to.Number) {
			continue
		}
		if !c.numbered {
			c.push(f)
			continue
		}
		if n.data == nil {
			n = f.numbered()
		}
		c.push(n)
	}
}

// heard reports whether some client gets the messages to a target.
func (h *Hub) heard(to Target) bool {
	if to.Everyone {
		return h.Clients() > 0
	}
	return h.Connected(to)
}

// Connected reports whether a client that a target names is there.
func (h *Hub) Connected(to Target) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.clients[address{to.Owner, to.Client}] != nil
}

// Clients is the number of clients that get events.
func (h *Hub) Clients() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.clients)
}

// Supports reports whether the client that a target names has told that it knows a feature.
func (h *Hub) Supports(to Target, feature string) bool {
	h.mu.Lock()
	c := h.clients[address{to.Owner, to.Client}]
	h.mu.Unlock()
	return c != nil && c.supports(feature)
}

// Close ends all connections and waits until their goroutines are gone. Later connections are refused.
func (h *Hub) Close() {
	h.mu.Lock()
	h.closed = true
	for c := range h.all {
		c.end(websocket.StatusGoingAway, "the server is shutting down")
	}
	h.mu.Unlock()
	h.serving.Wait()
	if h.log.journal != nil {
		h.log.journal.end()
	}
}
