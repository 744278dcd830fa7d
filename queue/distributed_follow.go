package queue

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"comfygo/internal/pyjson"
)

// follow reads the state and the log, and applies what comes. A server that starts begins again with a newer state when the log was trimmed before
// it had read it; one that answers requests has to end, for its clients would miss what their jobs told.
func (q *Distributed) follow(ctx context.Context) error {
	for {
		err := q.followFrom(ctx)
		select {
		case <-q.ready:
			return err
		default:
		}
		if !errors.Is(err, errBehind) || ctx.Err() != nil {
			return err
		}
		q.log.Info("the queue's log was trimmed while it was read; reading it again")
		pause(ctx, firstPause)
	}
}

// followFrom follows the log from the last state on.
func (q *Distributed) followFrom(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	seq, data, err := q.loadState(ctx)
	if err != nil {
		return err
	}
	old := &restoring{m: newMachine()}
	if seq > 0 {
		if old, err = readMachine(data); err != nil {
			return err
		}
	}
	old.m.applied = seq
	restored := false
	restore := func() {
		restored = true
		q.restore(old, seq)
	}
	if seq == 0 {
		restore()
	}
	last := seq // what the machine has
	err = q.bus.Follow(ctx, 0, func(r Record) error {
		if r.Seq > last+1 {
			if err := q.whole(ctx, last); err != nil {
				return err
			}
		}
		last = max(last, r.Seq)
		list, err := q.decode(r)
		if err != nil {
			if errors.Is(err, errNewer) && !r.ByWorker { // a worker's credentials cannot end servers
				return err
			}
			q.log.Error("passing over an entry of the queue's log", "number", r.Seq, "error", err)
			return nil
		}
		if r.Seq <= seq {
			q.replay(old.see(list, r.Seq))
			old.m.now = r.Time
			return nil
		}
		if !restored {
			restore()
		}
		q.apply(list, r)
		return nil
	}, func() {
		if err := q.whole(ctx, last); err != nil {
			cancel(err)
			return
		}
		if !restored {
			restore()
		}
		q.caughtUp(ctx)
		q.raise(ctx)
	})
	if cause := context.Cause(ctx); err == nil && errors.Is(cause, errBehind) {
		err = cause
	}
	return err
}

// whole returns errBehind if the log may have lost entries above a number that this server has not read.
func (q *Distributed) whole(ctx context.Context, last int64) error {
	for {
		floor, err := q.bus.Floor(ctx)
		switch {
		case err == nil && floor > last:
			return fmt.Errorf("%w (it has read %d, and the log begins at %d)", errBehind, last, floor+1)
		case err == nil, !pause(ctx, firstPause):
			return nil
		}
		q.log.Warn("asking where the queue's log begins", "error", err)
	}
}

// replay passes on what jobs have told before this server began, once.
func (q *Distributed) replay(list []telling) {
	for _, t := range list {
		if t.entry <= q.replayed {
			continue
		}
		q.replayed = t.entry
		q.tell(t, func(j *Job, number int64, data []byte) {
			if q.cfg.Fleet.Replayed != nil {
				q.cfg.Fleet.Replayed(j.Owner, number, data)
			}
		})
	}
}

// restore makes a state the queue's, of which all entries have been seen.
func (q *Distributed) restore(old *restoring, seq int64) {
	for _, j := range old.unread() {
		q.log.Error("the queue's log does not have a job that its state has", "prompt_id", j.ID)
		j.Prompt, j.Extra = &pyjson.Object{}, &pyjson.Object{}
		j.text, _ = pyjson.Marshal(j.Listing()) // plain values are always written
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(old.garbage) > 0 {
		q.litter = append(q.litter, litter{seq, old.garbage})
	}
	q.m, q.heardAt = old.m, time.Now()
	q.saved, q.states = seq, []savedState{{seq, time.Now()}}
	for _, a := range q.m.inOrder() {
		if q.cfg.Fleet.Begun != nil {
			q.cfg.Fleet.Begun(a.job)
		}
	}
	q.changed()
}

func (q *Distributed) loadState(ctx context.Context) (seq int64, data []byte, err error) {
	for wait := firstPause; ; wait = min(2*wait, longestPause) {
		seq, data, err = q.bus.LoadState(ctx)
		if err == nil || ctx.Err() != nil {
			return seq, data, err
		}
		q.log.Error("reading the queue's state", "error", err)
		if !pause(ctx, wait) {
			return 0, nil, context.Cause(ctx)
		}
	}
}

// caughtUp opens the queue for requests.
func (q *Distributed) caughtUp(ctx context.Context) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.cfg.Receipts != nil && len(q.m.receipts.list) > 0 {
		q.present()
	}
	now := time.Now()
	for id := range q.m.members {
		q.beats[id] = beat{at: now}
	}
	q.fresh, q.readyAt = q.m.applied == 0, now
	select {
	case <-q.ready:
	default:
		close(q.ready)
	}
	policy := q.cfg.Policy
	policy.EventLimit = 0
	if policy.HistoryLimit <= 0 {
		policy.HistoryLimit = HistoryLimit
	}
	if policy.Weights == nil {
		policy.Weights = map[string]float64{}
	}
	if known := q.m.policy; known.HistoryLimit == 0 || !samePolicy(known, policy) {
		if known.HistoryLimit != 0 {
			q.log.Warn("this server's --queue options differ from those of the fleet and replace them")
		}
		q.helpers.Go(func() { // the follower must not wait for itself
			if _, err := q.do(ctx, entry{Type: entryPolicy, Policy: &policy}, nil); err != nil && ctx.Err() == nil {
				q.log.Error("telling the fleet how the queue treats its jobs", "error", err)
			}
		})
	}
}

func samePolicy(a, b Policy) bool {
	if len(a.Weights) == 0 {
		a.Weights = nil
	}
	if len(b.Weights) == 0 {
		b.Weights = nil
	}
	return reflect.DeepEqual(a, b)
}
