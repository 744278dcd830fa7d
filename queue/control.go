package queue

import (
	"context"
	"fmt"
	"slices"
)

// Clear implements Queue.
func (q *Local) Clear() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	jobs := q.waiting.all()
	q.waiting.clear()
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
		b.Events = append(b.Events, q.event(EventRemoved, j.ID))
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

// Delete implements Queue. As upstream, the deletion of the last waiting job tells of two changes.
func (q *Local) Delete(id string) (bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.delete(id)
}

func (q *Local) delete(id string) (bool, error) {
	j := q.waiting.find(id)
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

// Cancel implements Queue.
func (q *Local) Cancel(id string) (State, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running != nil && q.running.job.ID == id {
		q.running.cancel(ErrInterrupted)
		return StateRunning, nil
	}
	if done, err := q.delete(id); err != nil || !done {
		return StateNone, err
	}
	return StatePending, nil
}

// Interrupt implements Queue.
func (q *Local) Interrupt() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running == nil {
		return false
	}
	q.running.cancel(ErrInterrupted)
	return true
}

// InterruptIfRunning implements Queue.
func (q *Local) InterruptIfRunning(id string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running == nil || q.running.job.ID != id {
		return false
	}
	q.running.cancel(ErrInterrupted)
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
	if err := q.commit(Batch{Changes: []Change{PauseSet{On: on}}, Events: []Event{q.event(event, "")}}); err != nil {
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
	q.flags.FreeMemory = q.flags.FreeMemory || f.FreeMemory
	q.signal()
}

// ClearHistory implements Queue.
func (q *Local) ClearHistory() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	recs := q.history.slice(0, -1)
	b := Batch{Changes: []Change{Forgotten{All: true}}, Events: []Event{q.event(EventForgotten, "")}}
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

// DeleteHistory implements Queue.
func (q *Local) DeleteHistory(id string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	rec := q.history.find(id)
	if rec == nil {
		return nil
	}
	b := Batch{Changes: []Change{Forgotten{Seqs: []int64{rec.seq}}}, Events: []Event{q.event(EventForgotten, id)}}
	if err := q.commit(b); err != nil {
		return fmt.Errorf("deleting %s from the history: %w", id, err)
	}
	q.forget([]*record{rec})
	return nil
}

// MoveTo implements Queue.
func (q *Local) MoveTo(id string, position int) error {
	return q.move(id, func(j *Job, others []*Job) []*Job {
		at := min(max(0, position), len(others))
		return slices.Insert(others, at, j)
	})
}

// MoveBefore implements Queue.
func (q *Local) MoveBefore(id, other string) error {
	return q.move(id, func(j *Job, others []*Job) []*Job {
		at := slices.IndexFunc(others, func(o *Job) bool { return o.ID == other })
		if at < 0 {
			return nil
		}
		return slices.Insert(others, at, j)
	})
}

// move puts a job where arrange puts it among the others; nil means that there is no such place.
func (q *Local) move(id string, arrange func(j *Job, others []*Job) []*Job) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	j := q.waiting.find(id)
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

// SetClass implements Queue.
func (q *Local) SetClass(id string, c Class) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	j := q.waiting.find(id)
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
	if err := q.commit(Batch{Changes: []Change{m}, Events: []Event{q.event(EventMoved, j.ID, "priority", places[j].Class.String())}}); err != nil {
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
