package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

// Work implements Queue. Jobs run one after the other; nothing that a job does ends the loop.
func (q *Local) Work(ctx context.Context) error {
	var helpers sync.WaitGroup
	helpers.Go(func() { q.keepHouse(ctx) })
	helpers.Go(func() { q.deliver(ctx) })
	defer helpers.Wait()
	defer q.idle()
	defer func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.dropNote()
	}()
	for {
		if ctx.Err() != nil {
			return nil
		}
		q.settleLeft(ctx)
		if r, runCtx := q.take(ctx); r != nil {
			// The running job has to hear of a shutdown with the right cause.
			stop := context.AfterFunc(ctx, func() { r.cancel(ErrShutdown) })
			q.run(ctx, runCtx, r)
			stop()
			q.free()
			continue
		}
		q.free()
		q.idle()
		select {
		case <-ctx.Done():
			return nil
		case <-q.wake:
		}
	}
}

// mayStart reports whether a job may become the running one; the queue is locked.
func (q *Local) mayStart() bool {
	return q.waiting.size > 0 && !q.paused && (!q.draining || !q.store.Durable()) && q.loadErr == nil && q.store.Err() == nil
}

// Next implements Queue.
func (q *Local) Next() *Job {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.mayStart() || q.flags != (Flags{}) {
		return nil
	}
	return q.waiting.peek()
}

// take makes the first waiting job the running one. Nothing starts while its start cannot be noted.
func (q *Local) take(ctx context.Context) (*running, context.Context) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.mayStart() {
		q.dropNote()
		return nil, nil
	}
	var before, after *Shares
	if q.cfg.Fair {
		before = q.waiting.copyShares()
	}
	j := q.waiting.pop()
	if q.cfg.Fair {
		after = q.waiting.copyShares()
	}
	runCtx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	r := &running{job: j, cancel: cancel}
	q.running = r
	j.attempts++
	var b Batch
	noted := q.noted
	if q.adopt(j, &b) {
		q.changed()
		return r, runCtx
	}
	b.Changes = append(b.Changes, Started{Seq: j.seq, Attempts: j.attempts, Shares: after})
	b.Changes = append(b.Changes, q.hook(j, EventStarted, "started", nil)...)
	b.Events = append(b.Events, q.event(EventStarted, j))
	// A job that was cancelled meanwhile comes to its end whether or not its start could be noted.
	if err := q.commit(b); err != nil && runCtx.Err() == nil {
		q.cfg.Logger.Error("noting the start of a job", "prompt_id", j.ID, "error", err)
		cancel(nil)
		j.attempts--
		if q.cfg.Fair {
			q.waiting.shares = *before
		}
		q.running = nil
		q.noted = noted
		q.waiting.add(j)
		q.checkDrained()
		return nil, nil
	}
	q.announce(b)
	q.changed()
	return r, runCtx
}

// run runs a job to its end. ctx is the worker's, runCtx the job's.
func (q *Local) run(ctx, runCtx context.Context, r *running) {
	j := r.job
	limit := q.timeLimit(j)
	if limit > 0 {
		timer := time.AfterFunc(limit, func() { q.overdue(r) })
		defer timer.Stop()
	}
	start := time.Now()
	out := q.guarded(runCtx, j)
	status := out.status()
	switch cause := context.Cause(runCtx); {
	case out.Success:
	case errors.Is(cause, ErrShutdown):
		q.abandon(r)
		return
	case errors.Is(cause, ErrTimeLimit):
		out, status = out.overtime(j, limit, q.cfg.Now()), TimedOut
	}
	tail, err := out.tail(j)
	if err != nil {
		q.cfg.Logger.Error("finishing a job", "prompt_id", j.ID, "error", err)
		status = Failed
		out = failed(j, "ValueError", err.Error(), q.cfg.Now())
		tail, _ = out.tail(j) // strings are always written
	}
	if !q.finish(ctx, r, out, status, tail, time.Since(start)) {
		return
	}
	r.cancel(nil)
	if q.cfg.Finished != nil {
		q.cfg.Finished(j, status)
	}
}

