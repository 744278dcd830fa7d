package queue

import (
	"context"
	"fmt"
	"slices"
)

// Clear implements View.
func (v view) Clear() error {
	q := v.q
	q.mu.Lock()
	defer q.mu.Unlock()
	jobs := v.own(q.waiting.all())
	if v.scope.One {
		for _, j := range jobs {
			q.waiting.remove(j)
		}
	} else {
		q.waiting.clear()
	}
	if err := q.drop(jobs); err != nil {
		return fmt.Errorf("clearing the queue: %w", err)
	}
	q.changed()
	return nil
}

// drop makes the store forget jobs that were just taken out of the line-up; if it cannot they go back. The queue is
// locked, but not while the store works.
func (q *Local) drop(jobs []*Job) error {
	if len(jobs) == 0 {
		return nil
	}
	var b Batch
	seqs := make([]int64, len(jobs))
	for i, j := range jobs {
		seqs[i] = j.seq
		b.Events = append(b.Events, q.event(EventRemoved, j))
		b.Changes = append(b.Changes, q.hook(j, EventRemoved, "removed", nil)...)
	}
	b.Changes = append(b.Changes, Removed{Seqs: seqs})
	if err := q.commit(b); err != nil {
		for _, j := range jobs {
			q.waiting.add(j)
		}
		q.signal()
		return err
	}
	q.announce(b)
	return nil
}

// commit waits for the store with the queue unlocked.
func (q *Local) commit(b Batch) error {
	wait := q.store.Submit(b)
	q.mu.Unlock()
	defer q.mu.Lock()
	return wait()
}

// Delete implements View. As in upstream, deleting the last waiting job reports two changes.
func (v view) Delete(id string) (bool, error) {
	q := v.q
	q.mu.Lock()
	defer q.mu.Unlock()
	return v.delete(id)
}

func (v view) delete(id string) (bool, error) {
	q := v.q
	j := v.waitingJob(id)
	if j == nil {
		return false, nil
	}
	last := q.waiting.size == 1
	q.waiting.remove(j)
	if err := q.drop([]*Job{j}); err != nil {
		return false, fmt.Errorf("deleting %s: %w", id, err)
	}
	if last {
		q.changed()
	}
	q.changed()
	return true, nil
}

// Cancel implements View.
func (v view) Cancel(id string) (State, error) {
	q := v.q
	q.mu.Lock()
	defer q.mu.Unlock()
	if id != "" && v.runningJob(id) {
		q.interrupt(ErrInterrupted)
		return StateRunning, nil
	}
	if done, err := v.delete(id); err != nil || !done {
		return StateNone, err
	}
	return StatePending, nil
}

// Interrupt implements View.
func (v view) Interrupt() bool {
	q := v.q
	q.mu.Lock()
	defer q.mu.Unlock()
	if !v.runningJob("") {
		return false
	}
	q.interrupt(ErrInterrupted)
	return true
}

// InterruptIfRunning implements View.
func (v view) InterruptIfRunning(id string) bool {
	q := v.q
	q.mu.Lock()
	defer q.mu.Unlock()
	if id == "" || !v.runningJob(id) {
		return false
	}
	q.interrupt(ErrInterrupted)
	return true
}

// Pause implements Queue.
func (q *Local) Pause() error { return q.setPaused(true, EventPaused) }

// Resume implements Queue.
func (q *Local) Resume() error { return q.setPaused(false, EventResumed) }

func (q *Local) setPaused(on bool, event string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	was := q.paused
	if was == on {
		return nil
	}
	q.paused = on // at once, so that nothing starts while the store works
	if err := q.commit(Batch{Changes: []Change{PauseSet{On: on}}, Events: []Event{q.event(event, nil)}}); err != nil {
		q.paused = was
		q.signal()
		return fmt.Errorf("changing whether the queue is paused: %w", err)
	}
	q.signal()
	q.checkDrained()
	return nil
}

// SetFlags implements Queue.
func (q *Local) SetFlags(f Flags) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.flags.UnloadModels = q.flags.UnloadModels || f.UnloadModels
	q.flags.ReloadPacks = q.flags.ReloadPacks || f.ReloadPacks
	q.flags.FreeMemory = q.flags.FreeMemory || f.FreeMemory
	q.signal()
}

// ClearHistory implements View.
func (v view) ClearHistory() error {
	q := v.q
	q.mu.Lock()
	defer q.mu.Unlock()
	recs := q.history.slice(Scope{One: v.scope.One, Owner: v.scope.Owner}, 0, -1)
	all := Forgotten{All: !v.scope.One}
	if v.scope.One {
		for _, r := range recs {
			all.Seqs = append(all.Seqs, r.seq)
		}
	}
	forgotten := q.event(EventForgotten, nil)
	forgotten.Owner = v.scope.Owner
	b := Batch{Changes: []Change{all}, Events: []Event{forgotten}}
	if err := q.commit(b); err != nil {
		return fmt.Errorf("clearing the history: %w", err)
	}
	q.forget(recs)
	return nil
}

