package executor

import "sync"

// eventBuffer keeps a node's messages before its turn. When the turn has come all are sent at once.
type eventBuffer struct {
	mu   sync.Mutex
	r    *run // of the turn; nil before it
	n    *node
	held []func(*run, *node)
}

func (t *eventBuffer) add(message func(*run, *node)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.r != nil {
		message(t.r, t.n)
		return
	}
	t.held = append(t.held, message)
}

// flush sends the events that were held back; later ones are sent at once.
func (t *eventBuffer) flush(r *run, n *node) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.r, t.n = r, n
	for _, message := range t.held {
		message(r, n)
	}
	t.held = nil
}