// overdue ends a job that has exceeded its time limit.
func (q *Local) overdue(r *running) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running == r {
		q.interrupt(ErrTimeLimit)
	}
}

func (q *Local) timeLimit(j *Job) time.Duration { return timeLimit(q.cfg.TimeLimit, j) }

// timeLimit returns how long a job may run: its own limit, but at most most; 0 means no limit.
func timeLimit(most time.Duration, j *Job) time.Duration {
	limit := j.Options.TimeLimit
	if most > 0 && (limit <= 0 || limit > most) {
		limit = most
	}
	return limit
}

// abandon leaves a job that a shutdown cut short to the store: after the restart it runs again.
func (q *Local) abandon(r *running) {
	r.cancel(nil)
	q.mu.Lock()
	defer q.mu.Unlock()
	r.job.attempts--
	err := q.commit(Batch{
		Changes: []Change{Returned{Seq: r.job.seq, Attempts: r.job.attempts}},
		Events:  []Event{q.event(EventRequeued, r.job)},
	})
	if err != nil {
		q.cfg.Logger.Error("putting the running job back", "prompt_id", r.job.ID, "error", err)
	}
	q.running = nil
	q.changed()
}

// finish puts a job into history. As long as the store cannot be written it tries again: what has run must not run
// twice. False: the queue stops first, and after the restart the job runs again.
func (q *Local) finish(ctx context.Context, r *running, out Outcome, status Status, tail []byte, took time.Duration) bool {
	j := r.job
	q.mu.Lock()
	defer q.mu.Unlock()
	for wait := firstPause; ; wait = min(2*wait, longestPause) {
		b, rec, evicted := q.finishing(j, out, status, tail)
		var next *Job
		if r.cancel != nil { // it has run just now
			next = q.follow(ctx, &b)
		}
		err := q.commit(b)
		if err == nil {
			if next != nil {
				q.noted = next
			}
			if evicted != nil {
				q.forget([]*record{evicted})
			}
			q.history.add(rec)
			q.announce(b)
			break
		}
		q.cfg.Logger.Error("keeping a finished job", "prompt_id", j.ID, "error", err)
		q.mu.Unlock()
		stopped := !pause(ctx, wait)
		q.mu.Lock()
		if stopped {
			q.running = nil
			q.changed()
			return false
		}
	}
	const share = 8
	q.lasting += (took - q.lasting) / share
	q.running = nil
	q.changed()
	return true
}

const (
	firstPause   = 50 * time.Millisecond
	longestPause = 2 * time.Second
)

// pause waits and reports false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// finishing is the batch that moves a job to history, the record that the queue keeps of it, and the one that has to go;
// the queue is locked.
func (q *Local) finishing(j *Job, out Outcome, status Status, tail []byte) (b Batch, rec, evicted *record) {
	now := q.cfg.Now()
	rec = &record{id: j.ID, owner: j.Owner, seq: j.seq, place: q.place, finished: now}
	f := Finished{Job: j, Status: status, At: now, Tail: tail}
	replaced, evicted := q.history.displaced(j.ID)
	if replaced != nil {
		rec.place, f.Replaced = replaced.place, replaced.seq
	} else {
		q.place++
	}
	if evicted != nil {
		f.Evicted = evicted.seq
	}
	f.Place = rec.place
	b = Batch{Changes: []Change{f}, Events: []Event{q.event(EventFinished, j, "status", string(status))}}
	b.Changes = append(b.Changes, q.hook(j, EventFinished, string(status), &out)...)
	return b, rec, evicted
}

