package executor

import (
	"sync"
	"time"

	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// emitter sends a run's events in order and collects the status messages.
type emitter struct {
	mu       sync.Mutex
	sink     Sink
	now      func() time.Time
	client   string
	hasOne   bool
	closed   bool
	messages []Message
	progress *progressBoard
}

// send gives an event to the sink: for the job's client, or for all clients if the job has none. Nothing is sent after the run's end.
func (m *emitter) send(typ string, data *pyjson.Object, preview *Preview) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sendLocked(typ, data, preview)
}

func (m *emitter) sendLocked(typ string, data *pyjson.Object, preview *Preview) {
	m.sendEventLocked(Event{Type: typ, Data: data, Preview: preview})
}

func (m *emitter) sendEventLocked(e Event) {
	if m.closed || m.sink == nil {
		return
	}
	e.Client, e.Broadcast = m.client, !m.hasOne
	m.sink.Send(e)
}

// toClient sends an event unless the job has no client.
func (m *emitter) toClient(typ string, data *pyjson.Object) {
	if m.hasOne {
		m.send(typ, data, nil)
	}
}

// status records a status message and sends it; without a client only when it is a broadcast.
func (m *emitter) status(typ string, data *pyjson.Object, broadcast bool) {
	data.Set("timestamp", m.now().UnixMilli())
	m.mu.Lock()
	defer m.mu.Unlock()
	m.messages = append(m.messages, Message{typ, data})
	if m.hasOne || broadcast {
		m.sendLocked(typ, data, nil)
	}
}

// close ends the sending; nodes that still run are not heard any more.
func (m *emitter) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
}

// started, finished and advanced change a node's progress and send the state of all nodes.
func (m *emitter) started(n *node) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stateLocked(n, stateRunning, 0, 1, false)
}

func (m *emitter) finished(n *node) {
	m.mu.Lock()
	defer m.mu.Unlock()
	limit, whole := m.progress.limit(n)
	m.stateLocked(n, stateFinished, limit, limit, whole)
}

// stateLocked changes a node's row and sends all of them.
func (m *emitter) stateLocked(n *node, state string, value, limit float64, whole bool) {
	data := m.progress.set(n, state, value, limit, whole)
	m.sendEventLocked(Event{
		Type: "progress_state", Data: data,
		Node: NodeState{ID: n.id, Value: value, Limit: limit, Finished: state == stateFinished, Nodes: m.progress.count},
	})
}

func (m *emitter) advanced(n *node, promptID string, value, limit float64, preview *nodes.Preview) {
	m.mu.Lock()
	defer m.mu.Unlock()
	img := m.showLocked(n, value, limit, preview)
	m.sendLocked("progress", pyjson.NewObject("value", number(value), "max", number(limit), "prompt_id", promptID, "node", n.id), nil)
	if img != nil {
		m.sendLocked(EventPreview, nil, img)
	}
}

// show sends the state of all nodes with a node's progress in it.
func (m *emitter) show(n *node, value, limit float64, preview *nodes.Preview) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.showLocked(n, value, limit, preview)
}

func (m *emitter) showLocked(n *node, value, limit float64, preview *nodes.Preview) *Preview {
	m.stateLocked(n, stateRunning, value, limit, true)
	if preview == nil {
		return nil
	}
	img := &Preview{source: *preview}
	if m.hasOne {
		m.sendLocked(EventPreviewMetadata, m.progress.ids(n), img)
	}
	return img
}

// number writes whole progress figures without a point, as steps are counted.
func number(f float64) any {
	if f == float64(int64(f)) {
		return int64(f)
	}
	return f
}
