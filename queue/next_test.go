package queue_test

import (
	"testing"

	"comfygo/queue"
)

func TestNext(t *testing.T) {
	t.Parallel()
	for _, fair := range []bool{false, true} {
		r := newRig(t, func(c *queue.Config) { c.Fair = fair })
		if j := r.Next(); j != nil {
			t.Fatalf("an empty queue has %s next", j.ID)
		}
		r.put(2, "b")
		r.put(1, "a")
		for range 2 { // looking takes nothing out
			if j := r.Next(); j == nil || j.ID != "a" {
				t.Fatalf("have %v", j)
			}
		}
		if err := r.Pause(); err != nil {
			t.Fatal(err)
		}
		if r.Next() != nil {
			t.Error("a paused queue has a job next")
		}
		if err := r.Resume(); err != nil {
			t.Fatal(err)
		}
		r.SetFlags(queue.Flags{FreeMemory: true})
		if r.Next() != nil {
			t.Error("before memory is freed a job is next")
		}
		if _, err := r.Delete("a"); err != nil {
			t.Fatal(err)
		}
	}
}

// The worker says when nothing follows, before memory is freed, and when it ends; between two jobs it says nothing.
func TestIdle(t *testing.T) {
	t.Parallel()
	idle := make(chan string, 100)
	r := newRig(t, func(c *queue.Config) {
		c.Idle = func() { idle <- "idle" }
		c.Free = func(queue.Flags) { idle <- "free" }
	})
	r.put(1, "a", "b")
	stop := r.work()
	<-r.started
	if j := r.Next(); j == nil || j.ID != "b" {
		t.Errorf("while a runs %v is next", j)
	}
	r.release <- queue.Outcome{Success: true}
	<-r.started
	if len(idle) != 0 {
		t.Errorf("%s between two jobs", <-idle)
	}
	r.SetFlags(queue.Flags{UnloadModels: true})
	r.release <- queue.Outcome{Success: true}
	for _, want := range []string{"idle", "free", "idle"} {
		if got := <-idle; got != want {
			t.Errorf("have %s, want %s", got, want)
		}
	}
	stop()
	if got := <-idle; got != "idle" {
		t.Errorf("at the end: %s", got)
	}
}
