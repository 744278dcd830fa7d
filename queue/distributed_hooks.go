package queue

import (
	"context"
	"math/rand/v2"
	"time"
)

// Messages to webhooks are in the state that all servers share. One server sends each: it appends that it does (claim), sends, and appends what has
// become of it. When it dies in between another one sends the message again, with the same id, as one process does after a restart.

// wakeMail says that there may be messages to send.
func (q *Distributed) wakeMail() {
	select {
	case q.mail <- struct{}{}:
	default:
	}
}

// deliver sends messages until ctx ends.
func (q *Distributed) deliver(ctx context.Context) {
	if q.cfg.Send == nil {
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.mail:
		}
		for _, h := range q.dueMail() {
			q.helpers.Go(func() {
				defer func() {
					q.mu.Lock()
					delete(q.mailing, h.Number)
					q.mu.Unlock()
					q.wakeMail()
				}()
				q.sendMail(ctx, h)
			})
		}
	}
}

// dueMail returns the messages that this server is to send now.
func (q *Distributed) dueMail() []hook {
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-q.ready:
	default:
		return nil
	}
	if len(q.m.hooks.byNumber) == 0 || len(q.mailing) >= hooksAtATime || !q.leads() {
		return nil
	}
	list := q.m.hooks.due(q.m.now.Add(time.Since(q.heardAt)), hooksAtATime-len(q.mailing), q.mailing)
	for _, h := range list {
		q.mailing[h.Number] = true
	}
	return list
}

func (q *Distributed) sendMail(ctx context.Context, h hook) {
	v, err := q.do(ctx, entry{Type: entryClaim, Seq: h.Number, Attempt: h.Attempts}, nil)
	if err != nil || !v.ok {
		pause(ctx, firstPause) // another server sends it, or the log does not answer
		return
	}
	sendCtx, cancel := context.WithTimeout(ctx, hookTimeout)
	defer cancel()
	err = q.cfg.Send(sendCtx, h.Delivery)
	if err != nil && ctx.Err() != nil {
		return // the server ends; that is not the receiver's fault
	}
	e := entry{Type: entrySettled, Seq: h.Number, Attempt: h.Attempts, On: err == nil}
	switch {
	case err == nil:
	case h.Attempts >= len(hookPauses):
		e.Cause = err.Error()
		q.log.Error("giving up on a webhook", "prompt_id", h.JobID, "error", err)
	default:
		wait := hookPauses[h.Attempts]
		wait += rand.N(wait / 5) // #nosec G404 -- spreads retries, hides nothing
		q.mu.Lock()
		e.Due = q.m.now.Add(time.Since(q.heardAt) + wait).UnixMilli()
		q.mu.Unlock()
		q.log.Warn("sending to a webhook", "prompt_id", h.JobID, "again_in", wait, "error", err)
	}
	for ctx.Err() == nil {
		if _, err := q.do(ctx, e, nil); err == nil {
			return
		}
		pause(ctx, longestPause) // its claim keeps others from sending it meanwhile
	}
}
