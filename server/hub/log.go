package hub

import (
	"encoding/binary"
	"strconv"
	"time"

	"comfygo/internal/pyjson"
)

// Hello holds a client's parameters at connection.
type Hello struct {
	// ID is the client's id; with "" a new one is assigned.
	ID string
	// Owner is the owner of the events that the client gets, or "" if owners are not distinguished.
	Owner string
	// Overseer clients get the number of remaining jobs of all owners.
	Overseer bool
	// Who is the principal of the connection; End passes it to its condition.
	Who any
	// Numbered requests a number in every event.
	Numbered bool
	// Since, when Resume is set, is the number of the last event that the client has seen.
	Since  int64
	Resume bool
}

const (
	// maxLogged and maxLoggedBytes bound the events that are kept for clients that come back.
	maxLogged, maxLoggedBytes = 10000, 16 << 20
	// numberedBinary is the bit in the number of a binary event that marks an event number in the following eight bytes.
	numberedBinary = 1 << 31
)

// logged is one event of the log.
type logged struct {
	frame frame
	to    Target
}

// eventLog keeps the last events, but for those that a newer one makes worthless. Its numbers only go up, also from one
// run of the program to the next one.
type eventLog struct {
	last   int64
	first  int64 // no event below this one is known any more
	events []logged
	bytes  int
	// gap is the number below which the last events of a killed process may be missing; 0 without such a gap.
	gap     int64
	shared  bool     // numbers come from outside
	journal *journal // nil: the log ends with the program
}

// newEventLog makes a log with the events of the journal, which may be nil.
func newEventLog(j *journal, shared bool) eventLog {
	now := time.Now()
	if shared {
		return eventLog{shared: true}
	}
	l := eventLog{last: now.UnixMicro(), journal: j}
	l.first = l.last + 1
	if j == nil {
		return l
	}
	events, whole, err := j.read(now)
	if err != nil {
		j.tell(err)
	}
	if len(events) == 0 {
		return l
	}
	l.first = events[0].frame.number
	for _, e := range events {
		l.keep(e)
	}
	before := events[len(events)-1].frame.number
	l.last = max(l.last, before+1) // the clock may have been set back
	if !whole {
		l.gap = l.last
	}
	return l
}

// add gives a frame its number and keeps it.
func (l *eventLog) add(f *frame, to Target) {
	f.number = l.count(to)
	if f.droppable || l.shared && to.Number == 0 {
		return
	}
	e := logged{*f, to}
	if l.journal != nil {
		l.journal.add(e, time.Now())
	}
	l.keep(e)
}

// count returns the number of the next event. If numbers come from outside, an event without one has that of the event before.
func (l *eventLog) count(to Target) int64 {
	switch {
	case to.Number > 0:
		l.last = max(l.last, to.Number)
		return to.Number
	case !l.shared:
		l.last++
	}
	return l.last
}

// keep adds an event and drops the oldest if there are too many.
func (l *eventLog) keep(e logged) {
	if l.first == 0 {
		l.first = e.frame.number
	}
	l.events = append(l.events, e)
	l.bytes += len(e.frame.data)
	for len(l.events) > maxLogged || l.bytes > maxLoggedBytes {
		l.first = l.events[0].frame.number + 1
		l.bytes -= len(l.events[0].frame.data)
		l.events[0] = logged{}
		l.events = l.events[1:]
	}
}

// missed returns the events for a client after the one with the number, and whether there may have been more that are
// not known any more.
func (l *eventLog) missed(c address, since int64) (frames []frame, lost bool) {
	for _, e := range l.events {
		if e.frame.number > since && e.to.reaches(c) {
			frames = append(frames, e.frame)
		}
	}
	return frames, since+1 < l.first || since > l.last && !l.shared || since < l.gap
}

// numbered is the frame as clients get it that asked for numbers: JSON with one more key, binary events with the highest
// bit set and eight bytes more.
func (f frame) numbered() frame {
	if f.number == 0 {
		return f
	}
	out := f
	if f.binary {
		out.data = make([]byte, 0, len(f.data)+8)
		out.data = binary.BigEndian.AppendUint32(out.data, binary.BigEndian.Uint32(f.data)|numberedBinary)
		out.data = binary.BigEndian.AppendUint64(out.data, uint64(f.number)) //nolint:gosec // it counts up from a time
		out.data = append(out.data, f.data[4:]...)
		return out
	}
	out.data = append(append([]byte{}, f.data[:len(f.data)-1]...), `, "number": `...)
	out.data = append(strconv.AppendInt(out.data, f.number, 10), '}')
	return out
}

// resume sends a client the events that it missed before everything else. The caller holds the hub's lock, and the client does
// not run yet.
func (h *Hub) resume(c *client, since int64) {
	frames, lost := h.log.missed(c.address(), since)
	if h.log.shared {
		c.since = since // this server may be behind the one that the client was connected to
	}
	if lost {
		c.backlog = append(c.backlog, jsonFrame("events_lost", pyjson.NewObject("since", since, "first", h.log.first)))
	}
	for _, f := range frames {
		c.backlog = append(c.backlog, f.numbered())
	}
}