// settleLeft writes down what became of jobs that ran when the last process died.
func (q *Local) settleLeft(ctx context.Context) {
	q.mu.Lock()
	left, requeued := q.left, q.requeued
	q.requeued = nil
	var b Batch
	for _, j := range requeued {
		b.Events = append(b.Events, q.event(EventRequeued, j))
	}
	if len(requeued) > 0 {
		if err := q.commit(b); err != nil {
			q.cfg.Logger.Error("noting that jobs run again", "error", err)
		}
	}
	q.mu.Unlock()
	for _, j := range left {
		out := cutOff(j, q.cfg.Now())
		tail, _ := out.tail(j) // plain values are always written
		q.finish(ctx, &running{job: j}, out, Interrupted, tail, q.lasting)
		q.mu.Lock()
		q.left = q.left[1:] // only now: until it is in history, a job is told as running
		q.mu.Unlock()
	}
}

// guarded runs a job and turns a panic that got past the executor into a failed job.
func (q *Local) guarded(ctx context.Context, j *Job) (out Outcome) {
	return guard(j, q.cfg.Logger, func() Outcome { return q.cfg.Run(ctx, j) })
}

// guard turns a panic of run into a failed job.
func guard(j *Job, log *slog.Logger, run func() Outcome) (out Outcome) {
	defer func() {
		if v := recover(); v != nil {
			log.Error("running a job panicked", "prompt_id", j.ID, "panic", v, "stack", string(debug.Stack()))
			out = failed(j, "RuntimeError", fmt.Sprintf("running the prompt panicked: %v\n", v), time.Now())
		}
	}()
	return run()
}

func (q *Local) free() {
	q.mu.Lock()
	f := q.flags
	q.flags = Flags{}
	q.mu.Unlock()
	if f == (Flags{}) || q.cfg.Free == nil {
		return
	}
	q.idle()
	defer func() {
		if v := recover(); v != nil {
			q.cfg.Logger.Error("freeing memory panicked", "panic", v)
		}
	}()
	q.cfg.Free(f)
}

func (q *Local) idle() {
	if q.cfg.Idle != nil {
		q.cfg.Idle()
	}
}

// How often the house is looked after.
const (
	probeEvery = 250 * time.Millisecond
	trimEvery  = time.Minute
)

// keepHouse detects when a failing store has recovered, and drops entries that are too old.
func (q *Local) keepHouse(ctx context.Context) {
	var trimmed time.Time
	for {
		if q.Stats().Err != nil {
			q.recover()
		} else if q.store.Durable() && time.Since(trimmed) > trimEvery {
			trimmed = time.Now()
			q.trim()
		}
		if !pause(ctx, probeEvery) {
			return
		}
	}
}

func (q *Local) recover() {
	q.mu.Lock()
	unloaded := q.loadErr != nil
	q.mu.Unlock()
	if unloaded {
		if err := q.load(); err != nil {
			return
		}
		q.mu.Lock()
		q.changed()
		q.mu.Unlock()
	} else {
		q.store.Probe()
	}
	if q.store.Err() == nil {
		q.cfg.Logger.Info("the queue's store can be written again")
		q.signal()
	}
}

// trim forgets rows and events that are too old or too many.
func (q *Local) trim() {
	q.mu.Lock()
	defer q.mu.Unlock()
	cut := EventsTrimmed{Keep: q.cfg.EventLimit}
	b := Batch{}
	var old []*record
	if q.cfg.HistoryAge > 0 {
		cut.Before = q.cfg.Now().Add(-q.cfg.HistoryAge)
		old = q.history.before(cut.Before)
	}
	if len(old) > 0 {
		f := Forgotten{}
		for _, r := range old {
			f.Seqs = append(f.Seqs, r.seq)
		}
		b.Changes = append(b.Changes, f)
	}
	b.Changes = append(b.Changes, cut, ReceiptsTrimmed{Before: q.cfg.Now().Add(-ReceiptLifetime), Keep: ReceiptLimit})
	if err := q.commit(b); err != nil {
		q.cfg.Logger.Error("forgetting old jobs", "error", err)
		return
	}
	q.forget(old)
}
