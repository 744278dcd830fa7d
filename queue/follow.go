package queue

import (
	"context"
	"slices"
)

// A job's end and the start of the one that follows at once are noted together: a transaction less for every job of a full queue. The one
// that follows stays a waiting job until the worker takes it. Should something else come in between (it is cancelled or overtaken, the
// queue pauses or stops), the note is taken back.

// follow adds the start of the next job to a batch that ends the one before, and returns that job, or nil if none follows at once. The
// queue is locked.
func (q *Local) follow(ctx context.Context, b *Batch) *Job {
	// With fair shares the start changes the shares; and where jobs that ran are marked, one that did not run must not be.
	if !q.mayStart() || q.flags != (Flags{}) || q.cfg.Fair || q.cfg.OnRestart == RestartInterrupt || ctx.Err() != nil {
		return nil
	}
	j := q.waiting.peek()
	if j == nil || j.Options.Webhook.wants(EventStarted) {
		return nil
	}
	b.Changes = append(b.Changes, Started{Seq: j.seq, Attempts: j.attempts + 1})
	b.Events = append(b.Events, q.event(EventStarted, j))
	return j
}

// adopt reports whether the start of a job has been noted already. The note of another one is taken back in a batch. The queue is locked.
func (q *Local) adopt(j *Job, b *Batch) bool {
	noted := q.noted
	q.noted = nil
	switch noted {
	case nil:
		return false
	case j:
		return true
	}
	q.unnote(noted, b)
	return false
}

// unnote takes the note of a start back, if the job still waits. The queue is locked.
func (q *Local) unnote(j *Job, b *Batch) {
	if slices.Contains(q.waiting.byID[j.ID], j) {
		b.Changes = append(b.Changes, Returned{Seq: j.seq, Attempts: j.attempts})
		b.Events = append(b.Events, q.event(EventRequeued, j))
	}
}

// dropNote takes back what was noted of a job that does not start at once after all. The queue is locked.
func (q *Local) dropNote() {
	if q.noted == nil {
		return
	}
	var b Batch
	q.unnote(q.noted, &b)
	q.noted = nil
	if len(b.Changes) == 0 {
		return
	}
	if err := q.commit(b); err != nil {
		q.cfg.Logger.Error("noting that a job has not started", "error", err)
	}
}
