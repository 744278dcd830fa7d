package hub

import "sync/atomic"

// counts are figures since the hub was made.
type counts struct{ messages, bytes, cutOff atomic.Int64 }

// Counts are the hub's figures; all but the first count since it was made.
type Counts struct {
	// Open is the number of connections, including those that a newer one of the same client replaced.
	Open int
	// Messages and Bytes count the data queued for clients, before compression. CutOff is the number of clients that
	// were too slow.
	Messages, Bytes, CutOff int64
}

// Counts returns the figures of this moment.
func (h *Hub) Counts() Counts {
	h.mu.Lock()
	open := len(h.all)
	h.mu.Unlock()
	return Counts{Open: open, Messages: h.counts.messages.Load(), Bytes: h.counts.bytes.Load(), CutOff: h.counts.cutOff.Load()}
}
