package queue_test

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"comfygo/internal/pyjson"
	"comfygo/queue"
	"comfygo/sqlite"
)

// putOwned puts a job of an owner, accepted under a grant.
func (r *rig) putOwned(owner, grant, id string, limit int) error {
	return r.Put(&queue.Job{
		Number: queue.Number{Value: 1}, ID: id, Owner: owner, Grant: grant, OwnerLimit: limit,
		Prompt: pyjson.NewObject(), Extra: pyjson.NewObject(), Secrets: pyjson.NewObject(), Outputs: []string{"1"},
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func idsOf(jobs []*queue.Job) []string {
	ids := []string{}
	for _, j := range jobs {
		ids = append(ids, j.ID)
	}
	return ids
}

// TestOwnersSeeTheirJobsOnly tries every method of a view against the jobs of another owner, with both kinds of store.
func TestOwnersSeeTheirJobsOnly(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]queue.Store{
		"memory": queue.NewMemory(), "file": queue.NewFile(filepath.Join(t.TempDir(), "q.db"), queue.FileOptions{}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(c *queue.Config) { c.Store = store })
			t.Cleanup(r.close)
			must(t, r.putOwned("ann", "k1", "a0", 0))
			stop := r.work()
			defer stop()
			<-r.started
			r.release <- queue.Outcome{Success: true}
			must(t, r.putOwned("ann", "k1", "a1", 0)) // runs
			<-r.started
			must(t, r.putOwned("ann", "k1", "a2", 0))
			must(t, r.putOwned("bob", "k2", "b1", 0))
			bob := r.Of("bob")
			refusesOthers(t, bob)
			if running, pending := bob.Snapshot(); len(running) != 0 || !slices.Equal(idsOf(pending), []string{"b1"}) || bob.Remaining() != 1 {
				t.Errorf("bob sees %v running, %v waiting, %d remaining", idsOf(running), idsOf(pending), bob.Remaining())
			}
			must(t, bob.Clear())
			must(t, bob.ClearHistory())
			ann := r.Of("ann")
			if running, pending := ann.Snapshot(); len(running) != 1 || !slices.Equal(idsOf(pending), []string{"a2"}) || ann.Remaining() != 2 {
				t.Errorf("after bob's clearing ann has %v running, %v waiting, %d remaining", idsOf(running), idsOf(pending), ann.Remaining())
			}
			if rows := ann.History(0, -1); len(rows) != 1 || rows[0].Owner != "ann" || ann.HistoryLen() != 1 || ann.Find("a0") == nil {
				t.Errorf("after bob's clearing ann has %d rows", len(rows))
			}
			events(t, r, bob)
			if !ann.InterruptIfRunning("a1") {
				t.Error("ann cannot interrupt her own job")
			}
		})
	}
}

// refusesOthers tries what a view must not do to the jobs a0 (finished), a1 (running) and a2 (waiting) of another owner.
func refusesOthers(t *testing.T, bob queue.View) {
	t.Helper()
	for _, id := range []string{"a0", "a1", "a2"} {
		if done, err := bob.Delete(id); done || err != nil {
			t.Errorf("deleting %s: %v, %v", id, done, err)
		}
		if state, err := bob.Cancel(id); state != queue.StateNone || err != nil {
			t.Errorf("cancelling %s: %q, %v", id, state, err)
		}
		if bob.InterruptIfRunning(id) || bob.Find(id) != nil {
			t.Errorf("%s is interrupted or found", id)
		}
		must(t, bob.DeleteHistory(id))
		for what, err := range map[string]error{
			"moving": bob.MoveTo(id, 0), "moving before": bob.MoveBefore("b1", id), "raising": bob.SetClass(id, queue.High),
		} {
			if !errors.Is(err, queue.ErrUnknownJob) {
				t.Errorf("%s %s: %v", what, id, err)
			}
		}
	}
	if bob.Interrupt() || len(bob.History(0, -1)) != 0 || bob.HistoryLen() != 0 {
		t.Errorf("a foreign job was interrupted, or history shows one: %d rows, %d", len(bob.History(0, -1)), bob.HistoryLen())
	}
}

func events(t *testing.T, r *rig, bob queue.View) {
	t.Helper()
	seen, err := bob.Events(0, 100)
	must(t, err)
	for _, e := range seen {
		if e.Owner != "bob" {
			t.Errorf("bob sees the event %+v", e)
		}
	}
	all, err := r.Events(0, 100)
	must(t, err)
	if len(seen) < 2 || len(all) <= len(seen) {
		t.Errorf("bob sees %d events of %d", len(seen), len(all))
	}
}

