package queue_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"comfygo/internal/pyjson"
	"comfygo/queue"
)

// stores runs a test with every store.
func stores(t *testing.T, test func(t *testing.T, path string)) {
	t.Run("memory", func(t *testing.T) { t.Parallel(); test(t, "") })
	t.Run("file", func(t *testing.T) { t.Parallel(); test(t, filepath.Join(t.TempDir(), "q.db")) })
}

// on makes a rig with the store that stores has chosen.
func on(t *testing.T, path string, change func(*queue.Config)) *rig {
	t.Helper()
	if path == "" {
		return newRig(t, change)
	}
	return open(t, path, change)
}

func (r *rig) putFor(client string, o queue.Options, ids ...string) error {
	for _, id := range ids {
		j := &queue.Job{
			Number: queue.Number{Value: float64(r.next())}, ID: id, Prompt: pyjson.NewObject(), Options: o,
			Extra: pyjson.NewObject("client_id", client),
		}
		if err := r.Put(j); err != nil {
			return err
		}
	}
	return nil
}

func (r *rig) mustPut(client string, o queue.Options, ids ...string) {
	r.t.Helper()
	if err := r.putFor(client, o, ids...); err != nil {
		r.t.Fatal(err)
	}
}

func TestPriorityAndMoves(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, path string) {
		r := on(t, path, nil)
		r.mustPut("", queue.Options{}, "a", "b", "c")
		r.mustPut("", queue.Options{Priority: queue.Low}, "z")
		r.mustPut("", queue.Options{Priority: queue.High}, "h")
		steps := []struct {
			do   func() error
			want string
		}{
			{func() error { return nil }, "h a b c z"},
			{func() error { return r.MoveBefore("c", "a") }, "h c a b z"},
			{func() error { return r.MoveBefore("b", "a") }, "h c b a z"},
			{func() error { return r.MoveTo("c", 3) }, "h b a c z"},
			{func() error { return r.MoveTo("h", 99) }, "b a c z h"},
			{func() error { return r.MoveTo("z", 0) }, "z b a c h"},
			{func() error { return r.SetClass("c", queue.High) }, "c z b a h"},
			{func() error { return r.SetClass("z", queue.Normal) }, "c b a z h"},
			{func() error { return r.MoveTo("c", 0) }, "c b a z h"},
		}
		for i, s := range steps {
			if err := s.do(); err != nil {
				t.Fatalf("step %d: %v", i, err)
			}
			if got := strings.Join(r.pending(), " "); got != s.want {
				t.Errorf("step %d: %s, want %s", i, got, s.want)
			}
		}
		for _, err := range []error{r.MoveTo("x", 1), r.MoveBefore("a", "x"), r.MoveBefore("a", "a"), r.SetClass("x", queue.High)} {
			if !errors.Is(err, queue.ErrUnknownJob) {
				t.Errorf("an unknown job: %v", err)
			}
		}
		if path != "" {
			r.close()
			if got := strings.Join(open(t, path, nil).pending(), " "); got != "c b a z h" {
				t.Errorf("after the restart: %s", got)
			}
		}
	})
}

func TestPause(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, path string) {
		r := on(t, path, nil)
		if err := errors.Join(r.Pause(), r.Pause()); err != nil {
			t.Fatal(err)
		}
		r.mustPut("", queue.Options{}, "a")
		if path != "" {
			r.close()
			r = open(t, path, nil)
		}
		stop := r.work()
		defer stop()
		select {
		case id := <-r.started:
			t.Errorf("%s started while the queue is paused", id)
		case <-time.After(30 * time.Millisecond):
		}
		if st := r.Stats(); !st.Paused || st.Pending != 1 || st.Durable != (path != "") {
			t.Errorf("stats %+v", st)
		}
		if err := r.Resume(); err != nil {
			t.Fatal(err)
		}
		<-r.started
		r.release <- queue.Outcome{Success: true}
	})
}

// TestFairShares sees that clients take turns by their weights, that the listing says so before, and that a restart in
// between changes nothing.
func TestFairShares(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, path string) {
		fair := func(c *queue.Config) { c.Fair, c.Weights = true, map[string]float64{"b": 2} }
		r := on(t, path, fair)
		r.mustPut("a", queue.Options{}, "a1", "a2", "a3", "a4")
		r.mustPut("b", queue.Options{}, "b1", "b2", "b3", "b4", "b5")
		r.mustPut("c", queue.Options{Priority: queue.High}, "c1")
		want := "c1 a1 b1 b2 a2 b3 b4 a3 b5 a4"
		if got := strings.Join(r.pending(), " "); got != want {
			t.Fatalf("listed %s, want %s", got, want)
		}
		var ran []string
		run := func(n int) {
			stop := r.work()
			for range n {
				ran = append(ran, <-r.started)
				r.release <- queue.Outcome{Success: true}
			}
			eventually(t, "the end of a job", func() bool { return r.HistoryLen() == len(ran) })
			if n < 5 {
				stop()
			} else {
				t.Cleanup(stop)
			}
		}
		if path == "" {
			run(10)
		} else {
			if err := r.Pause(); err != nil {
				t.Fatal(err)
			}
			r.close()
			r = open(t, path, fair)
			if err := r.Resume(); err != nil {
				t.Fatal(err)
			}
			run(10)
		}
		if got := strings.Join(ran, " "); got != want {
			t.Errorf("ran %s, want %s", got, want)
		}
	})
}

