package queue_test

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"comfygo/internal/pyjson"
	"comfygo/queue"
)

// postbox takes messages and refuses the first ones.
type postbox struct {
	mu      sync.Mutex
	refuse  int
	refused []queue.Delivery
	got     []queue.Delivery
}

func (p *postbox) send(_ context.Context, d queue.Delivery) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse > 0 {
		p.refuse--
		p.refused = append(p.refused, d)
		return errors.New("the receiver is ill")
	}
	p.got = append(p.got, d)
	return nil
}

func (p *postbox) arrived() (types []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range p.got {
		var m struct {
			Type string
			Data struct {
				ID     string `json:"prompt_id"`
				Status string
			}
		}
		if err := json.Unmarshal(d.Body, &m); err != nil {
			return []string{err.Error()}
		}
		types = append(types, m.Type+" "+m.Data.ID+" "+m.Data.Status)
	}
	slices.Sort(types)
	return types
}

// TestWebhooks is not parallel: it changes the waits between tries.
func TestWebhooks(t *testing.T) {
	restore := queue.HookPauses(time.Millisecond, time.Millisecond)
	t.Cleanup(restore)
	for _, path := range []string{"", filepath.Join(t.TempDir(), "q.db")} {
		box := &postbox{refuse: 2}
		r := on(t, path, func(c *queue.Config) { c.Send, c.Now = box.send, nil })
		stop := r.work()
		hook := queue.Options{Webhook: &queue.Webhook{URL: "https://example.com", Secret: "s"}}
		all := queue.Options{Webhook: &queue.Webhook{URL: "https://example.com", Events: []string{"started", "finished", "removed"}}}
		r.mustPut("", hook, "a")
		r.mustPut("", all, "b")
		r.mustPut("", queue.Options{}, "c")
		r.mustPut("", hook, "d")
		<-r.started
		r.release <- queue.Outcome{Success: true, Outputs: pyjson.NewObject("1", pyjson.NewObject())}
		<-r.started
		r.release <- queue.Outcome{Messages: []queue.Message{{Event: "execution_error", Data: pyjson.NewObject()}}}
		<-r.started
		if ok, err := r.Delete("d"); !ok || err != nil {
			t.Errorf("deleting: %v %v", ok, err)
		}
		r.release <- queue.Outcome{Success: true}
		want := []string{"job.finished a success", "job.finished b error", "job.removed d removed", "job.started b started"}
		eventually(t, "messages", func() bool { return len(box.arrived()) == len(want) })
		if got := box.arrived(); !slices.Equal(got, want) {
			t.Errorf("arrived %v, want %v", got, want)
		}
		for _, d := range box.refused {
			if !slices.ContainsFunc(box.got, func(o queue.Delivery) bool { return o.ID == d.ID && string(o.Body) == string(d.Body) && o.Attempts > 0 }) {
				t.Errorf("the refused message %s did not come again", d.ID)
			}
		}
		eventually(t, "events", func() bool {
			n := 0
			for _, e := range r.eventTypes() {
				if len(e) > 17 && e[:17] == queue.EventHookArrived {
					n++
				}
			}
			return n == len(want)
		})
		stop()
	}
}

// TestWebhookGivenUp sees that a receiver that never recovers is left alone, and that this is in the log.
func TestWebhookGivenUp(t *testing.T) {
	restore := queue.HookPauses(time.Millisecond)
	t.Cleanup(restore)
	box := &postbox{refuse: 100}
	r := on(t, filepath.Join(t.TempDir(), "q.db"), func(c *queue.Config) { c.Send, c.Now = box.send, nil })
	stop := r.work()
	defer stop()
	r.mustPut("", queue.Options{Webhook: &queue.Webhook{URL: "https://example.com"}}, "a")
	<-r.started
	r.release <- queue.Outcome{Success: true}
	eventually(t, "the end", func() bool { return slices.Contains(r.eventTypes(), queue.EventHookFailed+" a") })
	if len(box.refused) != 2 {
		t.Errorf("%d tries, want 2", len(box.refused))
	}
}

// TestWebhookOutlivesTheServer sends after a restart what could not be sent before.
func TestWebhookOutlivesTheServer(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "q.db")
	box := &postbox{refuse: 1}
	with := func(c *queue.Config) { c.Send, c.Now = box.send, nil }
	r := open(t, path, with)
	stop := r.work()
	r.mustPut("", queue.Options{Webhook: &queue.Webhook{URL: "https://example.com", Secret: "s"}}, "a")
	<-r.started
	r.release <- queue.Outcome{Success: true}
	eventually(t, "a try", func() bool { box.mu.Lock(); defer box.mu.Unlock(); return len(box.refused) == 1 })
	stop()
	r.close()
	later := open(t, path, func(c *queue.Config) {
		with(c)
		c.Now = func() time.Time { return time.Now().Add(time.Hour) }
	})
	stop = later.work()
	defer stop()
	eventually(t, "the message", func() bool { return slices.Equal(box.arrived(), []string{"job.finished a success"}) })
	if d := box.got[0]; d.Secret != "s" || d.ID != box.refused[0].ID {
		t.Errorf("the message is %+v", d)
	}
}
