package v2

import (
	"sync"
	"time"

	"comfygo/internal/pyjson"
	"comfygo/queue"
)

// rememberedRemovals is the number of remembered jobs that were removed while they waited; eventPage the number of
// events of the queue that are read at a time.
const (
	rememberedRemovals = 5000
	eventPage          = 1000
)

// removal is a job that was cancelled before it ran. History has none of those; the queue's log of events has.
type removal struct {
	owner         string
	created, gone time.Time
	// prompt and extra are known only of jobs that were cancelled through this API since the start.
	prompt, extra *pyjson.Object
}

// removals are read from the queue's log, as far as it goes back, at the first request for a job that is nowhere else.
type removals struct {
	mu     sync.Mutex
	last   int64 // number of the last event that was read
	queued map[string]time.Time
	gone   map[string]removal
	order  []string
}

// keep records a job that is about to be removed.
func (r *removals) keep(f found) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(f.id, removal{owner: f.owner, created: f.created, gone: time.Now(), prompt: f.prompt, extra: f.extra})
}

func (r *removals) add(id string, gone removal) {
	if r.gone == nil {
		r.gone = map[string]removal{}
	}
	if before, known := r.gone[id]; known {
		if gone.prompt == nil {
			gone.prompt, gone.extra, gone.created = before.prompt, before.extra, before.created
		}
	} else {
		r.order = append(r.order, id)
	}
	r.gone[id] = gone
	for len(r.order) > rememberedRemovals {
		delete(r.gone, r.order[0])
		r.order = r.order[1:]
	}
}

// find looks for a removed job.
func (r *removals) find(q queue.View, id string) (found, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.read(q); err != nil {
		return found{}, false, err
	}
	gone, ok := r.gone[id]
	if !ok {
		return found{}, false, nil
	}
	return found{
		id: id, status: Canceled, owner: gone.owner, prompt: gone.prompt, extra: gone.extra,
		created: gone.created, ended: gone.gone,
	}, true, nil
}

// read catches up with the log.
func (r *removals) read(q queue.View) error {
	for {
		events, err := q.Events(r.last, eventPage)
		if err != nil {
			return err
		}
		for _, e := range events {
			r.take(e)
		}
		if len(events) < eventPage {
			return nil
		}
	}
}

func (r *removals) take(e queue.Event) {
	r.last = e.Number
	switch e.Type {
	case queue.EventQueued:
		if r.queued == nil {
			r.queued = map[string]time.Time{}
		}
		r.queued[e.JobID] = e.Time
	case queue.EventFinished:
		delete(r.queued, e.JobID)
	case queue.EventRemoved:
		created, known := r.queued[e.JobID]
		if !known {
			created = e.Time
		}
		delete(r.queued, e.JobID)
		r.add(e.JobID, removal{owner: e.Owner, created: created, gone: e.Time})
	}
}
