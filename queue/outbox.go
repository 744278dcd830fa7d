package queue

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"

	"comfygo/internal/pyjson"
)

// hook returns the change that adds the message about an event to the outbox, or none if the job wants no such
// message.
func (q *Local) hook(j *Job, event, status string, out *Outcome) []Change {
	w := j.Options.Webhook
	if q.cfg.Send == nil || !w.wants(event) {
		return nil
	}
	now := q.cfg.Now()
	data := hookData(j, status)
	if out != nil {
		data.Set("outputs", orEmpty(out.Outputs))
		for _, m := range out.Messages {
			if m.Event == "execution_error" {
				data.Set("error", m.Data)
			}
		}
	}
	body, err := hookBody(event, data, now)
	if err != nil {
		q.cfg.Logger.Error("writing a message to a webhook", "prompt_id", j.ID, "error", err)
		return nil
	}
	return []Change{HookAdded{Delivery{ID: uuid.NewString(), JobID: j.ID, URL: w.URL, Secret: w.Secret, Body: body, Due: now}}}
}

// hookData is what a message tells of a job, besides its outputs and its error.
func hookData(j *Job, status string) *pyjson.Object {
	data := pyjson.NewObject("prompt_id", j.ID, "number", j.Number.JSON(), "status", status)
	if j.client != "" {
		data.Set("client_id", j.client)
	}
	return data
}

func hookBody(event string, data *pyjson.Object, now time.Time) ([]byte, error) {
	return pyjson.Marshal(pyjson.NewObject("type", "job."+event, "timestamp", now.UTC().Format(time.RFC3339Nano), "data", data))
}

// announce wakes the senders of messages when a kept batch has some.
func (q *Local) announce(b Batch) {
	for _, c := range b.Changes {
		if _, ok := c.(HookAdded); ok {
			select {
			case q.post <- struct{}{}:
			default:
			}
			return
		}
	}
}

// hookPauses are the waits between the tries to send a message; after the last one it is given up.
var hookPauses = []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour, 6 * time.Hour, 12 * time.Hour}

const (
	hooksAtATime = 8
	hookTimeout  = 15 * time.Second
	// hookIdle is the waiting time if nothing is due, or if the outbox cannot be read.
	hookIdle = time.Minute
)

// deliver sends the messages in the outbox until ctx ends. The rest stays there.
func (q *Local) deliver(ctx context.Context) {
	if q.cfg.Send == nil {
		return
	}
	for ctx.Err() == nil {
		wait := hookIdle
		due, next, err := q.store.Due(q.cfg.Now(), hooksAtATime)
		switch {
		case err != nil:
			wait = longestPause
		case len(due) > 0:
			q.send(ctx, due)
			continue
		case !next.IsZero():
			wait = min(hookIdle, max(firstPause, next.Sub(q.cfg.Now())))
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-q.post:
		case <-t.C:
		}
		t.Stop()
	}
}

// send sends messages at the same time and waits for all.
func (q *Local) send(ctx context.Context, due []Delivery) {
	var all sync.WaitGroup
	for _, d := range due {
		all.Go(func() {
			sendCtx, cancel := context.WithTimeout(ctx, hookTimeout)
			defer cancel()
			err := q.cfg.Send(sendCtx, d)
			if err != nil && ctx.Err() != nil {
				return // the server ends; that is not the receiver's fault
			}
			b := q.settleHook(d, err)
			for q.store.Submit(b)() != nil {
				if !pause(ctx, longestPause) {
					return
				}
			}
		})
	}
	all.Wait()
}

func (q *Local) settleHook(d Delivery, err error) Batch {
	if err == nil {
		return Batch{Changes: []Change{HookDone{d.Number}}, Events: []Event{q.eventOf(EventHookArrived, d.JobID, "id", d.ID)}}
	}
	if d.Attempts >= len(hookPauses) {
		q.cfg.Logger.Error("giving up on a webhook", "prompt_id", d.JobID, "error", err)
		return Batch{Changes: []Change{HookDone{d.Number}}, Events: []Event{q.eventOf(EventHookFailed, d.JobID, "id", d.ID, "error", err.Error())}}
	}
	wait := hookPauses[d.Attempts]
	wait += rand.N(wait / 5) // #nosec G404 -- spreads retries, hides nothing
	q.cfg.Logger.Warn("sending to a webhook", "prompt_id", d.JobID, "again_in", wait, "error", err)
	return Batch{Changes: []Change{HookPostponed{Number: d.Number, Attempts: d.Attempts + 1, Due: q.cfg.Now().Add(wait)}}}
}
