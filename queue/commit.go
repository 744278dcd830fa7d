package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A change of a shared queue is an entry of its log. This file appends the changes of this process, one message at a time: what comes while one is
// on its way goes together in the next one. So the fate of at most one message is open at any time, and it is settled before another is sent.

const (
	// mostTogether and mostTogetherBytes bound the jobs that one message adds.
	mostTogether      = 256
	mostTogetherBytes = 256 << 10
	// untilSlack is how much later than its change's patience a message may reach the log and still have its effect. It is far below the time for
	// which the log recognises a message that it has had.
	untilSlack = time.Minute
)

var (
	errTooLong = errors.New("the queue's log does not answer")
	// errVoided means that a change was called off because its outcome was not known in time.
	errVoided = errors.New("the queue's log did not answer in time, and the change was called off")
	// errLate means that a change came to the log after its time.
	errLate = errors.New("the change reached the queue's log too late and was passed over")
)

// UncertainError is returned when it is not known whether a change was made and this cannot be found out in time, as when the log's server stopped
// between taking the change and answering.
type UncertainError struct{ err error }

// Error says what can be done.
func (e *UncertainError) Error() string {
	return fmt.Sprintf("it is not known whether the change was made (%v): look for it, or send it again; a prompt that is sent again with the same prompt_id, or with the same Idempotency-Key, makes no second job", e.err)
}

// Unwrap returns the cause.
func (e *UncertainError) Unwrap() error { return e.err }

// pending is a change on its way through the log.
type pending struct {
	request int64
	data    []byte // the entry
	keep    Keep
	own     *Job   // the job that the change adds, or nil
	entry   *entry // what data has, with a job
	until   time.Time
	done    chan verdict // has room for the verdict

	// Guarded by Distributed.mu. A change is in Distributed.waits until it is decided.
	sent    bool // it may be in the log
	dropped bool // it was given up before it was sent
}

// do appends an entry and waits until this process has applied it. An error means that the change was not made, unless it is an UncertainError.
func (q *Distributed) do(ctx context.Context, e entry, own *Job) (verdict, error) {
	until := time.Now().Add(q.cfg.Patience)
	ctx, cancel := context.WithDeadlineCause(ctx, until, errTooLong)
	defer cancel()
	if err := q.wait(ctx); err != nil {
		return verdict{}, &unavailable{err}
	}
	if e.Type != entryLevel {
		if needed := e.Receipt != nil; !q.awaitLevel(ctx, needed) && needed {
			return verdict{}, &unavailable{context.Cause(ctx)}
		}
	}
	if q.besideFirst() {
		return verdict{}, &unavailable{errBesideFirst}
	}
	e.Origin, e.Request, e.Until = q.id, q.requests.Add(1), q.logTime(until.Add(untilSlack))
	data, err := e.encode()
	if err != nil {
		return verdict{}, err
	}
	if most := q.bus.MaxSize(); len(data) > most {
		return verdict{}, &TooLargeError{Size: len(data), Limit: most}
	}
	r := &pending{request: e.Request, data: data, keep: KeepCommand, own: own, until: until, done: make(chan verdict, 1)}
	if e.Type == entryPut || e.Type == entryEnd {
		r.keep = KeepJob
	}
	if own != nil {
		e.Body = own.text // nothing that the caller may still change
		r.entry = &e
	}
	q.mu.Lock()
	q.waits[r.request] = r
	q.mu.Unlock()
	select {
	case q.changes <- r:
	case <-ctx.Done():
	case <-q.ended:
	}
	select {
	case v := <-r.done:
		return v, v.err
	case <-ctx.Done():
		return q.overdue(context.Cause(ctx), r)
	case <-q.ended:
		return q.overdue(ErrShutdown, r)
	}
}

// overdue waits for a change whose time is over: one that was not sent is dropped, the fate of another is being settled until the queue ends.
func (q *Distributed) overdue(cause error, r *pending) (verdict, error) {
	q.mu.Lock()
	if !r.sent && q.waits[r.request] == r {
		r.dropped = true
		delete(q.waits, r.request)
		q.mu.Unlock()
		return verdict{}, &unavailable{cause}
	}
	q.mu.Unlock()
	t := time.NewTimer(q.cfg.Settle)
	defer t.Stop()
	select {
	case v := <-r.done:
		return v, v.err
	case <-t.C:
	case <-q.ended:
	}
	q.mu.Lock()
	delete(q.waits, r.request)
	q.mu.Unlock()
	select {
	case v := <-r.done: // it has just come
		return v, v.err
	default:
		return verdict{}, &UncertainError{cause}
	}
}

