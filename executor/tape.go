package executor

import "sync"

// tape keeps what a node says before its turn. Once that has come everything is said at once.
type tape struct {
	mu   sync.Mutex
	r    *run // of the turn; nil before it
	n    *node
	held []func(*run, *node)
}

func (t *tape) say(message func(*run, *node)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.r != nil {
		message(t.r, t.n)
		return
	}
	t.held = append(t.held, message)
}

// play says what was held back; what comes from now on is heard as it is said.
func (t *tape) play(r *run, n *node) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.r, t.n = r, n
	for _, message := range t.held {
		message(r, n)
	}
	t.held = nil
}