func TestAnIDBelongsToOneOwner(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	stop := r.work()
	defer stop()
	must(t, r.putOwned("ann", "", "done", 0))
	<-r.started
	r.release <- queue.Outcome{Success: true}
	must(t, r.putOwned("ann", "", "running", 0))
	<-r.started
	must(t, r.putOwned("ann", "", "waiting", 0))
	for _, id := range []string{"done", "running", "waiting"} {
		if err := r.putOwned("bob", "", id, 0); !errors.Is(err, queue.ErrTakenID) {
			t.Errorf("%s is taken, but bob's job with this id got %v", id, err)
		}
		if err := r.putOwned("ann", "", id, 0); errors.Is(err, queue.ErrTakenID) != (id != "done") {
			t.Errorf("ann's second job with the id %s got %v", id, err)
		}
	}
	if err := r.putOwned("ann", "", "done", 0); !errors.Is(err, queue.ErrTakenID) {
		t.Errorf("an id that waits again got %v", err)
	}
}

func TestOwnersLimits(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	must(t, r.putOwned("ann", "", "1", 2))
	must(t, r.putOwned("ann", "", "2", 2))
	var full *queue.FullError
	if err := r.putOwned("ann", "", "3", 2); !errors.As(err, &full) || full.Owner != "ann" || full.Limit != 2 {
		t.Errorf("the third job got %v", err)
	}
	must(t, r.putOwned("bob", "", "4", 2))
}

func TestDropGrant(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	stop := r.work()
	defer stop()
	must(t, r.putOwned("ann", "k1", "1", 0))
	<-r.started
	must(t, r.putOwned("ann", "k1", "2", 0))
	must(t, r.putOwned("ann", "k2", "3", 0))
	if n, err := r.DropGrant("k1"); n != 2 || err != nil {
		t.Errorf("dropped %d, %v", n, err)
	}
	if id := <-r.started; id != "3" {
		t.Errorf("%s runs, want the job of the grant that is left", id)
	}
}

// TestOwnersOutliveTheProcess restarts a queue with a file of the first version of the schema, and once more with owners
// in it.
func TestOwnersOutliveTheProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "q.db")
	db := sqlite.Open(path, sqlite.Options{})
	_, err := db.Exec(queue.FirstSchema + `; INSERT INTO jobs (seq, id, state, number, given, class, rank, sub, client, attempts, created)
		VALUES (1, 'old', 0, 1, 0, 0, 1, 0, '', 0, 1); INSERT INTO bodies (seq, listing) VALUES (1, '[1, "old", {}, {}, ["1"]]')`)
	must(t, errors.Join(err, db.Close()))
	r := newRig(t, func(c *queue.Config) { c.Store = queue.NewFile(path, queue.FileOptions{}) })
	must(t, r.putOwned("ann", "k1", "1", 0))
	must(t, r.putOwned("", "", "2", 0))
	r.close()
	again := newRig(t, func(c *queue.Config) { c.Store = queue.NewFile(path, queue.FileOptions{}) })
	_, pending := again.Of("ann").Snapshot()
	if rest, all := again.Snapshot(); len(rest) != 0 || !slices.Equal(idsOf(all), []string{"1", "2", "old"}) {
		t.Errorf("all jobs after the restart: %v", idsOf(all))
	}
	if len(pending) != 1 || pending[0].ID != "1" || pending[0].Grant != "k1" {
		t.Errorf("ann's jobs after the restart: %v", idsOf(pending))
	}
	stop := again.work()
	for _, id := range []string{"1", "2", "old"} {
		if got := <-again.started; got != id {
			t.Errorf("%s runs, want %s", got, id)
		}
		again.release <- queue.Outcome{Success: true}
	}
	stop()
	if done, err := again.Of("bob").Share("1", true); done || err != nil {
		t.Errorf("bob shares ann's job: %t, %v", done, err)
	}
	if done, err := again.Of("ann").Share("1", true); !done || err != nil {
		t.Errorf("ann shares her job: %t, %v", done, err)
	}
	again.close()
	third := newRig(t, func(c *queue.Config) { c.Store = queue.NewFile(path, queue.FileOptions{}) })
	t.Cleanup(third.close)
	scope := queue.Scope{One: true, Owner: "bob", Shared: true}
	if rows := third.In(scope).History(0, -1); len(rows) != 1 || rows[0].ID != "1" || !rows[0].Shared || third.In(scope).Find("1") == nil {
		t.Errorf("bob reads %d shared jobs", len(rows))
	}
	if third.Of("bob").Find("1") != nil || third.In(scope).Find("2") != nil {
		t.Error("bob reads what is not shared")
	}
	must(t, third.In(scope).ClearHistory())
	if third.Of("ann").Find("1") == nil {
		t.Error("bob has cleared what ann shares")
	}
}