// logTime is a time of this process by the log's clock in milliseconds, 0 while that is not known.
func (q *Distributed) logTime(t time.Time) int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.clockKnown {
		return 0
	}
	return t.Add(q.clock).UnixMilli()
}

// decide gives changes that are still open their verdict; the queue is locked.
func (q *Distributed) decide(requests []int64, v verdict) {
	for _, n := range requests {
		if r := q.waits[n]; r != nil {
			delete(q.waits, n)
			r.done <- v
		}
	}
}

// commit appends changes until ctx ends.
func (q *Distributed) commit(ctx context.Context) {
	var next *pending
	for {
		first := next
		if next = nil; first == nil {
			select {
			case <-ctx.Done():
				return
			case first = <-q.changes:
			}
		}
		list, size := []*pending{first}, len(first.data)
	gather:
		for first.own != nil && len(list) < mostTogether && q.together() {
			select {
			case r := <-q.changes:
				if size += len(r.data); r.own == nil || size > mostTogetherBytes {
					next = r
					break gather
				}
				list = append(list, r)
			default:
				break gather
			}
		}
		q.append(ctx, list)
	}
}

// together reports whether all servers understand several jobs in one message.
func (q *Distributed) together() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.oldest >= batchProtocol && (time.Since(q.since) > serverLease || q.m.level >= levelProtocol)
}

// append appends changes as one message, and does not return before it is certain what is in the log.
func (q *Distributed) append(ctx context.Context, list []*pending) {
	var requests []int64
	var data [][]byte
	q.mu.Lock()
	list = slices.DeleteFunc(list, func(r *pending) bool { return r.dropped }) // the time of a dropped one is no limit for the others
	for _, r := range list {
		r.sent = true
		requests, data = append(requests, r.request), append(data, r.data)
	}
	q.mu.Unlock()
	if len(requests) == 0 {
		return
	}
	message, err := data[0], error(nil)
	if len(data) > 1 {
		message, err = encodeBatch(q.id, requests, data)
	}
	id := fmt.Sprint(q.id, "-", requests[0])
	if err == nil {
		tryCtx, cancel := context.WithDeadlineCause(ctx, list[0].until, errTooLong)
		err = q.bus.Append(tryCtx, list[0].keep, id, message)
		cancel()
	}
	switch {
	case err == nil: // the follower has or gets it
	case errors.Is(err, ErrUncertain):
		q.log.Warn("a change of the queue has no answer; it is called off unless the log has it", "error", err)
		q.void(ctx, list[0].keep, id, requests)
	default:
		q.mu.Lock()
		q.decide(requests, verdict{err: err})
		q.mu.Unlock()
	}
}

// decode reads a record. The jobs that this process has accepted together it knows.
func (q *Distributed) decode(r Record) ([]*entry, error) {
	e, err := decodeEntry(r.Data)
	if err != nil {
		return nil, err
	}
	if e.Type != entryBatch || e.Origin != q.id || r.ByWorker {
		return e.allowed(r.ByWorker)
	}
	list := make([]*entry, len(e.Requests))
	q.mu.Lock()
	for i, n := range e.Requests {
		if p := q.waits[n]; p != nil {
			list[i] = p.entry
		}
	}
	q.mu.Unlock()
	if len(list) == 0 || slices.Contains(list, nil) {
		return e.members() // some were given up
	}
	return list, nil
}

// void settles whether the log has a message: it appends another one with the same id, which the log takes only when it has not had the first, and
// then never takes the first. Every server reads one of the two. While the log has no room, other changes are refused for that reason: none is sent
// before this one is settled, so it is certain that they are not made.
func (q *Distributed) void(ctx context.Context, k Keep, id string, requests []int64) {
	e := entry{Type: entryVoid, Origin: q.id, Requests: requests}
	data, err := e.encode()
	for err == nil && ctx.Err() == nil {
		tryCtx, cancel := context.WithTimeout(ctx, q.cfg.Patience)
		failed := q.bus.Append(tryCtx, k, id, data)
		cancel()
		if failed == nil {
			return
		}
		q.log.Warn("settling whether a change of the queue was made", "error", failed)
		if errors.Is(failed, ErrFull) {
			q.refuseAll(ctx, failed, firstPause)
			continue
		}
		pause(ctx, firstPause)
	}
}

// refuseAll refuses the changes that come within a time.
func (q *Distributed) refuseAll(ctx context.Context, why error, length time.Duration) {
	t := time.NewTimer(length)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			return
		case r := <-q.changes:
			q.mu.Lock()
			q.decide([]int64{r.request}, verdict{err: why})
			q.mu.Unlock()
		}
	}
}
