package queue

import (
	"context"
	"fmt"
	"slices"
)

// distributedView is the part of a shared queue in a scope.
type distributedView struct {
	q     *Distributed
	scope Scope
}

var _ View = distributedView{}

// Of implements Queue.
func (q *Distributed) Of(owner string) View {
	return distributedView{q, Scope{One: true, Owner: owner}}
}

// In implements Queue.
func (q *Distributed) In(s Scope) View { return distributedView{q, s} }

// do appends an entry about the view's jobs.
func (v distributedView) do(e entry, what string) (verdict, error) {
	e.One, e.Owner = v.scope.One, v.scope.Owner
	out, err := v.q.do(context.Background(), e, nil)
	if err != nil {
		return out, fmt.Errorf("%s: %w", what, err)
	}
	return out, nil
}

func (v distributedView) own(jobs []*Job) []*Job {
	if !v.scope.One {
		return jobs
	}
	return slices.DeleteFunc(jobs, func(j *Job) bool { return !v.scope.Has(j.Owner) })
}

// Snapshot implements View.
func (v distributedView) Snapshot() (running, pending []*Job) {
	q := v.q
	q.settled()
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, a := range q.m.inOrder() {
		running = append(running, a.job)
	}
	return v.own(running), v.own(q.m.waiting.all())
}

// Remaining implements View.
func (v distributedView) Remaining() int {
	q := v.q
	q.settled()
	q.mu.Lock()
	defer q.mu.Unlock()
	if !v.scope.One {
		return q.m.waiting.size + len(q.m.running)
	}
	return q.m.waiting.clients[v.scope.Owner] + q.m.runningOf(v.scope.Owner)
}

// Clear implements View.
func (v distributedView) Clear() error {
	_, err := v.do(entry{Type: entryDelete, All: true}, "clearing the queue")
	return err
}

// Delete implements View.
func (v distributedView) Delete(id string) (bool, error) {
	out, err := v.do(entry{Type: entryDelete, ID: id}, "deleting "+id)
	return out.ok, err
}

// Cancel implements View.
func (v distributedView) Cancel(id string) (State, error) {
	out, err := v.do(entry{Type: entryCancel, ID: id}, "cancelling "+id)
	return out.state, err
}

// Interrupt implements View: every running job of the view ends.
func (v distributedView) Interrupt() bool { return v.interrupt("") }

// InterruptIfRunning implements View.
func (v distributedView) InterruptIfRunning(id string) bool { return id != "" && v.interrupt(id) }

func (v distributedView) interrupt(id string) bool {
	out, err := v.do(entry{Type: entryInterrupt, ID: id}, "interrupting")
	if err != nil {
		v.q.log.Error("interrupting", "prompt_id", id, "error", err)
	}
	return out.ok
}

// MoveTo implements View.
func (v distributedView) MoveTo(id string, position int) error {
	_, err := v.do(entry{Type: entryMove, ID: id, Position: position}, "moving "+id)
	return err
}

// MoveBefore implements View.
func (v distributedView) MoveBefore(id, other string) error {
	if other == "" {
		return ErrUnknownJob
	}
	_, err := v.do(entry{Type: entryMove, ID: id, Other: other}, "moving "+id)
	return err
}

// SetClass implements View.
func (v distributedView) SetClass(id string, c Class) error {
	_, err := v.do(entry{Type: entryClass, ID: id, Class: c}, "moving "+id)
	return err
}

// History implements View.
func (v distributedView) History(offset, limit int) []*Row {
	q := v.q
	q.settled()
	q.mu.Lock()
	recs := q.m.history.slice(v.scope, offset, limit)
	q.mu.Unlock()
	return rowsOf(recs, q.texts)
}

// HistoryLen implements View.
func (v distributedView) HistoryLen() int {
	q := v.q
	q.settled()
	q.mu.Lock()
	defer q.mu.Unlock()
	if v.scope.One {
		return len(q.m.history.slice(v.scope, 0, -1))
	}
	return q.m.history.len()
}

// Find implements View.
func (v distributedView) Find(id string) *Row {
	q := v.q
	q.settled()
	q.mu.Lock()
	rec := q.m.history.find(id)
	q.mu.Unlock()
	if rec == nil || !v.scope.sees(rec) {
		return nil
	}
	return rowsOf([]*record{rec}, q.texts)[0]
}

// ClearHistory implements View.
func (v distributedView) ClearHistory() error {
	_, err := v.do(entry{Type: entryForget, All: true}, "clearing the history")
	return err
}

// DeleteHistory implements View.
func (v distributedView) DeleteHistory(id string) error {
	_, err := v.do(entry{Type: entryForget, ID: id}, "deleting "+id+" from the history")
	return err
}

// Share implements View.
func (v distributedView) Share(id string, on bool) (bool, error) {
	out, err := v.do(entry{Type: entryShare, ID: id, On: on}, "sharing "+id)
	return out.ok, err
}

// Events implements View.
func (v distributedView) Events(after int64, limit int) ([]Event, error) {
	q := v.q
	q.settled()
	q.mu.Lock()
	defer q.mu.Unlock()
	from, _ := slices.BinarySearchFunc(q.m.events, after+1, func(e Event, n int64) int { return int(e.Number - n) })
	var out []Event
	for _, e := range q.m.events[from:] {
		if len(out) >= limit {
			break
		}
		if v.scope.Has(e.Owner) {
			out = append(out, e)
		}
	}
	return out, nil
}
