package queue

import (
	"fmt"
	"slices"
)

// Scope chooses jobs by owner: all jobs (the zero value), or those of one owner.
type Scope struct {
	One   bool
	Owner string
	// Shared: finished jobs that others share may be read, too.
	Shared bool
}

// sees reports whether a finished job may be read.
func (s Scope) sees(r *record) bool { return s.Has(r.owner) || s.Shared && r.shared }

// Has reports whether an owner's jobs are in the scope.
func (s Scope) Has(owner string) bool { return !s.One || s.Owner == owner }

// view is the part of the queue in a scope.
type view struct {
	q     *Local
	scope Scope
}

var _ View = view{}

// Of implements Queue.
func (q *Local) Of(owner string) View { return view{q, Scope{One: true, Owner: owner}} }

// In implements Queue.
func (q *Local) In(s Scope) View { return view{q, s} }

// Share implements View.
func (v view) Share(id string, on bool) (bool, error) {
	q := v.q
	q.mu.Lock()
	defer q.mu.Unlock()
	rec := q.history.find(id)
	if rec == nil || !v.scope.Has(rec.owner) {
		return false, nil
	}
	if rec.shared == on {
		return true, nil
	}
	b := Batch{Changes: []Change{Shared{Seq: rec.seq, On: on}}, Events: []Event{q.event(EventShared, &Job{ID: id, Owner: rec.owner}, "shared", on)}}
	if err := q.commit(b); err != nil {
		return false, fmt.Errorf("sharing %s: %w", id, err)
	}
	rec.shared = on
	return true, nil
}

func (v view) has(j *Job) bool { return v.scope.Has(j.Owner) }

// own leaves the jobs of the scope.
func (v view) own(jobs []*Job) []*Job {
	if !v.scope.One {
		return jobs
	}
	return slices.DeleteFunc(slices.Clone(jobs), func(j *Job) bool { return !v.has(j) })
}

// waitingJob finds the first waiting job with the id, or nil if the scope has none; the queue is locked.
func (v view) waitingJob(id string) *Job {
	if j := v.q.waiting.find(id); j != nil && v.has(j) {
		return j
	}
	return nil
}

// runningJob reports whether the running job is in the scope and, unless the id is "", has it; the queue is locked.
func (v view) runningJob(id string) bool {
	r := v.q.running
	return r != nil && v.has(r.job) && (id == "" || r.job.ID == id)
}

// DropGrant implements Queue.
func (q *Local) DropGrant(grant string) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var jobs []*Job
	for _, j := range q.waiting.all() {
		if j.Grant == grant {
			q.waiting.remove(j)
			jobs = append(jobs, j)
		}
	}
	n := len(jobs)
	if q.running != nil && q.running.job.Grant == grant {
		q.interrupt(ErrInterrupted)
		n++
	}
	if err := q.drop(jobs); err != nil {
		return 0, fmt.Errorf("dropping the jobs of a grant that has ended: %w", err)
	}
	if len(jobs) > 0 {
		q.changed()
	}
	return n, nil
}

// eventOf is event for a job of which only the id is known.
func (q *Local) eventOf(typ, id string, pairs ...any) Event {
	q.mu.Lock()
	defer q.mu.Unlock()
	j := &Job{ID: id}
	switch rec := q.history.find(id); {
	case rec != nil:
		j.Owner = rec.owner
	case q.running != nil && q.running.job.ID == id:
		j.Owner = q.running.job.Owner
	case q.waiting.find(id) != nil:
		j.Owner = q.waiting.find(id).Owner
	}
	return q.event(typ, j, pairs...)
}
