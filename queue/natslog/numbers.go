package natslog

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/nats-io/nats.go/jetstream"
)

// numbers gives prompts their numbers. The stream's only message has the next one; a server takes some by putting the one after them in its place,
// provided that no other server has done so since. Those who want numbers at the same time take them together.
type numbers struct {
	stream jetstream.Stream

	mu      sync.Mutex
	waiting []chan numbered
	busy    bool // takeNumbers runs
	helpers sync.WaitGroup

	// Of takeNumbers.
	known bool
	last  uint64 // the message
	next  int64
}

type numbered struct {
	n   int64
	err error
}

// Count implements queue.Log.
func (l *Log) Count(ctx context.Context) (int64, error) {
	c := &l.numbers
	mine := make(chan numbered, 1)
	c.mu.Lock()
	c.waiting = append(c.waiting, mine)
	takes := !c.busy
	c.busy = true
	c.mu.Unlock()
	if takes {
		c.helpers.Go(l.takeNumbers)
	}
	select {
	case r := <-mine:
		return r.n, r.err
	case <-ctx.Done():
		return 0, &trouble{err: context.Cause(ctx)}
	}
}

// takeNumbers takes numbers for all who wait, until none does.
func (l *Log) takeNumbers() {
	c := &l.numbers
	for {
		c.mu.Lock()
		group := c.waiting
		c.waiting = nil
		if len(group) == 0 {
			c.busy = false
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		tryCtx, cancel := l.link.during(context.Background(), askPatience)
		first, err := l.reserve(tryCtx, int64(len(group)))
		cancel()
		for i, to := range group {
			to <- numbered{first + int64(i), err}
		}
	}
}

// wrongLast is JetStream's code for a message that another one has come before.
const wrongLast = 10071

// reserve takes k numbers and returns the first.
func (l *Log) reserve(ctx context.Context, k int64) (first int64, err error) {
	c := &l.numbers
	for {
		if !c.known {
			if err := l.lastNumber(ctx); err != nil {
				return 0, err
			}
		}
		c.known = false
		ack, err := l.js.Publish(ctx, counter, strconv.AppendInt(nil, c.next+k, 10), jetstream.WithExpectLastSequence(c.last), jetstream.WithRetryAttempts(0))
		var api *jetstream.APIError
		if errors.As(err, &api) && api.ErrorCode == wrongLast && ctx.Err() == nil {
			continue // another server was first
		}
		if err != nil {
			return 0, &trouble{err: err}
		}
		first = c.next
		c.known, c.last, c.next = true, ack.Sequence, first+k
		return first, nil
	}
}

// lastNumber reads what the stream has. Servers of before put empty messages there, whose numbers counted: while some run, the numbers of this
// process do not go back to theirs.
func (l *Log) lastNumber(ctx context.Context) error {
	c := &l.numbers
	m, err := c.stream.GetLastMsgForSubject(ctx, counter)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		c.last, c.next = 0, 0
		return nil
	case err != nil:
		return &trouble{err: err}
	case len(m.Data) == 0:
		c.last, c.next = m.Sequence, max(c.next, int64(m.Sequence)) //nolint:gosec // it counts prompts
		return nil
	}
	n, err := strconv.ParseInt(string(m.Data), 10, 64)
	if err != nil || n < 0 {
		return fmt.Errorf("reading the number of the next prompt: the stream %s has %q, which is not this program's", counterName, m.Data)
	}
	c.last, c.next = m.Sequence, n
	return nil
}
