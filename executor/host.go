package executor

import (
	"sync"

	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// host is the part of the run that one call of a node sees.
type host struct {
	r   *run
	n   *node
	bar progressBar
	mu  sync.Mutex
	// buffer holds the node's messages before its turn; nil in a call that is made in its turn.
	buffer *eventBuffer
	// suspended is called when an async node first waits; nil in other calls.
	suspended func()
}

var _ nodes.Host = (*host)(nil)

func newHost(r *run, n *node, suspended func()) *host {
	return &host{r: r, n: n, bar: newBar(), suspended: suspended}
}

// Progress implements nodes.Host.
func (h *host) Progress(value, limit float64, p *nodes.Preview) {
	h.mu.Lock()
	defer h.mu.Unlock()
	value = min(value, limit)
	if h.bar.due(value, limit, p) {
		h.add(func(r *run, n *node) { r.out.advanced(n, r.job.ID, value, limit, p) })
	}
}

func (h *host) add(message func(*run, *node)) {
	if h.buffer == nil {
		message(h.r, h.n)
		return
	}
	h.buffer.add(message)
}

// Show implements nodes.Host.
func (h *host) Show(value, limit float64, p *nodes.Preview) {
	h.add(func(r *run, n *node) { r.out.show(n, value, limit, p) })
}

// SendText implements nodes.Host.
func (h *host) SendText(text string) {
	text = newCutter(h.r.e.limits).string(text)
	h.add(func(r *run, n *node) { r.out.send(EventText, pyjson.NewObject("node", n.id, "text", text), nil) })
}

// Await implements nodes.Host.
func (h *host) Await(wait func()) {
	if h.suspended != nil {
		h.suspended()
	}
	wait()
}

// Linked implements nodes.Host.
func (h *host) Linked(l nodes.Link) ([]any, bool) { return h.r.cache.peek(l.ID).list(l.Slot) }

// State implements nodes.Host.
func (h *host) State(make func() any) any { return h.r.e.states.get(h.r.job.owner(), h.n, make) }

// Hidden implements nodes.Host.
func (h *host) Hidden(kind string) any {
	switch kind {
	case "PROMPT":
		return h.r.g.prompt
	case "DYNPROMPT":
		return dynPrompt{h.r.g}
	case "EXTRA_PNGINFO":
		return h.r.extra("extra_pnginfo")
	case "AUTH_TOKEN_COMFY_ORG":
		return h.r.extra("auth_token_comfy_org")
	case "API_KEY_COMFY_ORG":
		return h.r.extra("api_key_comfy_org")
	case "COMFY_USAGE_SOURCE":
		return h.r.extra("comfy_usage_source")
	case "PREVIEW_METHOD":
		return h.r.extra("preview_method")
	}
	return nil
}

func (r *run) extra(key string) any {
	v, _ := r.job.ExtraData.Get(key)
	return v
}

// stateKey identifies the state of a node of a user's graph.
type stateKey struct {
	owner string
	ownerKey
}

// stateStore keeps what nodes keep from run to run, as long as the graph has a node of that id and class.
type stateStore struct {
	mu     sync.Mutex
	values map[stateKey]any
}

func (s *stateStore) get(owner string, n *node, make func() any) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := stateKey{owner, ownerKey{n.id, n.class.Name}}
	v, ok := s.values[key]
	if !ok {
		v = make()
		if s.values == nil {
			s.values = map[stateKey]any{}
		}
		s.values[key] = v
	}
	return v
}

// keep drops the values of nodes that the graph does not have.
func (s *stateStore) keep(g *graph) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.values {
		if n, ok := g.nodes[key.id]; !ok || n.class.Name != key.class {
			delete(s.values, key)
		}
	}
}
