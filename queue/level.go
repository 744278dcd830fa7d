package queue

import (
	"context"
	"crypto/ecdh"
	"errors"
	"fmt"
	"time"
)

// The level of a log is the version of the protocol whose rules are in force. It is raised by an entry of that version, so that every process applies
// the rules from the same entry on, and servers that do not know them end with an error when they read it. A server raises the level when it hears
// of none that is older; until then the newer rules wait:
//
//   - 3: workers have keys, and what they append is authenticated; Idempotency-Key holds at all servers; webhooks; waiting for a worker that has a
//     job's models.
//   - 4: receipts are dated by the log's clock and not by that of the server that has accepted the request; messages to webhooks are bounded in bytes.
//
// Servers of version 1 know no level, nor the rules of version 2 that have none (changes that are called off or come too late, ids that are taken for
// a while): beside one of them this server accepts no changes.

// errForged means that an entry says that it is of a worker, and is not.
var errForged = errors.New("passing over an entry of the queue's log that its worker has not written")

var errBesideFirst = errors.New("a server of the first version of the protocol runs beside this one: stop it")

// raise brings the rules of a version into force.
func (m *machine) raise(e *entry) {
	if m.secret == nil {
		secret, err := ecdh.X25519().NewPrivateKey(e.Secret)
		if err != nil {
			m.out.verdict.err = fmt.Errorf("reading the fleet's key: %w", err)
			return
		}
		m.secret = secret
	}
	if m.level < clockProtocol && e.Level >= clockProtocol {
		m.receipts.date(m.now)
	}
	m.level = max(m.level, e.Level)
}

// authentic reports whether an entry is of the process that it says. Workers without a key are believed: they are of before level 3.
func (m *machine) authentic(e *entry) bool {
	if !e.byWorker || !keyed(e.Worker) {
		return true
	}
	c := m.channelTo(e.Worker)
	return c != nil && c.verify(e)
}

// channelTo returns the channel to a worker, nil when it has no key.
func (m *machine) channelTo(id string) *channel {
	w := m.members[id]
	if w != nil && w.channel != nil {
		return w.channel
	}
	if m.secret == nil || !keyed(id) {
		return nil
	}
	c, err := channelTo(id, m.secret)
	if err != nil {
		return nil
	}
	if w != nil {
		w.channel = c
	}
	return c
}

// elderLease is the time after which a server that is silent no longer keeps the level down. One that comes back ends when it reads the new level.
const elderLease = 2 * serverLease

// findOldest finds the oldest version that a server of which this one has heard understands; the queue is locked.
func (q *Distributed) findOldest() {
	q.oldest = Protocol
	for _, s := range q.servers {
		if time.Since(s.at) > elderLease {
			continue
		}
		q.oldest = min(q.oldest, max(firstProtocol, s.speaks))
	}
}

// raise appends the newest level when all servers know its rules. A log that was empty has no others.
func (q *Distributed) raise(ctx context.Context) {
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-q.ready:
	default:
		return
	}
	if q.m.level >= Protocol || q.raising || !q.leads() {
		return
	}
	if q.oldest < Protocol {
		if !q.warned {
			q.warned = true
			q.log.Warn(fmt.Sprintf("a server of version %d of the protocol runs: the rules of version %d wait until it is upgraded", q.oldest, Protocol))
		}
		return
	}
	if !q.fresh && time.Since(q.since) < serverLease {
		return
	}
	q.raising = true
	q.helpers.Go(func() {
		err := q.raiseNow(ctx)
		if err != nil && ctx.Err() == nil {
			q.log.Error("bringing the rules of a new version into force", "error", err)
		}
		q.mu.Lock()
		q.raising = false
		q.mu.Unlock()
	})
}

func (q *Distributed) raiseNow(ctx context.Context) error {
	key, err := newKey()
	if err != nil {
		return err
	}
	_, err = q.do(ctx, entry{Type: entryLevel, Level: Protocol, Secret: key.Bytes()}, nil)
	return err
}

// atLevel reports whether the rules of a version are in force.
func (q *Distributed) atLevel(version int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.m.level >= version
}

// besideFirst reports whether a server of the first version runs, which knows no level.
func (q *Distributed) besideFirst() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.oldest < batchProtocol && q.m.level < levelProtocol
}

// levelPatience is how long a server waits at its start until it is known whether older ones run.
const levelPatience = 2 * serverLease

// awaitLevel waits at the start of a server until the level is raised, or an older server is heard that keeps it down: so the first requests have the
// newest rules, too. It waits for a limited time, but for what needs the rules it waits as long as the context allows: a request with an
// Idempotency-Key would be accepted twice without them. It reports whether it is known.
func (q *Distributed) awaitLevel(ctx context.Context, needed bool) bool {
	const every = 20 * time.Millisecond
	for q.undecided(needed) {
		if !pause(ctx, every) {
			return false
		}
	}
	return true
}

func (q *Distributed) undecided(needed bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.begun { // a request may come before Work does, which answers it
		return needed
	}
	return q.m.level < Protocol && q.oldest == Protocol && (needed || time.Since(q.readyAt) < levelPatience)
}
