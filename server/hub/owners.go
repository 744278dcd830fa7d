package hub

import "github.com/coder/websocket"

// reaches reports whether a target is, or is one of several that include, the client at an address.
func (t Target) reaches(c address) bool {
	if t.Everyone {
		return t.Owner == "" || t.Owner == c.owner
	}
	return t.Client == c.id && t.Owner == c.owner
}

// remainingFor returns the number of remaining jobs as far as a client may know. The hub is locked.
func (h *Hub) remainingFor(c *client) int {
	if h.owners == nil || c.overseer {
		return h.remaining
	}
	return h.owners[c.owner]
}

// Owners sends each client the number of its owner's remaining jobs; from then on events are sent by owner. The map must not be
// changed afterwards. An owner without jobs, before and now, gets no event: the jobs of others are not visible to it. These events
// are not in the event log: a client that reconnects gets the state at that time.
func (h *Hub) Owners(remaining map[string]int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.owners
	h.owners = remaining
	frames := map[int]frame{}
	for _, c := range h.clients {
		if !c.overseer && before[c.owner] == 0 && remaining[c.owner] == 0 {
			continue
		}
		n := h.remainingFor(c)
		f, ok := frames[n]
		if !ok {
			f = jsonFrame("status", statusOf(n))
			frames[n] = f
		}
		if c.numbered {
			f.number = h.log.last
			f = f.numbered()
		}
		c.push(f)
	}
}

// Oversee sends a JSON event to overseers only. It has no place in the log.
func (h *Hub) Oversee(event string, data any) {
	f := jsonFrame(event, data)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.clients {
		if !c.overseer {
			continue
		}
		own := f
		if c.numbered {
			own.number = h.log.last
			own = own.numbered()
		}
		c.push(own)
	}
}

// End closes the connections of the principals for which ended is true, with a code and a reason that the client
// sees. It returns how many that were, and does not wait for them.
func (h *Hub) End(ended func(who any) bool, code int, reason string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for c := range h.all {
		if ended(c.who) {
			c.end(websocket.StatusCode(code), reason)
			n++
		}
	}
	return n
}

// Sockets calls f for the principal of each open connection.
func (h *Hub) Sockets(f func(who any)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.all {
		f(c.who)
	}
}