func TestLimits(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, path string) {
		r := on(t, path, func(c *queue.Config) { c.Limit, c.ClientLimit = 3, 2 })
		r.mustPut("a", queue.Options{}, "a1", "a2")
		var full *queue.FullError
		if err := r.putFor("a", queue.Options{}, "a3"); !errors.As(err, &full) || full.Client != "a" || full.Limit != 2 {
			t.Errorf("the third of a: %v", err)
		}
		r.mustPut("b", queue.Options{}, "b1")
		if err := r.putFor("c", queue.Options{}, "c1"); !errors.As(err, &full) || full.Client != "" || full.Limit != 3 || full.RetryAfter < time.Second {
			t.Errorf("the fourth: %v", err)
		}
		if err := r.Clear(); err != nil {
			t.Fatal(err)
		}
		r.mustPut("a", queue.Options{}, "a1", "a2")
	})
}

// TestLimitHolds queues from many goroutines at once.
func TestLimitHolds(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, path string) {
		const limit = 20
		r := on(t, path, func(c *queue.Config) { c.Limit = limit })
		var all sync.WaitGroup
		for i := range 4 * limit {
			all.Go(func() {
				var full *queue.FullError
				if err := r.putFor("", queue.Options{}, fmt.Sprint(i)); err != nil && !errors.As(err, &full) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := len(r.pending()); n != limit {
			t.Errorf("%d wait, want %d", n, limit)
		}
	})
}

func TestTimeLimit(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *queue.Config) { c.TimeLimit = 20 * time.Millisecond; c.Now = nil })
	stop := r.work()
	defer stop()
	r.mustPut("", queue.Options{}, "own")
	r.mustPut("", queue.Options{TimeLimit: time.Hour}, "asked for more")
	for _, id := range []string{"own", "asked for more"} {
		<-r.started
		eventually(t, "the limit", func() bool { return r.Find(id) != nil })
		text := string(r.Find(id).Text())
		if !strings.Contains(text, "TimeoutError") || strings.Contains(text, "execution_interrupted") {
			t.Errorf("history %s", text)
		}
	}
	if !errors.Is(r.causes[0], queue.ErrTimeLimit) {
		t.Errorf("causes %v", r.causes)
	}
}

// TestCancelOne cancels each of many jobs while they start and end: every one ends exactly once.
func TestCancelOne(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, path string) {
		r := on(t, path, func(c *queue.Config) {
			c.Run = func(ctx context.Context, _ *queue.Job) queue.Outcome {
				select {
				case <-ctx.Done():
					return queue.Outcome{Messages: []queue.Message{{Event: "execution_interrupted", Data: pyjson.NewObject()}}}
				case <-time.After(time.Millisecond):
					return queue.Outcome{Success: true}
				}
			}
		})
		const jobs = 60
		ids := make([]string, jobs)
		for i := range ids {
			ids[i] = fmt.Sprintf("j%02d", i)
		}
		r.mustPut("", queue.Options{}, ids...)
		stop := r.work()
		defer stop()
		ended := map[string]queue.State{}
		for _, id := range ids {
			state, err := r.Cancel(id)
			if err != nil {
				t.Fatal(err)
			}
			ended[id] = state
			time.Sleep(300 * time.Microsecond)
		}
		eventually(t, "all jobs", func() bool { return r.Remaining() == 0 })
		for id, state := range ended {
			row := r.Find(id)
			switch {
			case state == queue.StatePending && row != nil:
				t.Errorf("%s was deleted and ran", id)
			case state == queue.StateNone && (row == nil || !strings.Contains(string(row.Text()), "success")):
				t.Errorf("%s had ended before, and is not there", id)
			case state == queue.StateRunning && row == nil:
				t.Errorf("%s ran, and is not there", id)
			}
		}
	})
}

func TestDrain(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, path string) {
		r := on(t, path, nil)
		stop := r.work()
		defer stop()
		r.mustPut("", queue.Options{}, "a", "b")
		<-r.started
		short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if err := r.Drain(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("draining while a job runs: %v", err)
		}
		if err := r.putFor("", queue.Options{}, "c"); !errors.Is(err, queue.ErrDraining) {
			t.Errorf("queueing while draining: %v", err)
		}
		r.release <- queue.Outcome{Success: true}
		if path == "" { // b would be lost
			<-r.started
			r.release <- queue.Outcome{Success: true}
		}
		if err := r.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		want := map[bool][]string{true: {}, false: {"b"}}[path == ""]
		if got := r.pending(); !slices.Equal(got, want) {
			t.Errorf("%v wait, want %v", got, want)
		}
	})
}