// forget drops rows, but not those that came with the same ids while the store worked; the queue is locked.
func (q *Local) forget(recs []*record) {
	for _, r := range recs {
		if q.history.find(r.id) == r {
			q.history.remove(r.id)
		}
	}
}

// DeleteHistory implements View.
func (v view) DeleteHistory(id string) error {
	q := v.q
	q.mu.Lock()
	defer q.mu.Unlock()
	rec := q.history.find(id)
	if rec == nil || !v.scope.Has(rec.owner) {
		return nil
	}
	b := Batch{Changes: []Change{Forgotten{Seqs: []int64{rec.seq}}}, Events: []Event{q.event(EventForgotten, &Job{ID: id, Owner: rec.owner})}}
	if err := q.commit(b); err != nil {
		return fmt.Errorf("deleting %s from the history: %w", id, err)
	}
	q.forget([]*record{rec})
	return nil
}

// MoveTo implements View.
func (v view) MoveTo(id string, position int) error {
	return v.move(id, func(j *Job, others []*Job) []*Job {
		at := min(max(0, position), len(others))
		return slices.Insert(others, at, j)
	})
}

// MoveBefore implements View.
func (v view) MoveBefore(id, other string) error {
	return v.move(id, func(j *Job, others []*Job) []*Job {
		at := slices.IndexFunc(others, func(o *Job) bool { return o.ID == other && v.has(o) })
		if at < 0 {
			return nil
		}
		return slices.Insert(others, at, j)
	})
}

// move moves a job to the place among the others that arrange returns; nil means that there is no such place.
func (v view) move(id string, arrange func(j *Job, others []*Job) []*Job) error {
	q := v.q
	q.mu.Lock()
	defer q.mu.Unlock()
	j := v.waitingJob(id)
	if j == nil {
		return ErrUnknownJob
	}
	all := q.waiting.all()
	others := slices.DeleteFunc(slices.Clone(all), func(o *Job) bool { return o == j })
	wanted := arrange(j, others)
	if wanted == nil {
		return ErrUnknownJob
	}
	if slices.Equal(wanted, all) {
		return nil
	}
	return q.settlePlaces(j, neighbours(j, wanted))
}

// neighbours gives a job the rank of the one it goes before (or after, at the end), and numbers all jobs of that rank.
func neighbours(j *Job, wanted []*Job) map[*Job]Place {
	at := slices.Index(wanted, j)
	anchor := wanted[max(0, at-1)]
	if at+1 < len(wanted) {
		anchor = wanted[at+1]
	}
	places := map[*Job]Place{}
	sub := int64(0)
	for _, o := range wanted {
		if o == j || o.place.Class == anchor.place.Class && o.place.Rank == anchor.place.Rank {
			sub++
			places[o] = Place{Seq: o.seq, Class: anchor.place.Class, Rank: anchor.place.Rank, Sub: sub}
		}
	}
	return places
}

// SetClass implements View.
func (v view) SetClass(id string, c Class) error {
	q := v.q
	q.mu.Lock()
	defer q.mu.Unlock()
	j := v.waitingJob(id)
	if j == nil {
		return ErrUnknownJob
	}
	return q.settlePlaces(j, map[*Job]Place{j: {Seq: j.seq, Class: c, Rank: j.Number.Value}})
}

// settlePlaces changes places in the line-up at once, and back should the store refuse. Jobs that started meanwhile
// stay out.
func (q *Local) settlePlaces(j *Job, places map[*Job]Place) error {
	old := map[*Job]Place{}
	m := Moved{}
	for o, p := range places {
		old[o] = o.place
		m.Places = append(m.Places, p)
	}
	q.setPlaces(places)
	if err := q.commit(Batch{Changes: []Change{m}, Events: []Event{q.event(EventMoved, j, "priority", places[j].Class.String())}}); err != nil {
		q.setPlaces(old)
		return fmt.Errorf("moving %s: %w", j.ID, err)
	}
	return nil
}

func (q *Local) setPlaces(places map[*Job]Place) {
	for j, p := range places {
		if !slices.Contains(q.waiting.byID[j.ID], j) {
			continue
		}
		q.waiting.remove(j)
		j.place = p
		q.waiting.add(j)
	}
}

// Drain implements Queue.
func (q *Local) Drain(ctx context.Context) error {
	q.mu.Lock()
	if !q.draining {
		q.draining, q.drained = true, make(chan struct{})
	}
	done := q.drained
	q.checkDrained()
	q.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// checkDrained ends a drain when nothing is left to wait for; the queue is locked.
func (q *Local) checkDrained() {
	if !q.draining || q.running != nil || q.coming > 0 {
		return
	}
	if !q.store.Durable() && !q.paused && q.waiting.size > 0 {
		return
	}
	select {
	case <-q.drained:
	default:
		close(q.drained)
	}
}
