package queue

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"comfygo/internal/pyjson"
)

const (
	// hookLimit and hookBytes bound the messages that have not arrived and the bytes of their bodies; beyond them the oldest are given up. All servers
	// have them in memory and write them with each state.
	hookLimit = 10000
	hookBytes = 64 << 20
	// hookLease is the time for which a server that sends a message keeps others from sending it, too.
	hookLease = 2 * hookTimeout
)

// hook is a message to a webhook that has not arrived.
type hook struct {
	Delivery
	Owner string `json:",omitempty"`
	// Claimed is when a server began to send it, zero while none does.
	Claimed time.Time `json:",omitzero"`
}

// hookList is the outbox of a queue that several processes share.
type hookList struct {
	last     int64
	byNumber map[int64]*hook
	bytes    int // of their bodies
}

func (l *hookList) add(h *hook) {
	if l.byNumber == nil {
		l.byNumber = map[int64]*hook{}
	}
	l.byNumber[h.Number] = h
	l.bytes += len(h.Body)
}

func (l *hookList) remove(h *hook) {
	delete(l.byNumber, h.Number)
	l.bytes -= len(h.Body)
}

func (l *hookList) inOrder() []hook {
	list := make([]hook, 0, len(l.byNumber))
	for _, h := range l.byNumber {
		list = append(list, *h)
	}
	slices.SortFunc(list, func(a, b hook) int { return cmp.Compare(a.Number, b.Number) })
	return list
}

// oldest returns the message that was added first; the list must have one.
func (l *hookList) oldest() *hook {
	return l.byNumber[slices.Min(slices.Collect(maps.Keys(l.byNumber)))]
}

// due returns up to limit messages to send by now that no server sends.
func (l *hookList) due(now time.Time, limit int, skip map[int64]bool) (list []hook) {
	for _, h := range l.byNumber {
		if !h.Due.After(now) && h.free(now) && !skip[h.Number] {
			list = append(list, *h)
		}
	}
	slices.SortFunc(list, func(a, b hook) int { return cmp.Compare(a.Number, b.Number) })
	return list[:min(limit, len(list))]
}

func (h *hook) free(now time.Time) bool { return h.Claimed.IsZero() || now.Sub(h.Claimed) > hookLease }

// hookIDs is the namespace of the ids of messages: servers that apply the same entry give a message the same id.
var hookIDs = uuid.MustParse("5d0f2b64-6a0e-4c2b-9c66-6f0f5a3f1d7e")

// hook puts the message about an event of a job into the outbox, if the job wants it. tail is that of its history.
func (m *machine) hook(j *Job, event, status string, tail []byte) {
	w := j.Options.Webhook
	if m.level < levelProtocol || !w.wants(event) {
		return
	}
	data := hookData(j, status)
	if tail != nil {
		addOutcome(data, tail)
	}
	body, err := hookBody(event, data, m.now)
	if err != nil {
		return // what was read from JSON can be written
	}
	m.hooks.last++
	id := uuid.NewSHA1(hookIDs, fmt.Appendf(nil, "%s %d %d %d %s", j.ID, j.seq, j.queued.UnixNano(), j.attempts, event))
	m.hooks.add(&hook{Owner: j.Owner, Delivery: Delivery{
		Number: m.hooks.last, ID: id.String(), JobID: j.ID, URL: w.URL, Secret: w.Secret, Body: body, Due: m.now,
	}})
	m.out.hooks = true
	for m.tooManyHooks() {
		m.dropHook(m.hooks.oldest(), EventHookFailed, "error", "too many messages wait for their receivers")
	}
}

// tooManyHooks reports whether the outbox is over its bounds. A message that is larger than all may be waits alone.
func (m *machine) tooManyHooks() bool {
	n := len(m.hooks.byNumber)
	return n > hookLimit || n > 1 && m.level >= clockProtocol && m.hooks.bytes > hookBytes
}

// addOutcome adds a job's outputs and error from the text of history.
func addOutcome(data *pyjson.Object, tail []byte) {
	row, err := pyjson.UnmarshalObject(append([]byte("{"), tail...))
	if err != nil {
		row = pyjson.NewObject()
	}
	data.Set("outputs", orEmpty(row.Object("outputs")))
	list, _ := row.Object("status").Get("messages")
	messages, _ := list.([]any)
	for _, v := range messages {
		if pair, ok := v.([]any); ok && len(pair) == 2 && pair[0] == any("execution_error") {
			data.Set("error", pair[1])
		}
	}
}

// claim lets one server send a message.
func (m *machine) claim(e *entry) {
	h := m.hooks.byNumber[e.Seq]
	if h == nil || h.Attempts != e.Attempt || !h.free(m.now) {
		return
	}
	h.Claimed, m.out.verdict.ok = m.now, true
}

// settle records what has become of a message.
func (m *machine) settle(e *entry) {
	h := m.hooks.byNumber[e.Seq]
	switch {
	case h == nil || h.Attempts != e.Attempt: // another server, which had claimed it later, was first
	case e.On:
		m.dropHook(h, EventHookArrived)
	case e.Due == 0:
		m.dropHook(h, EventHookFailed, "error", e.Cause)
	default:
		h.Attempts, h.Due, h.Claimed = h.Attempts+1, time.UnixMilli(e.Due), time.Time{}
	}
}

func (m *machine) dropHook(h *hook, event string, pairs ...any) {
	m.hooks.remove(h)
	m.event(event, &Job{ID: h.JobID, Owner: h.Owner}, append([]any{"id", h.ID}, pairs...)...)
}
