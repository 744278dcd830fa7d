package queue

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
)

// Work implements Queue. Jobs run one after the other; nothing that a job does ends the loop.
func (q *Local) Work(ctx context.Context) error {
	for {
		if ctx.Err() != nil {
			return nil
		}
		if r, runCtx := q.take(ctx); r != nil {
			// The running job has to hear of a shutdown with the right cause.
			stop := context.AfterFunc(ctx, func() { r.cancel(ErrShutdown) })
			q.run(runCtx, r)
			stop()
			q.free()
			continue
		}
		q.free()
		select {
		case <-ctx.Done():
			return nil
		case <-q.wake:
		}
	}
}

// take makes the first waiting job the running one.
func (q *Local) take(ctx context.Context) (*running, context.Context) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return nil, nil
	}
	j := heap.Pop(&q.waiting).(*Job)
	if err := q.cfg.Store.Started(j); err != nil {
		q.cfg.Logger.Error("noting the start of a job", "prompt_id", j.ID, "error", err)
	}
	runCtx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	r := &running{job: j, cancel: cancel}
	q.running = r
	q.changed()
	return r, runCtx
}

func (q *Local) run(ctx context.Context, r *running) {
	out := q.guarded(ctx, r.job)
	if !out.Success && errors.Is(context.Cause(ctx), ErrShutdown) {
		q.abandon()
		return
	}
	r.cancel(nil)
	row, err := newRow(r.job, out)
	if err != nil {
		q.cfg.Logger.Error("finishing a job", "prompt_id", r.job.ID, "error", err)
		if row, err = newRow(r.job, failed(r.job, "ValueError", err.Error(), q.cfg.Now())); err != nil {
			row = &Row{ID: r.job.ID, Text: []byte("{}")}
		}
	}
	q.finish(r, row)
	if q.cfg.Finished != nil {
		q.cfg.Finished(r.job)
	}
}

// abandon leaves a job that a shutdown cut short to the store: after the restart it runs again.
func (q *Local) abandon() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.running = nil
	q.changed()
}

func (q *Local) finish(r *running, row *Row) {
	q.mu.Lock()
	defer q.mu.Unlock()
	evicted := q.history.add(row)
	if err := q.cfg.Store.Finished(r.job, row, evicted); err != nil {
		q.cfg.Logger.Error("keeping a finished job", "prompt_id", r.job.ID, "error", err)
	}
	q.running = nil
	q.changed()
}

// guarded runs a job and turns a panic that got past the executor into a failed job.
func (q *Local) guarded(ctx context.Context, j *Job) (out Outcome) {
	defer func() {
		if v := recover(); v != nil {
			q.cfg.Logger.Error("running a job panicked", "prompt_id", j.ID, "panic", v, "stack", string(debug.Stack()))
			out = failed(j, "RuntimeError", fmt.Sprintf("running the prompt panicked: %v\n", v), q.cfg.Now())
		}
	}()
	return q.cfg.Run(ctx, j)
}

func (q *Local) free() {
	q.mu.Lock()
	f := q.flags
	q.flags = Flags{}
	q.mu.Unlock()
	if f == (Flags{}) || q.cfg.Free == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			q.cfg.Logger.Error("freeing memory panicked", "panic", v)
		}
	}()
	q.cfg.Free(f)
}
